"""Both inputs must have changed: the condition, and the sensor that does the same for a job."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.defs.household_report import KEY, on_all_inputs_change
from platform_shared.contracts import HOUSEHOLD_SPEND, RAW_HOUSEHOLDS
from platform_shared.sensors import Places, newest_materializations
from platform_shared.testing.simulation import Simulation

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
USERS, ORDERS = dg.AssetKey("users"), dg.AssetKey("orders")


@dg.asset(key=KEY, deps=[USERS, ORDERS], automation_condition=on_all_inputs_change(KEY))
def report() -> None: ...


@pytest.fixture
def simulation():
    with Simulation(dg.AssetSpec(USERS), dg.AssetSpec(ORDERS), report, now=NOW) as simulation:
        yield simulation


def build(simulation):
    """A look, and the run if it asks for one; whether it asked."""
    asked = bool(simulation.tick())
    if asked:
        simulation.run(KEY)
    return asked


def test_it_is_built_first_when_both_are_there(simulation):
    assert not build(simulation)
    simulation.report(USERS)
    assert not build(simulation)
    simulation.report(ORDERS)
    assert [build(simulation) for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("changes", "builds"),
    [([USERS, USERS], 0), ([ORDERS], 0), ([USERS, USERS, ORDERS], 1), ([ORDERS, USERS, ORDERS, USERS], 2)],
    ids=["users twice", "orders once", "users twice, orders once", "each twice"],
)
def test_it_follows_when_each_has_changed(simulation, changes, builds):
    for key in (USERS, ORDERS):
        simulation.report(key)
    build(simulation)
    count = 0
    for key in changes:
        simulation.report(key)
        count += build(simulation)
    assert count + sum(build(simulation) for _ in range(3)) == builds


@settings(max_examples=8)
@given(st.lists(st.sampled_from(["users", "orders", "look"]), max_size=8))
def test_any_order_of_changes_and_looks(events):
    """Against the rule itself: a look asks if each input has changed since the last one that asked."""
    with Simulation(dg.AssetSpec(USERS), dg.AssetSpec(ORDERS), report, now=NOW) as simulation:
        for key in (USERS, ORDERS):
            simulation.report(key)
        assert build(simulation)
        changed = set()
        for event in events:
            if event == "look":
                both = changed == {"users", "orders"}
                assert build(simulation) == both
                changed = set() if both else changed
            else:
                simulation.report(dg.AssetKey(event))
                changed.add(event)


def test_a_change_right_after_the_request_counts_for_the_next_time(simulation):
    for key in (USERS, ORDERS):
        simulation.report(key)
    assert simulation.tick()
    simulation.report(USERS)
    simulation.run(KEY)
    assert not simulation.tick()
    simulation.report(ORDERS)
    assert simulation.tick()


def test_figures_are_exact(shop, source):
    for contract in (RAW_HOUSEHOLDS, HOUSEHOLD_SPEND):
        shop.arrives(contract)
    for _ in range(3):
        shop.daemon.tick_automation("batch_automation_sensor")
        shop.daemon.execute_runs()
    metadata = shop.daemon.materializations(KEY)[-1].asset_materialization.metadata
    households, sales = source.execute("SELECT count(DISTINCT household_id), sum(sales_value) FROM lines").fetchone()
    assert (metadata["households"].value, metadata["sales_value"].value) == (households, float(sales))
    told = [line.split(",") for line in shop.told("household_report.csv").splitlines()[1:]]
    assert [line[0] for line in told] == ["1", "2", "3", "4", "5+", "unknown"]
    assert sum(int(line[1]) + int(line[2]) for line in told[:-1]) == 801


def location():
    """A job that runs when both have changed: the join as a sensor."""

    @dg.op
    def tell() -> None: ...

    @dg.job
    def tell_job() -> None:
        tell()

    @dg.sensor(job=tell_job, default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=5)
    def both_changed_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        newest = newest_materializations(context.instance, [USERS, ORDERS])
        places = Places.of(context.cursor)
        if unchanged := places.unchanged(newest):
            waits = f"Waits for a change of {', '.join(unchanged)}."
            return dg.SensorResult(skip_reason=waits, cursor=places.cursor())
        both = places.changed(newest)
        request = dg.RunRequest(run_key=f"{both['users']}-{both['orders']}")
        return dg.SensorResult([request], cursor=places.after(both).cursor())

    return dg.Definitions([dg.AssetSpec(USERS), dg.AssetSpec(ORDERS)], jobs=[tell_job], sensors=[both_changed_sensor])


def test_the_sensor_joins_as_the_condition_does(daemon_harness):
    daemon = daemon_harness({"shop": location()}, NOW)

    def look():
        (tick,) = daemon.tick_sensors("both_changed_sensor")
        return tick

    assert look().skip_reason == "Waits for a change of orders, users."
    for key, asks in [(USERS, 0), (USERS, 0), (ORDERS, 1), (ORDERS, 0), (ORDERS, 0), (USERS, 1)]:
        daemon.report(key)
        assert len(look().run_ids) == asks
        assert look().run_ids == ()
    keys = [run.tags["dagster/run_key"] for run in daemon.runs()]
    assert len({*keys}) == 2
