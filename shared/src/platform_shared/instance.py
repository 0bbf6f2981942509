"""Dagster's instance storage on the platform's Postgres; `dagster.yaml` names it under `storage: custom:`."""

import os
from collections.abc import Mapping
from typing import Any

from dagster_postgres import DagsterPostgresStorage

from platform_shared.event_log import PlatformEventLogStorage
from platform_shared.postgres import DAGSTER_SCHEMA, first_use, postgres

# Dagster takes it from the environment only, and writes one by one without it: a run of two years' days has thousands.
_EVENTS_AT_ONCE = ("DAGSTER_EVENT_BATCH_SIZE", "200")


class PlatformPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` that starts the embedded server on first use, so that bare `dagster` commands work.

    It takes no settings: where the database is, `platform_shared.postgres` decides. Its event log is
    `PlatformEventLogStorage`.
    """

    def __init__(self, postgres_url: str, inst_data: Any = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        self._events = PlatformEventLogStorage(postgres_url)

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
