"""Failures of all locations reach their owner once, after the last retry: through the real sensor loop."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_shared.tags import LOCATION_TAG
from platform_shared.testing.webhook import webhook_receiver

NOW = datetime(2026, 3, 2, 12, 0, 1, tzinfo=UTC)
BROKEN = dg.AssetKey("broken")
FINE = dg.AssetKey("fine")
TEN_SECONDS = timedelta(seconds=10)


@dg.asset
def broken():
    raise RuntimeError("the till in store 7 answers nonsense")


@dg.asset
def fine():
    return None


@pytest.fixture
def receiver(monkeypatch):
    with webhook_receiver() as receiver:
        monkeypatch.setenv("PLATFORM_ALERT_WEBHOOK", receiver.url)
        monkeypatch.delenv("PLATFORM_ALERT_WEBHOOK_TILLS", raising=False)
        yield receiver


@pytest.fixture
def harness(daemon_harness, receiver):
    tills = dg.Definitions(assets=[broken, fine], executor=dg.in_process_executor)
    harness = daemon_harness({"operations": "operations.definitions", "tills": tills}, NOW)
    harness.tick_sensors()  # a run-status sensor looks at what comes after its first tick
    return harness


def fail(harness, **tags):
    harness.launch(BROKEN, tags={LOCATION_TAG: "tills", **tags})
    harness.execute_runs(may_fail=True)


def look(harness, times=3):
    for _ in range(times):
        harness.advance(TEN_SECONDS)
        harness.tick_sensors()


def test_a_failure_in_another_location_is_one_message_to_its_owner(harness, receiver):
    fail(harness)
    look(harness, times=6)
    (message,) = receiver.received
    assert message["route"] == "tills"
    assert "tills" in message["subject"]
    assert "the till in store 7 answers nonsense" in message["body"]
    assert harness.runs()[0].run_id in message["body"]


def test_a_success_is_no_message(harness, receiver):
    harness.launch(FINE)
    harness.execute_runs()
    look(harness)
    assert receiver.received == []


def test_nothing_is_sent_before_the_last_retry(harness, receiver):
    fail(harness, **{"dagster/max_retries": "2"})
    look(harness)
    assert receiver.received == []
    for _ in range(2):
        assert harness.tick_retries()
        harness.execute_runs(may_fail=True)
        look(harness)
    assert harness.tick_retries() == []
    look(harness)
    assert len(harness.runs()) == 3
    (message,) = receiver.received
    assert "after 3 tries" in message["subject"]


def test_a_try_that_the_ledger_repeats_is_no_message(harness, receiver):
    fail(harness, **{"platform/attempt": "1", "platform/max_attempts": "3"})
    look(harness)
    assert receiver.received == []
    fail(harness, **{"platform/attempt": "3", "platform/max_attempts": "3"})
    look(harness)
    assert len(receiver.received) == 1


def test_a_message_waits_for_a_receiver_that_is_down_and_comes_once(harness, receiver):
    receiver.status = 503
    fail(harness)
    look(harness)
    assert receiver.received == []
    receiver.status = 200
    look(harness)
    assert len(receiver.received) == 1


def test_two_failures_are_two_messages(harness, receiver):
    fail(harness)
    fail(harness)
    look(harness)
    assert len({message["key"] for message in receiver.received}) == len(receiver.received) == 2


def test_the_secret_of_the_webhook_stands_in_no_tick(harness, receiver):
    receiver.status = 503
    fail(harness)
    look(harness)
    ticks = harness.ticks("outbox_message_sensor")
    assert ticks
    assert "secret-token" not in repr(ticks)
