"""Running dbt against the lake."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from platform_shared.environ import environment_variables
from platform_shared.settings import Home, SettingsError, platform_home
from platform_shared.warehouse.connection import Warehouse
from platform_shared.warehouse.extensions import extension_directory
from platform_shared.warehouse.locks import table_lock

_LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}

PARSED = "partial_parse.msgpack"
"""dbt's own file of what it has parsed."""

KEEP_FAILED = timedelta(days=7)
"""How long logs and compiled SQL of a failed run are kept."""


def dbt_variables(home: Home | None = None) -> dict[str, str]:
    """Environment variables that `profiles.yml` and libpq read; the password is among them, so never log them."""
    home = home or platform_home()
    warehouse = Warehouse.of(home)
    parameters = warehouse.server.libpq()
    if unknown := parameters.keys() - _LIBPQ.keys():
        raise SettingsError(f"dbt cannot be told these parameters of the Postgres URL: {', '.join(sorted(unknown))}.")
    variables = {_LIBPQ[name]: value for name, value in parameters.items()}
    return {
        **variables,
        "PLATFORM_LAKE_PATH": warehouse.data_path,
        # The same for each run: another value would make dbt parse the project anew.
        "PLATFORM_DUCKDB_TEMP": str(home.dbt / "spilled"),
        "PLATFORM_DUCKDB_EXTENSIONS": str(extension_directory(warehouse.extensions)),
    }


@contextmanager
def dbt_turn(home: Home | None = None) -> Iterator[dict[str, str]]:
    """Waits until no other dbt writes the project's schemas (rule R3), and yields `dbt_variables`.

    A pool keeps waiting runs in the queue, but is no lock: Dagster does not apply a pool's default limit before the
    pool was used once, and a run that is executed directly (`dg launch`, `dagster asset materialize`) passes no queue.
    """
    home = home or platform_home()
    with table_lock(Warehouse.of(home).server, "dbt_project"):
        yield dbt_variables(home)


@contextmanager
def dbt_environment(project: str) -> Iterator[Path]:
    """A `dbt_turn` with its variables set for this process: a dbt that it starts inherits them.

    Yields the folder of the project's output: a run's in a folder of its own, and beside them what dbt has parsed,
    which spares it the parsing as long as neither a file nor the connection has changed.
    """
    home = platform_home()
    with dbt_turn(home) as variables:
        folder = home.dbt / project
        folder.mkdir(parents=True, exist_ok=True)
        # A test of several models runs with the last of them, when all that it reads is there.
        ours = {"DBT_INDIRECT_SELECTION": "buildable", "DBT_TARGET_PATH": str(folder)}
        with environment_variables({**variables, **ours}):
            yield folder


def keep_parsed(folder: Path, target: Path) -> None:
    """Leaves what a run's dbt has parsed to the next one, and removes the rest of a run that has succeeded, and old
    output of those that have not. To be called in a `dbt_environment`."""
    parsed = target / PARSED
    if parsed.exists():
        parsed.replace(folder / PARSED)
    shutil.rmtree(target, ignore_errors=True)
    oldest = time.time() - KEEP_FAILED.total_seconds()
    for entry in folder.iterdir():
        if entry.is_dir() and entry.stat().st_mtime < oldest:
            shutil.rmtree(entry, ignore_errors=True)
