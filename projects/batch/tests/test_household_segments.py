"""Segments of households: learned, passed on by value, told, and scheduled by local hours."""

import contextlib
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from batch.defs import household_segments as defs
from batch.household_segments import NAMES, Household, score, summary, to_csv, to_markdown, train
from platform_shared.contracts import HOUSEHOLD_SPEND
from platform_shared.resources import WarehouseResource

TODAY = date(2026, 3, 2)
MODEL, SEGMENTS = defs.household_segment_model.key, defs.household_segments.key


def household(number, days_ago, baskets, dollars):
    return Household(number, TODAY - timedelta(days=days_ago), baskets, Decimal(dollars))


FOUR_KINDS = [
    household(10 * kind + n, days_ago + n, baskets + n, dollars + n)
    for kind, (days_ago, baskets, dollars) in enumerate([(300, 1, 5), (40, 20, 200), (10, 100, 1500), (1, 400, 9000)])
    for n in range(5)
]


def test_households_that_buy_alike_are_in_one_segment_named_by_what_they_spend():
    model = train(FOUR_KINDS, TODAY)
    segments = {h.household_id: segment for h, segment in score(model, FOUR_KINDS, TODAY, 1_000)}
    assert [segments[10 * kind] for kind in range(4)] == list(NAMES)
    assert all(segments[10 * kind + n] == name for kind, name in enumerate(NAMES) for n in range(5))


@pytest.mark.parametrize("batch_size", [1, 3, 20, 1_000])
def test_the_size_of_batches_changes_nothing(batch_size):
    model = train(FOUR_KINDS, TODAY)
    assert list(score(model, FOUR_KINDS, TODAY, batch_size)) == list(score(model, FOUR_KINDS, TODAY, 7))


@pytest.mark.parametrize(
    ("households", "segments"),
    [(FOUR_KINDS[:1], ["best"]), (FOUR_KINDS[:1] * 3, ["best"]), (FOUR_KINDS[4:6], ["loyal", "best"])],
)
def test_few_households_have_few_segments(households, segments):
    model = train(households, TODAY)
    assert [each.name for each in summary(list(score(model, households, TODAY, 10)))] == segments


def test_without_households_there_is_nothing_to_learn():
    with pytest.raises(ValueError, match="no household"):
        train([], TODAY)


def test_returns_and_purchases_of_tomorrow_are_no_error():
    odd = [*FOUR_KINDS, household(99, -1, 1, "-12.50")]
    model = train(odd, TODAY)
    assert len(list(score(model, odd, TODAY, 10))) == 21


def test_what_the_ui_shows_is_short_enough_to_be_shown():
    scored = list(score(train(FOUR_KINDS, TODAY), FOUR_KINDS, TODAY, 10))
    assert len(to_markdown(summary(scored))) < 1000
    assert to_csv(scored).splitlines()[:2] == ["household_id,segment", "0,occasional"]


class Lake(WarehouseResource):
    """Stands in for the lake: a table of the test's own, in memory."""

    def read(self):
        connection = duckdb.connect()
        connection.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.marts")
        connection.execute(
            "CREATE TABLE lake.marts.household_spend AS SELECT * FROM (VALUES "
            + ", ".join(
                f"({h.household_id}, DATE '{h.last_business_date}', {h.baskets}, {h.sales_value}::DECIMAL(18,2))"
                for h in FOUR_KINDS
            )
            + ") t(household_id, last_business_date, baskets, sales_value)"
        )
        return contextlib.closing(connection)


def test_the_asset_by_a_direct_call():
    config = defs.SegmentsConfig(as_of=TODAY.isoformat())
    output = defs.household_segment_model(config, Lake())
    assert output.value.households == 20
    assert output.metadata["segments"].value == ", ".join(sorted(NAMES))


def test_the_model_goes_through_the_io_manager_to_another_run(shop, source):
    shop.arrives(HOUSEHOLD_SPEND)
    for _ in range(3):
        shop.daemon.tick_automation("batch_automation_sensor")
        shop.daemon.execute_runs()
    assert shop.daemon.materialized(MODEL) == [None]
    assert shop.daemon.materialized(SEGMENTS) == [None]
    assert (shop.home.dagster / "storage" / "reports" / "household_segment_model").is_file()
    ((households, total),) = source.execute(
        "SELECT count(DISTINCT household_id), sum(sales_value) FROM lines"
    ).fetchall()
    metadata = shop.daemon.materializations(SEGMENTS)[-1].asset_materialization.metadata
    assert metadata["dagster/row_count"].value == households
    assert metadata["sales_value"].value == float(total)
    told = shop.told("household_segments.csv").splitlines()[1:]
    assert len(told) == households
    assert {line.split(",")[1] for line in told} == {*NAMES}


def tick_at(shop, instant):
    shop.daemon.advance(datetime.fromisoformat(instant).replace(tzinfo=UTC) - shop.daemon.now)
    return {tick.name: tick for tick in shop.daemon.tick_schedules()}["household_segments_four_hourly_schedule"]


def test_a_fresh_platform_has_no_model_yet(shop):
    assert "no model yet" in tick_at(shop, "2026-12-07T17:00:01").skip_reason


@pytest.mark.parametrize(
    ("instant", "batch_size"),
    [
        ("2026-12-08T05:00:01", None),  # midnight in New York
        ("2026-12-08T09:00:01", None),
        ("2026-12-08T13:00:01", defs.BATCH),  # 08:00
        ("2026-12-08T17:00:01", defs.SMALL_BATCH),  # noon
        ("2026-12-08T21:00:01", defs.SMALL_BATCH),  # 16:00
        ("2026-12-09T01:00:01", None),  # 20:00
    ],
)
def test_every_four_hours_within_business_hours_with_a_batch_by_the_hour(shop, instant, batch_size):
    shop.daemon.report(MODEL)
    tick = tick_at(shop, instant)
    if batch_size is None:
        assert "outside of business hours (8:00 to 20:00)" in tick.skip_reason
    else:
        run = shop.daemon.instance.get_run_by_id(tick.run_ids[0])
        config = run.run_config["ops"]["reports__household_segments"]["config"]
        assert config == {"as_of": "2026-12-08", "batch_size": batch_size}


def test_a_tick_while_the_run_before_is_at_work_is_skipped(shop):
    shop.daemon.report(MODEL)
    assert tick_at(shop, "2026-12-07T17:00:01").run_ids
    assert "waiting already (skip)" in tick_at(shop, "2026-12-07T21:00:01").skip_reason


def test_the_model_is_trained_on_monday_once_there_are_households(shop):
    monday = datetime(2026, 12, 14, 10, 0, 1, tzinfo=UTC)
    shop.daemon.advance(monday - shop.daemon.now)
    ticks = {tick.name: tick for tick in shop.daemon.tick_schedules()}
    assert ticks["segment_model_weekly_schedule"].status == "SKIPPED"
    shop.arrives(HOUSEHOLD_SPEND)
    shop.daemon.advance(timedelta(days=7))
    ticks = {tick.name: tick for tick in shop.daemon.tick_schedules()}
    assert len(ticks["segment_model_weekly_schedule"].run_ids) == 1


def test_heavy_libraries_are_imported_by_the_run_alone():
    code = (
        "import sys, batch.definitions as d; d.defs(); "
        "print([n for n in ('sklearn', 'numpy', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
