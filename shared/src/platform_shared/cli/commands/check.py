"""`platform check`: loads each location in a process of its own and reports what breaks a rule of the workspace."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from textwrap import indent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platform_shared.workspace.model import Snapshot
    from platform_shared.workspace.rules import Finding

HELP = "check what holds between the code locations: owners of assets, lists of locations, instigators, warnings"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print findings and load times as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 1 if there is any finding."""
    from platform_shared.workspace.loading import load_snapshots
    from platform_shared.workspace.projects import workspace_lists, workspace_root
    from platform_shared.workspace.rules import findings
    from platform_shared.workspace.sensor_lints import sensor_mistakes

    root = workspace_root()
    lists = workspace_lists(root)
    snapshots = load_snapshots(root, lists.projects)
    found = [*findings(snapshots, lists), *sensor_mistakes(root)]
    print(_as_json(snapshots, found) if arguments.json else "\n".join(_report(snapshots, found)))
    return 1 if found else 0


def _as_json(snapshots: Sequence["Snapshot"], found: Sequence["Finding"]) -> str:
    seconds = {snapshot.location: snapshot.seconds for snapshot in snapshots}
    rows = [{**asdict(finding), "rule": finding.rule.name} for finding in found]
    return json.dumps({"findings": rows, "seconds": seconds}, sort_keys=True, indent=2)


def _report(snapshots: Sequence["Snapshot"], found: Sequence["Finding"]) -> Iterator[str]:
    width = max((len(snapshot.location) for snapshot in snapshots), default=0)
    for snapshot in snapshots:
        state = "OK   " if snapshot.load_error is None else "ERROR"
        yield f"{state} {snapshot.location:<{width}}  loaded in {snapshot.seconds} s"
    for rule, group in groupby(found, key=attrgetter("rule")):
        yield f"\n{rule}"
        for finding in group:
            yield indent(f"{finding.where}: {finding.what}", "  ")
            yield f"    -> {finding.remedy}"
    yield f"\n{len(found)} to correct." if found else "No findings."
