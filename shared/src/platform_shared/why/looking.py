"""Puts the questions in order: one look, and then what only its answer says is worth asking."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from platform_shared.why import questions
from platform_shared.why.facts import (
    Facts,
    Path,
    ancestors,
    evaluation_of,
    facts_of,
    failed_run,
    failed_run_of,
    retried_run_of,
    upstream_of,
    with_partition_names,
)
from platform_shared.why.reasons import parts_to_name

_NAMED_PARTS = 5
_MOST_ANCESTORS = 200


def look(
    ask: questions.Asker, asset: Path, partition: str | None, limit: int, now: datetime, skip: Iterable[str] = ()
) -> Facts:
    """All that is known of the asset at `now`, with its `limit` newest evaluations. Raises WebserverError."""
    key = questions.key_of(asset)
    data = ask(questions.DEFINITIONS, {"key": key, "limit": limit})
    facts = replace(facts_of(asset, data, now, skip), partition=partition)
    if facts.who is None:
        return facts
    above = ancestors(asset, data)[:_MOST_ANCESTORS]
    if above:
        keys = [questions.key_of(each) for each in above]
        facts = replace(facts, upstream=upstream_of(ask(questions.UPSTREAM, {"keys": keys})))
    latest = next((info["latestRun"] for info in data["assetsLatestInfo"]), None)
    run_id = retried_run_of(asset, data) or failed_run_of(data["assetNodeOrError"], latest)
    if run_id is not None:
        run = ask(questions.RUN, {"run": run_id})["runOrError"]
        # People run again what succeeded, too, and delete runs.
        if failed_run_of(data["assetNodeOrError"], run or None) is not None:
            facts = replace(facts, failed=failed_run(run))
    if not facts.evaluations:
        return facts
    records = data["assetConditionEvaluationRecordsOrError"]["records"]
    evaluations = list(facts.evaluations)
    if partition is not None:
        ids = [evaluation.id for evaluation in evaluations]
        found = ask(questions.of_partition(ids), {"key": key, "partition": partition})
        answers = [found[f"e{number}"]["evaluationNodes"] for number in range(len(ids))]
        evaluations = [
            evaluation_of(record, {node["uniqueId"]: node["status"] for node in nodes if node})
            for record, nodes in zip(records, answers, strict=True)
        ]
    newest = evaluations[0]
    parts = [part.id for part in parts_to_name(newest.condition)][:_NAMED_PARTS]
    if parts:
        found = ask(questions.true_partitions(parts), {"key": key, "evaluation": newest.id})
        names = {id_: found[f"p{number}"] for number, id_ in enumerate(parts)}
        evaluations[0] = replace(newest, condition=with_partition_names(newest.condition, names))
    return replace(facts, evaluations=tuple(evaluations))
