"""Dagster's event log on Postgres, with no event lost between a writer and a reader that remembers how far it read.

Automation conditions, sensors and the status of partitions read events "after the last id seen". That loses what became
visible late, and Dagster's own storage lets it: ids are given before the commit, an event is written apart from what it
says of its asset, and the status of partitions passes over events that it did not read (docs/adr/0011).
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

from platform_shared.together import transactions_of_this_thread

if TYPE_CHECKING:
    import dagster as dg

# Any fixed number: whoever writes an event that others wait for holds this advisory lock until its commit.
_ORDER = 7_401_002
# A writer that is stopped in the middle of its few statements, or waits for a row that somebody else has locked, must
# not stop all others for ever. The turn itself is waited for without a limit: that is why it comes before the second.
_LONGEST_TURN_SECONDS = 60
_TAKE_TURN = sqlalchemy.text(
    "SELECT set_config('idle_in_transaction_session_timeout', :longest, true), "
    f"pg_advisory_xact_lock({_ORDER}), set_config('lock_timeout', :longest, true)"
)
# Of assets, their checks and freshness, and of runs: what conditions, sensors and retries follow. The rest of a run's
# events (logs, steps) is read run by run, from its beginning.
_FOLLOWED = ("ASSET_", "FRESHNESS_", "PIPELINE_", "RUN_")


class PlatformEventLogStorage(PostgresEventLogStorage):
    """`PostgresEventLogStorage` whose followed events become visible in the order of their ids, and whole.

    One writer at a time, for the length of one small transaction; a reader of the last id waits for it. The tables are
    there already.
    """

    def __init__(self, postgres_url: str, runs: PostgresRunStorage) -> None:
        self._thread = threading.local()
        self._runs = runs
        super().__init__(postgres_url, should_autocreate_tables=False)

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()

    def store_event(self, event: "dg.EventLogEntry") -> None:
        happened = event.dagster_event
        if happened is None or not happened.event_type_value.startswith(_FOLLOWED):
            super().store_event(event)
            return
        with self._in_turn():
            super().store_event(event)
            if happened.is_job_event:
                # Dagster does so after the event is to be seen: who retries failed runs may look in between, find a run
                # that goes on, and never look again. It does so again, which changes nothing.
                at = datetime.fromtimestamp(event.timestamp, UTC)
                self._runs.handle_run_event(event.run_id, happened, at)

    def store_event_batch(self, events: "Sequence[dg.EventLogEntry]") -> None:
        with self._in_turn():
            super().store_event_batch(events)

    def get_maximum_record_id(self) -> int | None:
        with self._in_turn():
            return super().get_maximum_record_id()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """All that this thread does in the log meanwhile is one transaction, and no other such transaction runs."""
        if getattr(self._thread, "connection", None) is not None:
            yield
            return
        together = transactions_of_this_thread()
        if together is not None:
            together.enter_context(self._transaction())
            yield
            return
        with self._transaction():
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with super()._connect() as connection:
            connection = connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                connection.execute(_TAKE_TURN, {"longest": f"{_LONGEST_TURN_SECONDS}s"})
                self._thread.connection = connection
                try:
                    yield
                    # A statement that failed and whose error somebody swallowed: the commit would quietly undo it all.
                    connection.execute(sqlalchemy.text("SELECT 1"))
                finally:
                    self._thread.connection = None

    @contextmanager
    def _connect(self) -> Iterator[sqlalchemy.Connection]:
        connection = getattr(self._thread, "connection", None)
        if connection is None:
            with super()._connect() as connection:
                yield connection
        else:
            yield connection

    # The status of partitions is kept with the id up to which it holds: the newest of the events read. Dagster takes
    # the last planned one into it, read now, beside an asset record that may be as old as the tick; if that record says
    # that nothing is new, materializations in between are never read. Such a status is right to answer with and wrong
    # to keep: the next one starts from the one before.

    def get_latest_planned_materialization_info(self, asset_key: "dg.AssetKey", partition: str | None = None) -> Any:
        if partition is None:
            self._unread.add(asset_key)
        return super().get_latest_planned_materialization_info(asset_key, partition)

    def get_materialized_partitions(
        self, asset_key: "dg.AssetKey", before_cursor: int | None = None, after_cursor: int | None = None
    ) -> set[str]:
        self._unread.discard(asset_key)
        return super().get_materialized_partitions(asset_key, before_cursor, after_cursor)

    def update_asset_cached_status_data(self, asset_key: "dg.AssetKey", cache_values: Any) -> None:
        if asset_key not in self._unread:
            super().update_asset_cached_status_data(asset_key, cache_values)

    @property
    def _unread(self) -> "set[dg.AssetKey]":
        """Assets whose last planned event this thread read, and no materialization since."""
        unread: set[dg.AssetKey] = self._thread.__dict__.setdefault("unread", set())
        return unread
