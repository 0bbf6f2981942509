"""A process of ingestion is killed (kill -9) at a named point: everything arrives once, or is set aside once."""

import pytest
from ingestion_world import MON, TUE, World, csv

from platform_shared.ledger import UnitState

BEFORE_COMMIT = [
    "ingestion.before_fetch",
    "warehouse.after_copy",
    "warehouse.after_fsync",
    "warehouse.after_delete",
    "warehouse.before_commit",
]
AFTER_COMMIT = ["warehouse.after_commit", "ingestion.before_announce", "ingestion.before_ledger"]


def deliver(world: World) -> str:
    """A batch that has all kinds of objects: new, changed (to another day), resent with the same bytes, and bad."""
    for name in ("changed.csv", "moved.csv", "same.csv", "stays.csv"):
        world.deliver(name)
    world.load_all()
    world.put("same.csv", csv(*world.good["same.csv"]))
    world.deliver("changed.csv", 3)
    world.deliver("moved.csv", 2, TUE)
    world.deliver("new/first.csv", 5, TUE)
    world.deliver_bad("bad.csv")
    return world.ask()


@pytest.mark.parametrize(
    ("point", "seen"),
    [(point, number % 2 == 0) for number, point in enumerate([*BEFORE_COMMIT, *AFTER_COMMIT])]
    + [("warehouse.before_commit", False), ("warehouse.after_commit", True)],
)
def test_a_run_is_killed(world: World, point: str, seen: bool) -> None:
    """`seen`: Dagster notices that the run ended; else its lease runs out."""
    batch = deliver(world)
    before = world.table()
    run = world.start("load", point, batch=batch)
    run.reach(point)
    run.kill()

    expected = before if point in BEFORE_COMMIT else world.good
    assert world.table() == expected
    held = world.units(UnitState.REQUESTED)
    assert {unit.batch_id for unit in held} == {batch}
    if seen:
        world.ended.add(batch)
        assert world.look() == []
        assert {unit.reason for unit in world.units(UnitState.DISCOVERED)} == {
            f"run of {batch} ended as FAILURE without a reason"
        }
    world.load_all()
    world.check()
    assert world.announced == {MON, TUE}
    assert all(unit.attempts == 2 for unit in world.units() if unit.object_id in ("new/first.csv", "bad.csv"))


@pytest.mark.parametrize("point", ["looking.before_lease", "looking.after_lease"])
def test_a_look_is_killed(world: World, point: str) -> None:
    """Before its cursor and what it asks for are known to anybody."""
    world.deliver("a.csv")
    world.load_all()
    world.deliver("a.csv", 3)
    world.deliver("b.csv", 4, TUE)
    world.deliver_bad("c.csv")
    look = world.start("look", point)
    look.reach(point)
    look.kill()

    state = UnitState.DISCOVERED if point == "looking.before_lease" else UnitState.REQUESTED
    assert [unit.object_id for unit in world.units(state)] == ["a.csv", "b.csv", "c.csv"]
    if state is UnitState.REQUESTED:
        assert world.look() == [], "the lease holds until it runs out"
    world.load_all()
    world.check()


@pytest.mark.parametrize("point", ["warehouse.before_commit", "warehouse.after_commit"])
def test_an_object_whose_every_run_is_killed_is_set_aside_once_and_can_be_replayed(world: World, point: str) -> None:
    world.deliver("a.csv")
    before = dict(world.good)
    world.load_all()
    world.deliver("a.csv", 3)
    for _ in range(world.feed.limits.attempts):
        run = world.start("load", point, batch=world.ask())
        run.reach(point)
        run.kill()
        world.now += world.feed.limits.lease
    world.load_all()

    (unit,) = world.ledger.quarantined("files")
    assert "3 tries failed; the last one: the run ended without a word, its lease ran out" in str(unit.reason)
    committed, world.bad = world.good, {"a.csv"}
    # What a dead run has committed stays: the newest version is shown, and its owner asked to look.
    world.good = before if point == "warehouse.before_commit" else committed
    world.check()

    world.good, world.bad = committed, set()
    assert world.replay() == ["a.csv"]
    world.load_all()
    world.check()
