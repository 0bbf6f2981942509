"""Messages are kept until they are delivered, and sent once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from platform_shared.ledger import Message, Outbox
from platform_shared.postgres import postgres
from platform_shared.settings import Home

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def message(key: str) -> Message:
    return Message(key, "batch", f"subject of {key}", "body")


@pytest.fixture
def outbox(platform_home: Home) -> Iterator[Outbox]:
    outbox = Outbox(postgres(platform_home))
    yield outbox
    outbox.close()


def test_a_key_is_stored_and_sent_once(outbox: Outbox) -> None:
    sent: list[Message] = []
    assert outbox.put(message("one"), NOW)
    assert not outbox.put(message("one"), NOW)
    assert outbox.deliver(sent.append, NOW) == (1, [])
    assert outbox.deliver(sent.append, NOW) == (0, [])
    assert not outbox.put(message("one"), NOW)
    assert sent == [message("one")]


def test_the_oldest_go_first_and_no_more_than_the_limit(outbox: Outbox) -> None:
    sent: list[Message] = []
    for minutes, key in ((2, "late"), (0, "early"), (1, "middle")):
        outbox.put(message(key), NOW + timedelta(minutes=minutes))
    outbox.deliver(sent.append, NOW, limit=2)
    assert [each.key for each in sent] == ["early", "middle"]
    assert [each.key for each in outbox.undelivered()] == ["late"]


def test_a_message_that_cannot_be_sent_stays_and_holds_up_no_other(outbox: Outbox) -> None:
    for key in ("one", "two"):
        outbox.put(message(key), NOW)

    def send(each: Message) -> None:
        if each.key == "one":
            raise ConnectionError("the receiver is away")

    assert outbox.deliver(send, NOW) == (1, ["one: the receiver is away"])
    assert [each.key for each in outbox.undelivered()] == ["one"]
    assert outbox.deliver(lambda each: None, NOW) == (1, [])


def test_two_deliveries_at_once_send_nothing_twice(outbox: Outbox, platform_home: Home) -> None:
    other = Outbox(postgres(platform_home))
    outbox.put(message("one"), NOW)
    during: list[tuple[int, list[str]]] = []
    outbox.deliver(lambda each: during.append(other.deliver(lambda again: None, NOW)), NOW)
    other.close()
    assert during == [(0, [])]
