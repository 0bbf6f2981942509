"""Dagster's instance storage on the platform's Postgres; `dagster.yaml` names it under `storage: custom:`."""

import os
import weakref
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from dagster_postgres import DagsterPostgresStorage

from platform_shared.event_log import PlatformEventLogStorage
from platform_shared.postgres import DAGSTER_SCHEMA, first_use, postgres

# Dagster takes it from the environment only, and writes one by one without it: a run of two years' days has thousands.
_EVENTS_AT_ONCE = ("DAGSTER_EVENT_BATCH_SIZE", "200")


class PlatformPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` that starts the embedded server on first use, so that bare `dagster` commands work.

    It takes no settings: where the database is, `platform_shared.postgres` decides. Its event log is
    `PlatformEventLogStorage`. A process keeps the connections that it needed at once, five at most: Dagster's storage
    opens a new one for each query, which costs more than the query.
    """

    def __init__(self, postgres_url: str, inst_data: Any = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        self._events = PlatformEventLogStorage(postgres_url, self._run_storage)
        kept = sqlalchemy.create_engine(
            postgres_url, isolation_level="AUTOCOMMIT", pool_size=5, max_overflow=-1, pool_pre_ping=True
        )
        self._run_storage._engine = self._schedule_storage._engine = self._events._engine = kept
        _leave_to_the_parent(kept)

    @property
    def event_log_storage(self) -> PlatformEventLogStorage:
        return self._events

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "PlatformPostgresStorage":
        os.environ.setdefault(*_EVENTS_AT_ONCE)
        server = postgres()
        with first_use(server, f"{DAGSTER_SCHEMA}.asset_daemon_asset_evaluations"):
            return cls(server.sqlalchemy_url(DAGSTER_SCHEMA), inst_data)


def _leave_to_the_parent(engine: sqlalchemy.Engine) -> None:
    """A forked child (`multiprocessing` in somebody's asset) makes connections of its own: two processes cannot share
    one."""
    reference = weakref.ref(engine)

    def in_child() -> None:
        if (engine := reference()) is not None:
            engine.dispose(close=False)

    os.register_at_fork(after_in_child=in_child)
