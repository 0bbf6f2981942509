"""Whether what a series reads is fit to be read: its blocking checks, as conditions wait for them."""

from dataclasses import dataclass

import dagster as dg

from platform_shared.schedules.series import Series


@dataclass(frozen=True)
class Soundness:
    """Blocking checks of inputs that failed last (`asset: check`), and inputs whose newest run has not ended, so that
    its checks may be yet to come."""

    failed: tuple[str, ...] = ()
    building: tuple[str, ...] = ()

    @property
    def words(self) -> str | None:
        """Why nothing that reads these inputs is to be built now; None if it may be."""
        if self.failed:
            return f"An input has failed a blocking check, and what reads it waits: {', '.join(self.failed)}."
        if self.building:
            return f"An input is being built, and its checks are yet to come: {', '.join(self.building)}."
        return None


def soundness(instance: dg.DagsterInstance, series: Series) -> Soundness:
    """Looks at the run of the newest materialization of each input, and at what its checks have said since.

    Two of the names used here are not marked public by Dagster (docs/adr/0005).
    """
    failed: list[str] = []
    building: list[str] = []
    for each in series.inputs:
        records = instance.fetch_materializations(each.key, limit=1).records
        run_id = records[0].event_log_entry.run_id if records else ""
        run = instance.get_run_by_id(run_id) if run_id else None
        if run is None:
            continue
        if not run.is_finished:
            building.append(each.key.to_user_string())
        failed += _failed_checks(instance, each.key, run_id)
    return Soundness(tuple(failed), tuple(building))


def _failed_checks(instance: dg.DagsterInstance, key: dg.AssetKey, run_id: str) -> list[str]:
    names = set()
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        said = entry.asset_check_evaluation
        if said is not None and said.asset_key == key and said.blocking and not said.passed:
            names.add(said.check_name)
    return [f"{key.to_user_string()}: {name}" for name in sorted(names) if _still_fails(instance, key, name)]


def _still_fails(instance: dg.DagsterInstance, key: dg.AssetKey, name: str) -> bool:
    """A check may be run again by itself."""
    record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(key, name))
    said = record.event.asset_check_evaluation if record is not None and record.event is not None else None
    return said is not None and not said.passed and said.severity is dg.AssetCheckSeverity.ERROR
