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


def test_a_dead_receiver_holds_up_no_other_route(outbox: Outbox) -> None:
    for number in range(5):
        outbox.put(Message(f"dead {number}", "dead", "subject", "body"), NOW)
    outbox.put(message("alive"), NOW + timedelta(minutes=1))
    tried: list[str] = []

    def send(each: Message) -> None:
        tried.append(each.key)
        if each.route == "dead":
            raise ConnectionError("the receiver is away")

    # More of them wait than one call takes: each call tries one, and the others move up.
    for _ in range(6):
        outbox.deliver(send, NOW, limit=3)
    assert "alive" in tried
    assert tried.count("alive") == 1
    assert len(outbox.undelivered()) == 5
    assert outbox.deliver(lambda each: None, NOW) == (5, [])


def test_a_message_that_is_refused_holds_up_no_other_of_its_route(outbox: Outbox) -> None:
    for key in ("refused", "fine"):
        outbox.put(message(key), NOW)

    def send(each: Message) -> None:
        if each.key == "refused":
            raise ValueError("the receiver does not want it")

    assert outbox.deliver(send, NOW) == (0, ["refused: the receiver does not want it"])
    assert outbox.deliver(send, NOW)[0] == 1
    assert [each.key for each in outbox.undelivered()] == ["refused"]


def test_what_was_sent_before_a_crash_is_not_sent_again(outbox: Outbox) -> None:
    for key in ("one", "two"):
        outbox.put(message(key), NOW)
    sent: list[str] = []

    def send(each: Message) -> None:
        if each.key == "two" and "two" not in sent:
            sent.append("two")
            raise KeyboardInterrupt
        sent.append(each.key)

    with pytest.raises(KeyboardInterrupt):
        outbox.deliver(send, NOW)
    outbox.deliver(send, NOW)
    assert sent == ["one", "two", "two"]


def test_two_deliveries_at_once_send_nothing_twice(outbox: Outbox, platform_home: Home) -> None:
    other = Outbox(postgres(platform_home))
    outbox.put(message("one"), NOW)
    during: list[tuple[int, list[str]]] = []
    outbox.deliver(lambda each: during.append(other.deliver(lambda again: None, NOW)), NOW)
    other.close()
    assert during == [(0, [])]
