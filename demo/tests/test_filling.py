import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from demo_world.bucket import BUCKET, bucket_at
from demo_world.filling import LOOK_EVERY_SECONDS, SEND_AGAIN_EVERY, Filler
from demo_world.households import household_objects
from demo_world.products import KEY as PRODUCTS
from demo_world.products import products_object
from demo_world.promotions import promotions_key, promotions_object
from platform_shared.testing.faulty_proxy import FaultyProxy, SlowDown
from platform_shared.testing.s3_server import S3Server

HOUSEHOLDS = {thing.key for thing in household_objects()}
FIRST = date(2025, 7, 6)
START = datetime(2025, 7, 13, 12, tzinfo=UTC)
WEEKS = [date(2025, 6, 30), date(2025, 7, 7)]
KEYS = HOUSEHOLDS | {PRODUCTS} | {promotions_key(monday) for monday in WEEKS}


class World:
    """A bucket whose time passes only by waiting, up to an end; `before` happens then, at the given wait of a time."""

    def __init__(self, endpoint_url: str, minutes: float = 1000, start: datetime = START) -> None:
        self.now = start
        self.end = start + timedelta(minutes=minutes)
        self.waits = 0
        self.before: dict[int, Callable[[], object]] = {}
        self.filler = Filler(bucket_at(endpoint_url), FIRST, lambda: self.now, self.wait)

    def wait(self, seconds: float) -> bool:
        if seconds:
            self.waits += 1
            self.before.get(self.waits, lambda: None)()
        self.now += timedelta(seconds=seconds)
        return self.now >= self.end


def versions(server: S3Server) -> dict[str, list[str]]:
    """Etags by key, the newest first."""
    found: dict[str, list[str]] = {}
    for entry in server.client.list_object_versions(Bucket=BUCKET).get("Versions", []):
        found.setdefault(entry["Key"], []).append(entry["ETag"].strip('"'))
    return found


def etags(keys: set[str]) -> dict[str, list[str]]:
    things = [*household_objects(), products_object(), *(promotions_object(monday) for monday in WEEKS)]
    return {thing.key: [hashlib.md5(thing.content).hexdigest()] for thing in things if thing.key in keys}


def said(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], list[str]]:
    output = capsys.readouterr()
    return [json.loads(line) for line in output.out.splitlines()], output.err.splitlines()


def test_the_past_comes_at_once_and_a_second_time_changes_nothing(
    s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert World(s3_server.endpoint_url).filler.play_past(60)
    reports, told = said(capsys)
    assert reports == [
        {"feed": "households", "objects": 9, "rows": 801},
        {"feed": "products", "objects": 1, "rows": 92331},
        {"feed": "promotions", "week": "2025-06-30", "objects": 1, "rows": 336420, "source_week": 29},
        {"feed": "promotions", "week": "2025-07-07", "objects": 1, "rows": 371912, "source_week": 30},
    ]
    assert told == []
    assert versions(s3_server) == etags(KEYS)
    assert s3_server.client.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"

    assert World(s3_server.endpoint_url).filler.play_past(60)
    assert said(capsys) == (reports, [])
    assert versions(s3_server) == etags(KEYS)


def test_what_is_asked_to_stop_is_not_complete(s3_server: S3Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert not World(s3_server.endpoint_url, minutes=0).filler.play_past(60)
    assert versions(s3_server) == {}
    assert said(capsys) == ([], [])


def test_a_server_that_takes_nothing_is_given_up_after_a_while_and_told_once(
    s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    s3_server.kill()
    world = World(s3_server.endpoint_url)
    assert not world.filler.play_past(60)
    assert world.now - START == timedelta(seconds=60)
    reports, told = said(capsys)
    assert reports == []
    assert len(told) == 1
    assert s3_server.endpoint_url in told[0]


def test_a_server_that_comes_late_is_filled(s3_server: S3Server, capsys: pytest.CaptureFixture[str]) -> None:
    s3_server.kill()
    world = World(s3_server.endpoint_url)
    world.before = {3: s3_server.start}
    assert world.filler.play_past(60)
    assert versions(s3_server) == etags(KEYS)
    reports, told = said(capsys)
    assert len(reports) == 4
    assert told[1:] == ["S3 answers again"]


def test_a_server_that_forgot_everything_is_filled_again(
    s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def restart() -> None:
        s3_server.kill()
        s3_server.start()
        assert s3_server.client.list_buckets()["Buckets"] == []

    world = World(s3_server.endpoint_url, minutes=1)
    world.before = {3: restart}
    world.filler.play_live()
    assert versions(s3_server) == etags(KEYS)
    reports, told = said(capsys)
    assert len(reports) == 4
    assert told == ["12 objects were gone from S3 and are there again"]


def test_a_server_that_dies_and_comes_back_later_is_filled_again(
    s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(s3_server.endpoint_url, minutes=1)
    world.before = {3: s3_server.kill, 6: s3_server.start}
    world.filler.play_live()
    assert versions(s3_server) == etags(KEYS)
    _, told = said(capsys)
    assert s3_server.endpoint_url in told[0]
    assert told[1:] == ["12 objects were gone from S3 and are there again", "S3 answers again"]


def test_one_object_that_is_gone_comes_back_and_the_others_stay(
    s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = promotions_key(WEEKS[0])
    world = World(s3_server.endpoint_url, minutes=1)
    world.before = {2: lambda: s3_server.client.delete_object(Bucket=BUCKET, Key=lost)}
    world.filler.play_live()
    assert versions(s3_server) == etags(KEYS) | {lost: 2 * etags({lost})[lost]}
    assert said(capsys)[1] == ["1 objects were gone from S3 and are there again"]


def test_a_server_that_is_too_busy_for_a_moment_is_not_even_told(
    s3_proxy: FaultyProxy, s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = s3_proxy.misbehave(SlowDown(), method="PUT", path="customer_data")
    assert World(s3_proxy.url).filler.play_past(60)
    assert busy.happened == 1
    assert versions(s3_server) == etags(KEYS)
    assert said(capsys)[1] == []


def test_what_a_busy_server_did_not_take_follows(
    s3_proxy: FaultyProxy, s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = s3_proxy.misbehave(SlowDown(), times=4, method="PUT", path="customer_data")
    assert World(s3_proxy.url).filler.play_past(60)
    assert busy.happened == 4
    assert versions(s3_server) == etags(KEYS)
    reports, told = said(capsys)
    assert len(reports) == 4
    assert "SlowDown" in told[0]


def test_live_an_object_comes_again_with_its_lines_in_another_order(
    s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(s3_server.endpoint_url, minutes=10 * SEND_AGAIN_EVERY.total_seconds() / 60 + 2)
    world.filler.play_live()
    found = versions(s3_server)
    first, *others = sorted(HOUSEHOLDS)
    assert len(found[first]) == 3
    assert {len(found[key]) for key in others} == {2}
    assert all(len(set(found[key])) == len(found[key]) for key in HOUSEHOLDS)
    assert {key: those[-1:] for key, those in found.items()} == etags(KEYS)
    bodies = {}
    for entry in s3_server.client.list_object_versions(Bucket=BUCKET, Prefix=first)["Versions"]:
        answer = s3_server.client.get_object(Bucket=BUCKET, Key=first, VersionId=entry["VersionId"])
        bodies[entry["VersionId"]] = sorted(answer["Body"].read().splitlines())
    assert len(bodies) == 3
    assert all(lines == next(iter(bodies.values())) for lines in bodies.values())
    assert len(said(capsys)[1]) == 10


def test_a_week_comes_when_it_begins(s3_server: S3Server, capsys: pytest.CaptureFixture[str]) -> None:
    before_midnight = datetime(2025, 7, 7, 4, tzinfo=UTC) - timedelta(seconds=30)
    seen = []
    world = World(s3_server.endpoint_url, minutes=1, start=before_midnight)
    nth = round(30 / LOOK_EVERY_SECONDS)
    world.before = {nth: lambda: seen.append(set(versions(s3_server)))}
    world.filler.play_live()
    assert seen == [KEYS - {promotions_key(WEEKS[1])}]
    assert set(versions(s3_server)) == KEYS
    assert [each.get("week") for each in said(capsys)[0]] == [None, None, "2025-06-30", "2025-07-07"]


def test_the_whole_product_master_comes_again_with_each_day(
    s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    before_midnight = datetime(2025, 7, 7, 4, tzinfo=UTC) - timedelta(seconds=30)
    World(s3_server.endpoint_url, minutes=1, start=before_midnight).filler.play_live()
    (etag,) = etags({PRODUCTS})[PRODUCTS]
    assert versions(s3_server)[PRODUCTS] == [etag, etag]
    assert said(capsys)[1] == [f"{PRODUCTS} sent again, the same 92331 rows: a snapshot comes with each day"]
