"""A message to people, and how it is stored: by whoever's transaction it belongs to."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from platform_shared.ledger.tables import MESSAGES


@dataclass(frozen=True)
class Message:
    """`key` names what happened (`run-failure/<run id>`): the same key is sent once. `route` is a location's name."""

    key: str
    route: str
    subject: str
    body: str


def put_message(connection: sa.Connection, message: Message, now: datetime) -> bool:
    """Stores a message in the connection's transaction, unless its key is known; True if it was new."""
    statement = (
        insert(MESSAGES)
        .values(key=message.key, route=message.route, subject=message.subject, body=message.body, created_at=now)
        .on_conflict_do_nothing()
    )
    return connection.execute(statement).rowcount == 1
