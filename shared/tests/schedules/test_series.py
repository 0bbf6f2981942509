"""What the instance knows of the partitions of a series."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from platform_shared.partitions import BUSINESS_DAYS, COMPLETE_WEEKS
from platform_shared.schedules import Input, Series, Slot, range_request, slots, the_days_in, whole_table

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


def test_a_series_without_inputs_is_due_while_it_is_missing():
    stores = dg.DynamicPartitionsDefinition(name="stores")
    series = Series(REPORT, "report_job", stores)
    with dg.DagsterInstance.ephemeral() as instance:
        assert slots(instance, series, NOW) == []
        instance.add_dynamic_partitions("stores", ["31", "367"])
        report(instance, REPORT, "31")
        assert [(slot.key, slot.is_due) for slot in slots(instance, series, NOW)] == [("31", False), ("367", True)]
        assert slots(instance, series, NOW)[1] == Slot("367")


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
