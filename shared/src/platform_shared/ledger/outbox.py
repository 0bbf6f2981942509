"""Messages to people: written once under a key, kept until they are delivered."""

import time
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from platform_shared.ledger.messages import Message, put_message
from platform_shared.ledger.migrate import ensure_schema
from platform_shared.ledger.tables import MESSAGES
from platform_shared.postgres import PLATFORM_SCHEMA, PostgresServer


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
        with self._engine.begin() as connection:
            return put_message(connection, message, now)

    def unpaired(self, prefix: str, first: str, second: str) -> list[Message]:
        """Messages `<prefix>…<first>` whose counterpart, with `second` in place of `first`, is not there; by key."""
        counterpart = MESSAGES.alias()
        name = sa.func.left(MESSAGES.c.key, sa.func.length(MESSAGES.c.key) - len(first)).concat(second)
        query = (
            sa.select(MESSAGES)
            .where(MESSAGES.c.key.startswith(prefix, autoescape=True), MESSAGES.c.key.endswith(first, autoescape=True))
            .where(~sa.exists().where(counterpart.c.key == name))
            .order_by(MESSAGES.c.key)
        )
        with self._engine.begin() as connection:
            return [Message(row.key, row.route, row.subject, row.body) for row in connection.execute(query)]

    def deliver(
        self, send: Callable[[Message], None], now: datetime, *, limit: int = 50, seconds: float = 20.0
    ) -> tuple[int, list[str]]:
        """Sends what is undelivered; returns how many went out, and an error for each that did not.

        Those that failed least come first, so that a dead receiver holds up no other route; of a route that failed
        once, nothing more is tried in this call. Ends after `limit` messages or `seconds`. Each message is sent in a
        transaction that locks it: two callers at once do not send it twice, a crash sends one again at most.
        """
        delivered, errors, failed = 0, [], set[str]()
        deadline = time.monotonic() + seconds
        query = (
            sa.select(MESSAGES.c.key, MESSAGES.c.route)
            .where(MESSAGES.c.delivered_at.is_(None))
            .order_by(MESSAGES.c.attempts, MESSAGES.c.created_at)
            .limit(limit)
        )
        with self._engine.begin() as connection:
            waiting = [(str(row.key), str(row.route)) for row in connection.execute(query)]
        for key, route in waiting:
            if route in failed or time.monotonic() > deadline:
                continue
            with self._engine.begin() as connection:
                error = self._deliver_one(connection, key, send, now)
            if error is None:
                delivered += 1
            elif error:
                failed.add(route)
                errors.append(f"{key}: {error}")
        return delivered, errors

    def _deliver_one(
        self, connection: sa.Connection, key: str, send: Callable[[Message], None], now: datetime
    ) -> str | None:
        """None if it went out, the error if it did not, an empty string if another caller has it."""
        row = connection.execute(
            sa.select(MESSAGES)
            .where(MESSAGES.c.key == key, MESSAGES.c.delivered_at.is_(None))
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if row is None:
            return ""
        result: dict[str, object] = {"attempts": row.attempts + 1}
        try:
            send(Message(row.key, row.route, row.subject, row.body))
        except Exception as error:
            result["last_error"] = str(error)[:2000] or type(error).__name__
        else:
            result |= {"last_error": None, "delivered_at": now}
        connection.execute(sa.update(MESSAGES).where(MESSAGES.c.key == key).values(**result))
        return None if result["last_error"] is None else str(result["last_error"])

    def undelivered(self) -> list[Message]:
        """Messages that still have to be sent, oldest first."""
        query = sa.select(MESSAGES).where(MESSAGES.c.delivered_at.is_(None)).order_by(MESSAGES.c.created_at)
        with self._engine.begin() as connection:
            return [Message(row.key, row.route, row.subject, row.body) for row in connection.execute(query)]
