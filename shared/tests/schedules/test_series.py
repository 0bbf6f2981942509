"""What the instance knows of the partitions of a series."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, StepMaterializationData

from platform_shared.partitions import BUSINESS_DAYS, COMPLETE_DAYS, COMPLETE_WEEKS
from platform_shared.schedules import Input, Series, Slot, range_request, same_day, slots, the_days_in, whole_table

MART, BANDS, REPORT = dg.AssetKey("mart"), dg.AssetKey("bands"), dg.AssetKey("report")
NOW = datetime(2025, 2, 3, 17, tzinfo=UTC)
WEEKS = Series(
    REPORT, "report_job", COMPLETE_WEEKS, (Input(MART, the_days_in(COMPLETE_WEEKS)), Input(BANDS, whole_table))
)


def report(instance, key, *partitions):
    for partition in partitions:
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))


def test_all_that_is_read_must_be_there_and_the_newest_of_it_counts():
    days = [key for key in BUSINESS_DAYS.get_partition_keys(current_time=NOW) if key < "2025-01-20"]
    with dg.DagsterInstance.ephemeral() as instance:
        report(instance, MART, *days[:-1])
        assert [slot.inputs for slot in slots(instance, WEEKS, NOW)] == [None] * 4
        report(instance, BANDS, None)
        first, second, third, fourth = slots(instance, WEEKS, NOW)
        assert (first.is_due, second.inputs, third.inputs, fourth.inputs) == (True, None, None, None)
        report(instance, REPORT, first.key)
        report(instance, MART, days[-1])
        first, second, *_ = slots(instance, WEEKS, NOW)
        assert (first.is_due, second.is_due) == (False, True)
        report(instance, MART, days[0])
        assert [slot.key for slot in slots(instance, WEEKS, NOW) if slot.is_due] == ["2025-01-06", "2025-01-13"]
        assert [slot.key for slot in slots(instance, WEEKS, NOW, ["2025-01-13"])] == ["2025-01-13"]


def test_what_all_partitions_read_builds_only_those_of_late_again():
    names = Input(BANDS, whole_table, recent=timedelta(days=14))
    series = Series(REPORT, "report_job", COMPLETE_DAYS, (Input(MART, same_day), names))
    days = COMPLETE_DAYS.get_partition_keys(current_time=NOW)
    with dg.DagsterInstance.ephemeral() as instance:

        def due(now=NOW):
            return [slot.key for slot in slots(instance, series, now) if slot.is_due]

        report(instance, MART, *days)
        assert due() == [], "all of it must be there, also for old days"
        changed(instance, BANDS, datetime(2025, 1, 1, tzinfo=UTC))
        assert due() == days
        report(instance, REPORT, *days)
        changed(instance, BANDS, NOW)
        assert due() == [day for day in days if day >= "2025-01-20"]
        assert due(NOW + timedelta(days=10))[0] == "2025-01-20", "however late somebody looks"
        changed(instance, BANDS, NOW + timedelta(days=1))
        assert due()[0] == "2025-01-21"
        report(instance, MART, days[0])
        assert due()[0] == days[0]


def changed(instance, key, at):
    """A materialization at this instant."""
    told = DagsterEvent(
        dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        "sales",
        event_specific_data=StepMaterializationData(dg.AssetMaterialization(key)),
    )
    instance.report_dagster_event(told, "", timestamp=at.timestamp())


def test_a_series_without_inputs_is_due_while_it_is_missing():
    stores = dg.DynamicPartitionsDefinition(name="stores")
    series = Series(REPORT, "report_job", stores)
    with dg.DagsterInstance.ephemeral() as instance:
        assert slots(instance, series, NOW) == []
        instance.add_dynamic_partitions("stores", ["31", "367"])
        report(instance, REPORT, "31")
        assert [(slot.key, slot.is_due) for slot in slots(instance, series, NOW)] == [("31", False), ("367", True)]
        assert slots(instance, series, NOW)[1] == Slot("367")


def test_of_years_of_hours_the_status_is_asked_for_where_it_decides_something(monkeypatch):
    """The rest are built, or lack an input; each status costs Dagster as much as all else of a look."""
    hours = dg.HourlyPartitionsDefinition(start_date="2024-02-01-00:00", timezone="America/New_York")
    series = Series(REPORT, "report_job", hours, (Input(MART, the_days_in(hours)),), reserve=timedelta(hours=2))
    asked = []
    original = dg.DagsterInstance.get_status_by_partition

    def get_status_by_partition(self, key, partitions, definition):
        asked.extend(partitions)
        return original(self, key, partitions, definition)

    monkeypatch.setattr(dg.DagsterInstance, "get_status_by_partition", get_status_by_partition)
    with dg.DagsterInstance.ephemeral() as instance:
        report(instance, MART, "2025-01-05")
        report(instance, REPORT, *(f"2025-01-05-{hour:02}:00" for hour in range(20)))
        assert len(slots(instance, series, NOW)) > 365 * 24
        # Of the day that has its input four hours are due, and two of now are the schedule's.
        due = [f"2025-01-05-{hour}:00" for hour in range(20, 24)]
        assert asked == [*due, "2025-02-03-10:00", "2025-02-03-11:00"]


def test_a_row_with_a_partition_that_is_due_is_looked_at_as_a_whole():
    """A run of another partition of the row holds up the row."""
    parts = dg.StaticPartitionsDefinition(["a", "b", "c"])
    series = Series(REPORT, "report_job", parts, row=lambda key: "all")

    @dg.asset(key=REPORT, partitions_def=parts)
    def fails() -> None:
        raise RuntimeError("no ink")

    with dg.DagsterInstance.ephemeral() as instance:
        report(instance, REPORT, "a", "b")
        dg.materialize([fails], instance=instance, partition_key="b", raise_on_error=False)
        assert [slot.state.value for slot in slots(instance, series, NOW)] == ["idle", "failed", "idle"]
        report(instance, REPORT, "c")
        assert [slot.state.value for slot in slots(instance, series, NOW)] == ["idle"] * 3


def test_what_a_run_builds_while_the_states_are_read_is_not_due(monkeypatch):
    series = Series(REPORT, "report_job", COMPLETE_WEEKS, (Input(MART, the_days_in(COMPLETE_WEEKS)),))
    with dg.DagsterInstance.ephemeral() as instance:
        report(instance, MART, *BUSINESS_DAYS.get_partition_keys(current_time=NOW))
        read, asked = dg.DagsterInstance.get_status_by_partition, []

        def states(self, key, partitions, definition):
            asked.extend(partitions)
            found = read(self, key, partitions, definition)
            report(instance, REPORT, "2025-01-06")
            return found

        monkeypatch.setattr(dg.DagsterInstance, "get_status_by_partition", states)
        weeks = COMPLETE_WEEKS.get_partition_keys(current_time=NOW)
        assert [slot.key for slot in slots(instance, series, NOW) if slot.is_due] == weeks[1:]
        assert asked == weeks
        slots(instance, series, NOW)
        assert asked == [*weeks, *weeks[1:]], "the states of what is due are looked at, and of no other"


def test_a_run_over_nothing_is_refused():
    with pytest.raises(ValueError, match="needs a partition"):
        range_request([])


def test_the_name_that_is_not_public_is_there_and_still_needs_the_permission():
    """docs/adr/0005."""
    method = getattr(dg.DagsterInstance, "get_latest_storage_id_by_partition", None)
    assert method is not None, "dagster has moved get_latest_storage_id_by_partition(), which finds gaps."
    assert not getattr(method, "_is_public", False), "It is public now: this test can go."
