"""Messages to people: written once under a key, kept until they are delivered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from platform_shared.ledger.migrate import ensure_schema
from platform_shared.ledger.tables import MESSAGES
from platform_shared.postgres import PLATFORM_SCHEMA, PostgresServer


@dataclass(frozen=True)
class Message:
    """`key` names what happened (`run-failure/<run id>`): the same key is sent once. `route` is a location's name."""

    key: str
    route: str
    subject: str
    body: str


class Outbox:
    """Messages of the whole platform; at-least-once delivery, and once wherever the receiver answers."""

    def __init__(self, server: PostgresServer) -> None:
        self._engine = sa.create_engine(server.sqlalchemy_url(PLATFORM_SCHEMA), pool_size=1, pool_pre_ping=True)
        ensure_schema(self._engine)

    def close(self) -> None:
        """Gives the connection back."""
        self._engine.dispose()

    def put(self, message: Message, now: datetime) -> bool:
        """Stores a message unless its key is known; True if it was new."""
        statement = (
            insert(MESSAGES)
            .values(key=message.key, route=message.route, subject=message.subject, body=message.body, created_at=now)
            .on_conflict_do_nothing()
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount == 1

    def deliver(self, send: Callable[[Message], None], now: datetime, *, limit: int = 50) -> tuple[int, list[str]]:
        """Sends what is undelivered, oldest first; returns how many went out, and an error for each that did not.

        A message whose sending raises stays for the next call and holds up no other. Rows are locked while they are
        sent, so that two callers at once do not send one twice.
        """
        delivered, errors = 0, []
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(MESSAGES)
                .where(MESSAGES.c.delivered_at.is_(None))
                .order_by(MESSAGES.c.created_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            ).all()
            for row in rows:
                try:
                    send(Message(row.key, row.route, row.subject, row.body))
                except Exception as error:
                    errors.append(f"{row.key}: {error}")
                    result = {"attempts": row.attempts + 1, "last_error": str(error)[:2000]}
                else:
                    delivered += 1
                    result = {"attempts": row.attempts + 1, "last_error": None, "delivered_at": now}
                connection.execute(sa.update(MESSAGES).where(MESSAGES.c.key == row.key).values(**result))
        return delivered, errors

    def undelivered(self) -> list[Message]:
        """Messages that still have to be sent, oldest first."""
        query = sa.select(MESSAGES).where(MESSAGES.c.delivered_at.is_(None)).order_by(MESSAGES.c.created_at)
        with self._engine.begin() as connection:
            return [Message(row.key, row.route, row.subject, row.body) for row in connection.execute(query)]
