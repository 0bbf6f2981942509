"""The dbt component beside the class that it extends."""

import subprocess
import sys
from pathlib import Path

import pytest

from platform_shared import components
from platform_shared.components import PlatformDbtProjectComponent


def test_it_is_listed_but_dbt_is_imported_only_by_who_names_it() -> None:
    assert "PlatformDbtProjectComponent" in dir(components)
    code = (
        "import sys, platform_shared.components as c; assert 'dagster_dbt' not in sys.modules; "
        "c.PlatformDbtProjectComponent; assert 'dagster_dbt' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="NoSuchComponent"):
        getattr(components, "NoSuchComponent")  # noqa: B009


@pytest.mark.parametrize("cli_args", [["run"], [], ["build", {"--vars": {"a": 1}}]])
def test_arguments_that_it_cannot_pass_on_are_refused(cli_args: list[object]) -> None:
    with pytest.raises(ValueError, match=r'cli_args is .*Begin with "build"'):
        PlatformDbtProjectComponent(Path("dbt_project"), cli_args=cli_args)  # type: ignore[arg-type]


def test_metadata_that_is_there_anyway_is_refused() -> None:
    with pytest.raises(ValueError, match="include_metadata has no use here"):
        PlatformDbtProjectComponent(Path("dbt_project"), include_metadata=["row_count"])
