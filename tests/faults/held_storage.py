"""Dagster's storage, in which a write can be held up: so a daemon is caught, as it is, between two of its writes.

What it has written before is then all that is on record of what it did: killed there, it has left off at a point that
has a name. Nothing of Dagster is changed for that.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from platform_shared.postgres import PostgresServer

KEY = 4711


class HeldStorage:
    """The storage in the database of `server`."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def ask(self, *statements: str) -> list[int]:
        """The first column of the last statement's rows."""
        connection = self._server.connect()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return [row[0] for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    @contextmanager
    def holding_up(self, write: str, condition: str = "TRUE") -> Iterator[None]:
        """Meanwhile the write waits, if it comes; at the end the session that waits is ended, as its process was.

        `write` is what a trigger fires before, `INSERT ON dagster.runs`; `condition` is over NEW, OLD and all tables.
        """
        holder = self._server.connect()
        holder.autocommit = True
        holder.cursor().execute(f"SELECT pg_advisory_lock({KEY})")
        self.ask(
            "CREATE FUNCTION public.hold_up() RETURNS trigger LANGUAGE plpgsql AS $function$ "
            f"BEGIN IF {condition} THEN PERFORM pg_advisory_xact_lock({KEY}); END IF; RETURN NEW; END $function$",
            f"CREATE TRIGGER hold_up BEFORE {write} FOR EACH ROW EXECUTE FUNCTION public.hold_up()",
        )
        try:
            yield
        finally:
            waiting = self.waiting()
            self.ask(*(f"SELECT pg_terminate_backend({session}, 10000)" for session in waiting))
            self.ask("DROP FUNCTION public.hold_up() CASCADE")
            holder.close()

    def waiting(self) -> list[int]:
        """Sessions that are held up."""
        return self.ask(f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = {KEY}")
