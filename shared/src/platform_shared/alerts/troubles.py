"""What lasts: it is told when it begins and once more when it ends, whatever is forgotten meanwhile.

Nothing is remembered but the messages themselves: a trouble is open if its first message is there and its second is
not. So a lost cursor, a restart or two looks at once tell nothing twice, and what came and went between two looks is
not told at all.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from platform_shared.ledger import Message, Outbox

_BEGAN = "began"
_ENDED = "ended"


@dataclass(frozen=True)
class Trouble:
    """Something that lasts. `subject` names it (`freshness/raw/order_lines`), `since` tells one time from the next."""

    subject: str
    since: datetime
    route: str
    text: str
    body: str

    @property
    def key(self) -> str:
        """Of its first message."""
        return f"{self.subject}/{self.since:%Y-%m-%dT%H:%M:%S.%fZ}/{_BEGAN}"


@dataclass(frozen=True)
class Ending:
    """How a subject is that is in no trouble any more, in words."""

    text: str
    body: str


def subject_of(key: str) -> str:
    """The subject of a first message's key."""
    return key.rsplit("/", 2)[0]


def second_key(key: str) -> str:
    """Of the message that ends what the message `key` began."""
    return f"{key.removesuffix(_BEGAN)}{_ENDED}"


def transitions(
    told: Collection[Message], troubles: Collection[Trouble], endings: Mapping[str, Ending]
) -> list[Message]:
    """The messages that are missing, given the open ones (`told`) and how the subjects are now.

    A subject is in trouble or has an ending, or nothing is known of it now: then nothing is said.
    """
    open_subjects = {subject_of(message.key) for message in told}
    began = [
        Message(trouble.key, trouble.route, trouble.text, trouble.body)
        for trouble in troubles
        if trouble.subject not in open_subjects
    ]
    ended = [
        Message(second_key(message.key), message.route, endings[subject].text, endings[subject].body)
        for message in told
        if (subject := subject_of(message.key)) in endings
    ]
    return [*began, *ended]


def open_ones(outbox: Outbox, prefix: str) -> list[Message]:
    """First messages of troubles whose second message is not there; subjects start with `prefix`."""
    return outbox.unpaired(prefix, _BEGAN, _ENDED)


def tell(
    outbox: Outbox,
    told: Collection[Message],
    troubles: Collection[Trouble],
    endings: Mapping[str, Ending],
    now: datetime,
) -> int:
    """Stores the messages that are missing, given the open ones (`told`); how many were new.

    An end waits until its beginning is delivered: the outbox does not keep an order.
    """
    held = {second_key(message.key) for message in outbox.undelivered()}
    missing = transitions(told, troubles, endings)
    return sum(outbox.put(message, now) for message in missing if message.key not in held)
