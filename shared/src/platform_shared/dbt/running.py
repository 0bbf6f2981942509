"""Running dbt against the lake."""

from collections.abc import Iterator
from contextlib import contextmanager

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


def dbt_variables(home: Home | None = None) -> dict[str, str]:
    """Environment variables that `profiles.yml` and libpq read; the password is among them, so never log them."""
    warehouse = Warehouse.of(home or platform_home())
    parameters = warehouse.server.libpq()
    if unknown := parameters.keys() - _LIBPQ.keys():
        raise SettingsError(f"dbt cannot be told these parameters of the Postgres URL: {', '.join(sorted(unknown))}.")
    variables = {_LIBPQ[name]: value for name, value in parameters.items()}
    return {
        **variables,
        "PLATFORM_LAKE_PATH": warehouse.data_path,
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
def dbt_environment() -> Iterator[None]:
    """A `dbt_turn` with its variables set for this process: a dbt that it starts inherits them."""
    with dbt_turn() as variables, environment_variables(variables):
        yield
