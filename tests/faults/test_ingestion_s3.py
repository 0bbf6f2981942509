"""S3 is slow, refuses, breaks off, dies, and comes back empty: no object is lost, loaded twice or taken for deleted."""

import re
from collections.abc import Callable

import pytest
from ingestion_world import BUCKET, TUE, World, wait_until

from platform_shared.ingestion.objects import SourceError, SourceMissingError
from platform_shared.ledger import UnitState
from platform_shared.testing.faulty_proxy import CutBody, Delay, Fault, FaultyProxy, Reset, SlowDown
from platform_shared.testing.s3_server import S3Server

LISTING, SECOND_PAGE, OBJECT = r"list-type=2(?!.*continuation)", r"continuation-token", r"/in/new\.csv"
# Longer than any client waits here; a proxy that ends does not wait for it.
TIMEOUT = Delay(60)


@pytest.fixture
def world(s3_server: S3Server, s3_proxy: FaultyProxy, open_world: Callable[..., World]) -> World:
    s3_server.make_bucket(BUCKET)
    world: World = open_world(feed="objects")
    for name in ("a.csv", "changed.csv", "stays.csv"):
        world.deliver(name)
    world.load_all()
    world.deliver("changed.csv", 3, TUE)
    world.deliver("new.csv", 4, TUE)
    world.deliver_bad("bad.csv")
    return world


FAULTS = pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(TIMEOUT, "read timeout", id="timeout"),
        pytest.param(SlowDown(), "SlowDown", id="slow down"),
        pytest.param(CutBody(20), "broke off|reached max retries", id="cut body"),
        pytest.param(Reset(), "connection was closed", id="reset"),
    ],
)


@FAULTS
def test_one_failure_a_request_is_no_failure(world: World, s3_proxy: FaultyProxy, fault: Fault, said: str) -> None:
    met = [s3_proxy.misbehave(fault, method="GET", path=path) for path in (LISTING, SECOND_PAGE, OBJECT)]
    world.load_all()
    assert [each.happened for each in met] == [1, 1, 1]
    world.check()
    assert {unit.attempts for unit in world.units()} == {1}


@FAULTS
def test_a_listing_that_fails_is_an_error_that_says_why(
    world: World, s3_proxy: FaultyProxy, fault: Fault, said: str
) -> None:
    before = world.units()
    for path in (LISTING, SECOND_PAGE):
        lasting = s3_proxy.misbehave(fault, times=1_000, method="GET", path=path)
        with pytest.raises(SourceError, match=f"(?i)'{BUCKET}'.*({said})"):
            world.look()
        assert lasting.happened > 1
        lasting.left = 0
        assert world.units() == before
    world.load_all()
    world.check()


@FAULTS
def test_an_object_that_cannot_be_fetched_is_tried_again_and_says_why(
    world: World, s3_proxy: FaultyProxy, fault: Fault, said: str
) -> None:
    lasting = s3_proxy.misbehave(fault, times=1_000, method="GET", path=OBJECT)
    before, batch = world.table(), world.ask()
    with pytest.raises(SourceError):
        world.load(batch)
    assert world.table() == before
    given_back = world.units(UnitState.DISCOVERED)
    assert [unit.object_id for unit in given_back] == ["bad.csv", "changed.csv", "new.csv"]
    for unit in given_back:
        assert re.search(f"(?i)SourceError: .*{BUCKET}.*new.csv.*({said})", str(unit.reason)), unit.reason
    assert world.look() == [], "it pauses"
    lasting.left = 0
    world.load_all()
    world.check()


def test_a_server_that_dies_between_two_objects_and_comes_back_empty(
    world: World, s3_server: S3Server, s3_proxy: FaultyProxy
) -> None:
    before, batch = world.table(), world.ask()
    lasting = s3_proxy.misbehave(TIMEOUT, times=1_000, method="GET", path=OBJECT)
    run = world.start("load", batch=batch)
    wait_until(lambda: s3_proxy.passed("GET", "/in/changed.csv") == 1)
    s3_server.kill()
    assert run.end() == 1
    assert run.error.startswith("SourceError: ")
    assert {unit.reason for unit in world.units(UnitState.DISCOVERED)} == {run.error}
    with pytest.raises(SourceError, match=BUCKET):
        world.look()

    lasting.left = 0
    s3_server.start()
    world.now += world.feed.limits.pauses[-1]
    with pytest.raises(SourceMissingError, match=f"'{BUCKET}'.*does not exist"):
        world.look()
    s3_server.make_bucket(BUCKET)
    world.load_all()
    # What was asked for is gone, what was loaded is not.
    assert world.table() == before
    assert world.states() == {"loaded": 3, "superseded": 3}
    assert {unit.reason for unit in world.units(UnitState.SUPERSEDED)} == {"gone before it was read"}
    world.put_all_again()
    world.load_all()
    world.check()


def test_a_bucket_that_is_lost_and_filled_again_is_not_loaded_again(world: World, s3_server: S3Server) -> None:
    world.load_all()
    changes = world.snapshots()
    s3_server.kill()
    s3_server.start()
    s3_server.make_bucket(BUCKET)
    world.look()
    world.put("a.csv", world.content["a.csv"])
    world.load_all()
    assert world.table() == world.good
    world.put_all_again()
    world.load_all()
    world.check()
    assert world.snapshots() == changes
