"""The daemon is killed (kill -9) between a tick's result and Dagster's commit of it, and started again.

A real daemon and a real code server: what counts is what Dagster has on record when its process is gone, and what a new
one makes of that, which a simulated daemon in the test's process cannot show. The daemon is caught where it writes to
its storage, by a trigger that holds up the write: nothing of Dagster is changed for that.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from held_storage import HeldStorage
from ingestion_world import CONTRACT, MON, TUE, World, wait_until

from platform_shared.clock import utc_now
from platform_shared.ingestion.tags import BATCH_TAG
from platform_shared.ledger import UnitState
from platform_shared.postgres import postgres
from platform_shared.testing.processes import Processes

LOCATION = Path(__file__).with_name("ingestion_location.py")
MOMENTS = {
    "run requests and cursor": (
        "UPDATE ON dagster.job_ticks",
        "NEW.status = 'STARTED' AND NEW.tick_body LIKE '%\"run_key\"%'",
    ),
    "the run": ("INSERT ON dagster.runs", "TRUE"),
    "the tick's success": ("UPDATE ON dagster.job_ticks", "NEW.status = 'SUCCESS'"),
}
"""What the daemon is about to write, in the order in which it does: the write, and when it is that one."""


@pytest.fixture
def platform(world: World) -> Iterator[Processes]:
    with Processes(world.home, {"ingestion": LOCATION}) as processes:
        yield processes


def test_the_daemon_is_killed_before_it_has_written(world: World, platform: Processes) -> None:
    storage = HeldStorage(postgres(world.home))
    world.deliver("changed.csv")
    platform.start_daemon()
    instance = platform.instance

    def wait_for_rest() -> None:
        """Everything has ended: what was delivered, and the runs."""
        wait_until(lambda: world.states()["loaded"] == delivered and not world.waiting())
        wait_until(lambda: all(run.is_finished for run in instance.get_runs()))

    delivered = 1
    wait_for_rest()
    for number, moment in enumerate(MOMENTS):
        before = {run.run_id for run in instance.get_runs()}
        with storage.holding_up(*MOMENTS[moment]):
            world.deliver("changed.csv", 3 + number, TUE)
            world.deliver(f"new {number}.csv", 2)
            delivered += 2
            wait_until(lambda: bool(storage.waiting()))
            platform.kill_daemon()
        requested = world.units(UnitState.REQUESTED)
        after = [run for run in instance.get_runs() if run.run_id not in before]
        if moment == "the tick's success":
            assert len(after) == 1
        else:
            assert after == []
            assert {unit.object_id for unit in requested} <= {"changed.csv", f"new {number}.csv"}
            assert requested
        if moment == "run requests and cursor":
            # Nobody knows of the batch: it is asked for anew once its lease has run out.
            storage.ask("UPDATE platform.units SET lease_expires_at = now() WHERE state = 'requested'")
        platform.start_daemon()
        wait_for_rest()

    runs = instance.get_runs()
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert len({run.tags[BATCH_TAG] for run in runs}) == len(runs)
    assert {unit.attempts for unit in world.units()} == {1}
    world.announced |= set(instance.get_materialized_partitions(CONTRACT.key))
    assert world.announced == {MON, TUE}
    world.now = utc_now()
    world.check()
