"""A table that gets too old is told to its owner once, and once more when it is fresh again: by the real daemons."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_shared.tags import LOCATION_TAG
from platform_shared.testing.graphql_server import graphql_server
from platform_shared.testing.webhook import webhook_receiver
from platform_shared.webserver import WEBSERVER_VARIABLE

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SHORT = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=2))
RAW = dg.AssetKey(["raw", "receipts"])
NOBODYS = dg.AssetKey(["raw", "found"])
TOO_LONG = timedelta(minutes=3)


@dg.asset(key=RAW, owners=["team:tills"], freshness_policy=SHORT)
def receipts() -> None: ...


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.delenv(WEBSERVER_VARIABLE, raising=False)
    with webhook_receiver() as receiver:
        monkeypatch.setenv("PLATFORM_ALERT_WEBHOOK", receiver.url)
        yield receiver


@pytest.fixture
def harness(daemon_harness, receiver):
    found = dg.AssetSpec(NOBODYS, freshness_policy=SHORT)
    shops = dg.Definitions(assets=[receipts, found], executor=dg.in_process_executor)
    return daemon_harness({"operations": "operations.definitions", "shops": shops}, NOW)


def build(harness):
    harness.launch(RAW, tags={LOCATION_TAG: "shops"})
    harness.execute_runs()


def look(harness, times=1):
    for _ in range(times):
        harness.tick_freshness()
        harness.tick_sensors("freshness_state_sensor")
        harness.tick_sensors("outbox_message_sensor")


def test_a_breach_is_one_message_and_so_is_its_end(harness, receiver):
    build(harness)
    look(harness)
    assert receiver.received == []
    harness.advance(TOO_LONG)
    look(harness, times=3)
    (breach,) = receiver.received
    # Without a webserver to ask, the location of the last run is the owner.
    assert breach["route"] == "shops"
    assert breach["subject"] == "raw/receipts is too old"
    assert "Last materialized: 2026-03-02 12:00" in breach["body"]
    assert "platform why raw/receipts" in breach["body"]
    build(harness)
    look(harness, times=3)
    _, again = receiver.received
    assert again["subject"] == "raw/receipts is fresh again"
    assert again["route"] == "shops"


def test_an_end_never_comes_before_its_beginning(harness, receiver):
    receiver.status = 503
    build(harness)
    harness.advance(TOO_LONG)
    look(harness)
    build(harness)
    receiver.status = 200
    look(harness, times=3)
    assert [message["subject"] for message in receiver.received] == [
        "raw/receipts is too old",
        "raw/receipts is fresh again",
    ]


def test_the_next_breach_is_told_anew(harness, receiver):
    for _ in range(2):
        build(harness)
        look(harness)
        harness.advance(TOO_LONG)
        look(harness)
    assert [message["subject"].rsplit(maxsplit=1)[-1] for message in receiver.received] == ["old", "again", "old"]
    assert len({message["key"] for message in receiver.received}) == 3


def test_several_assets_and_one_that_nobody_owns(harness, receiver):
    build(harness)
    harness.report(NOBODYS)
    harness.advance(TOO_LONG)
    look(harness, times=2)
    assert {message["subject"]: message["route"] for message in receiver.received} == {
        "raw/receipts is too old": "shops",
        "raw/found is too old": "operations",
    }


def test_a_restart_and_lost_sensor_state_tell_nothing_twice(harness, receiver):
    build(harness)
    harness.advance(TOO_LONG)
    look(harness)
    harness.reload()
    harness.stop("freshness_state_sensor")
    harness.start("freshness_state_sensor")
    look(harness)
    assert len(receiver.received) == 1


def test_a_policy_that_is_taken_away_ends_the_breach(harness, receiver):
    build(harness)
    harness.advance(TOO_LONG)
    look(harness)
    harness.reload(shops=dg.Definitions(assets=[dg.AssetSpec(RAW)]))
    look(harness)
    assert "no freshness policy" in receiver.received[-1]["subject"]
    assert len(receiver.received) == 2


def test_the_webserver_names_owner_and_policy(harness, receiver, monkeypatch):
    build(harness)
    harness.advance(TOO_LONG)
    with graphql_server(harness) as url:
        monkeypatch.setenv(WEBSERVER_VARIABLE, url)
        look(harness)
    (breach,) = receiver.received
    assert breach["route"] == "tills"
    assert "built at least every 2 minutes" in breach["body"]
    assert "Owner: team:tills; location: shops" in breach["body"]


def test_a_webserver_that_is_down_keeps_no_message_back(harness, receiver, monkeypatch):
    monkeypatch.setenv(WEBSERVER_VARIABLE, "http://127.0.0.1:9/token")
    build(harness)
    harness.advance(TOO_LONG)
    look(harness)
    assert [message["route"] for message in receiver.received] == ["shops"]


def test_a_sensor_that_fails_tick_after_tick_is_one_message_and_so_is_its_end(daemon_harness, receiver):
    weather = {"bad": True}

    @dg.sensor(minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING, target=receipts)
    def till_sensor() -> dg.SkipReason:
        if weather["bad"]:
            raise ConnectionError("the till does not answer")
        return dg.SkipReason("nothing new")

    shops = dg.Definitions(assets=[receipts], sensors=[till_sensor])
    harness = daemon_harness({"operations": "operations.definitions", "shops": shops}, NOW)

    def tick(times):
        for _ in range(times):
            harness.tick_sensors("till_sensor", may_fail=True)
            harness.tick_sensors("failed_tick_sensor")
            harness.tick_sensors("outbox_message_sensor")

    tick(2)
    assert receiver.received == []
    tick(3)
    (message,) = receiver.received
    assert message["route"] == "shops"
    assert "till_sensor fails" in message["subject"]
    assert "the till does not answer" in message["body"]
    weather["bad"] = False
    tick(3)
    assert [message["subject"] for message in receiver.received[1:]] == ["shops: the sensor till_sensor works again"]
