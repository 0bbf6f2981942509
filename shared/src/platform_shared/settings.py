"""Where the platform keeps its state and what it is told by its environment. Read when used, never at import."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class SettingsError(RuntimeError):
    """A setting is missing or contradicts another; the message says which and what to do."""


class NotSetUpError(SettingsError):
    """Something that a laptop may do without is not there, such as an S3: what needs it waits, and says so."""


class Environment(StrEnum):
    LOCAL = "local"
    STAGING = "staging"
    PRODUCTION = "production"


@dataclass(frozen=True)
class Home:
    """The one folder that holds all local state (`.platform/` unless PLATFORM_HOME says otherwise)."""

    root: Path

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME: the instance's settings, logs of runs and small values of the filesystem IO manager."""
        return self.root / "dagster"

    @property
    def postgres(self) -> Path:
        """Data folder of the embedded Postgres."""
        return self.root / "postgres"

    @property
    def lake(self) -> Path:
        """Parquet files of the warehouse."""
        return self.root / "lake"

    @property
    def landing(self) -> Path:
        """Landing zone: one folder a feed."""
        return self.root / "landing"

    @property
    def quarantine(self) -> Path:
        """Bytes and reason of what could not be loaded: one folder a feed."""
        return self.root / "quarantine"

    @property
    def reports(self) -> Path:
        """Report files for people."""
        return self.root / "reports"

    @property
    def dbt(self) -> Path:
        """What dbt has parsed, and the output of its failed runs."""
        return self.root / "dbt"

    @property
    def duckdb_extensions(self) -> Path:
        """Links to the DuckDB extensions that the wheels carry."""
        return self.root / "duckdb"


def platform_home(environ: Mapping[str, str] | None = None) -> Home:
    """The state folder: PLATFORM_HOME, else the folder that holds DAGSTER_HOME.

    Raises SettingsError if neither is set, or if both are and name different places: a process that mixes two homes
    would write one platform's data from another's runs.
    """
    env = os.environ if environ is None else environ
    explicit, dagster_home = env.get("PLATFORM_HOME"), env.get("DAGSTER_HOME")
    if not explicit and not dagster_home:
        raise SettingsError(
            "Neither PLATFORM_HOME nor DAGSTER_HOME is set. Run `make setup` once and work in the repository's root "
            "or in a project's folder (their .env sets DAGSTER_HOME), or set PLATFORM_HOME."
        )
    if not explicit:
        return Home(Path(str(dagster_home)).resolve().parent)
    home = Home(Path(explicit).resolve())
    if dagster_home and Path(dagster_home).resolve() != home.dagster:
        raise SettingsError(
            f"PLATFORM_HOME={explicit} and DAGSTER_HOME={dagster_home} name different platforms. "
            f"Unset DAGSTER_HOME, or set it to {home.dagster}. (Dagster's commands read it from the .env of the folder "
            "that they start in; `make setup` writes that.)"
        )
    return home


def local_home(root: Path, environ: Mapping[str, str] | None = None) -> Home:
    """The home for commands of people: `platform_home` if the environment names one, else `root/.platform`."""
    env = os.environ if environ is None else environ
    if env.get("PLATFORM_HOME") or env.get("DAGSTER_HOME"):
        return platform_home(env)
    return Home(root.resolve() / ".platform")


def environment(environ: Mapping[str, str] | None = None) -> Environment:
    """The deployment environment (PLATFORM_ENVIRONMENT, `local` if unset). Raises SettingsError on an unknown one."""
    value = (os.environ if environ is None else environ).get("PLATFORM_ENVIRONMENT", Environment.LOCAL)
    try:
        return Environment(value)
    except ValueError:
        known = ", ".join(Environment)
        raise SettingsError(f"PLATFORM_ENVIRONMENT={value!r} is unknown; it must be one of: {known}.") from None
