import logging

import pytest

from platform_shared.alerts import AlertRoutes
from platform_shared.ledger import Message
from platform_shared.testing.webhook import webhook_receiver

MESSAGE = Message("run-failure/r1", "batch", "batch: report failed", "Run r1\nboom")
LOG = logging.getLogger("routes")


@pytest.fixture
def receiver(monkeypatch):
    for name in ("PLATFORM_ALERT_WEBHOOK", "PLATFORM_ALERT_WEBHOOK_BATCH", "PLATFORM_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    with webhook_receiver() as receiver:
        yield receiver


def test_without_a_webhook_a_message_goes_to_the_log(receiver, caplog):
    AlertRoutes().send(MESSAGE, LOG)
    assert "batch: report failed" in caplog.text
    assert receiver.received == []


@pytest.mark.parametrize("variable", ["PLATFORM_ALERT_WEBHOOK", "PLATFORM_ALERT_WEBHOOK_BATCH"])
def test_a_webhook_gets_it_and_the_log_does_not(receiver, monkeypatch, caplog, variable):
    monkeypatch.setenv(variable, receiver.url)
    AlertRoutes().send(MESSAGE, LOG)
    (received,) = receiver.received
    assert received["key"] == MESSAGE.key
    assert received["route"] == "batch"
    assert received["environment"] == "local"
    assert "boom" in received["text"]
    assert caplog.text == ""


def test_the_owners_webhook_goes_before_the_common_one(receiver, monkeypatch):
    monkeypatch.setenv("PLATFORM_ALERT_WEBHOOK", "http://127.0.0.1:9/nobody")
    monkeypatch.setenv("PLATFORM_ALERT_WEBHOOK_BATCH", receiver.url)
    AlertRoutes().send(MESSAGE, LOG)
    assert len(receiver.received) == 1


def test_a_refusal_is_an_error_without_the_secret(receiver, monkeypatch):
    monkeypatch.setenv("PLATFORM_ALERT_WEBHOOK", receiver.url)
    receiver.status = 503
    with pytest.raises(RuntimeError, match="PLATFORM_ALERT_WEBHOOK answered 503") as error:
        AlertRoutes().send(MESSAGE, LOG)
    assert "secret-token" not in str(error.value)


def test_an_unreachable_receiver_is_an_error_without_the_secret(monkeypatch):
    monkeypatch.delenv("PLATFORM_ALERT_WEBHOOK_BATCH", raising=False)
    monkeypatch.setenv("PLATFORM_ALERT_WEBHOOK", "http://127.0.0.1:9/hook/secret-token")
    with pytest.raises(RuntimeError, match="cannot be reached") as error:
        AlertRoutes().send(MESSAGE, LOG)
    assert "secret-token" not in str(error.value)
