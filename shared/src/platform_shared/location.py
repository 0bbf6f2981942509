"""What every code location has in common."""

import warnings
from pathlib import Path

import dagster as dg

from platform_shared.automation.scoping import with_scoped_sensors
from platform_shared.resources import LedgerResource, PlatformFolders, WarehouseResource

_BETA_IN_LOADER = (
    "Class `LocalFileCodeReference`",
    "Class `CodeReferencesMetadataValue`",
    "Parameter `owners` of initializer `SensorDefinition.__init__`",
)


def load_location(definitions_file: str) -> dg.Definitions:
    """All definitions below the `defs/` folder beside `definitions_file`, with the platform's resources.

    An automation sensor of more assets than it can look at in time becomes several (`automation.scoping`).

    Steps run in their run's process: a process a step costs seconds and gains nothing for steps this small.
    """
    return dg.Definitions.merge(
        with_scoped_sensors(_load_defs_folder(Path(definitions_file).parent)),
        dg.Definitions(
            executor=dg.in_process_executor,
            resources={
                "folders": PlatformFolders(),
                "ledger": LedgerResource(),
                "warehouse": WarehouseResource(),
            },
        ),
    )


def _load_defs_folder(package: Path) -> dg.Definitions:
    """As `dg.load_from_defs_folder`, which would also import every component package of the environment.

    In one shared environment that is dbt in every location and in every run: a second of CPU each. The names used here
    are exported by dagster but not marked public (docs/adr/0005).
    """
    with warnings.catch_warnings():
        # Dagster's own loader hides its preview warning in the same way; those of beta features are about what that
        # loader itself uses to tell where a component in YAML comes from.
        warnings.filterwarnings("ignore", category=dg.PreviewWarning, message="Function `load_definitions_from_module")
        # dbt's views (platform_shared.dbt.translator).
        warnings.filterwarnings("ignore", category=dg.PreviewWarning, message="Virtual assets")
        for feature in _BETA_IN_LOADER:
            warnings.filterwarnings("ignore", category=dg.BetaWarning, message=feature)
        return dg.ComponentTree.for_project(package).build_defs(package / "defs")
