"""Where no webserver runs, one is started: over the instance's storage and the workspace."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from platform_shared.settings import Home
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.webserver import WebserverError
from platform_shared.why.facts import facts_of
from platform_shared.why.questions import DEFINITIONS, key_of, temporary_webserver

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
ASSET = "import dagster as dg\n\n\n@dg.asset(owners=['team:shops'])\ndef tills(): ...\n"


def test_it_loads_the_workspace_and_says_which_location_does_not(platform_home: Home, tmp_path: Path) -> None:
    with DaemonHarness({}, platform_home, NOW):
        """Writes the instance's settings."""
    (tmp_path / "fine.py").write_text(ASSET)
    (tmp_path / "broken.py").write_text("raise RuntimeError('no such till')\n")
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(
        "load_from:\n"
        + "".join(
            f"  - python_file: {{relative_path: {name}.py, location_name: {name}}}\n" for name in ("fine", "broken")
        )
    )
    home = platform_home.root
    environment = {"PLATFORM_HOME": str(home), "DAGSTER_HOME": str(platform_home.dagster)}
    with temporary_webserver(workspace, tmp_path, environment) as ask:
        facts = facts_of(("tills",), ask(DEFINITIONS, {"key": key_of(["tills"]), "limit": 1}), NOW)
        assert facts.who is not None
        assert (facts.who.owners, facts.who.location) == (("team:shops",), "fine")
        assert facts.location_errors["broken"].endswith("no such till")
        with pytest.raises(WebserverError, match="Cannot query field 'nothing'"):
            ask("{ nothing }", {})
    with pytest.raises(WebserverError, match="gave no answer"):
        ask("{ version }", {})


def test_a_workspace_that_is_none_is_said_with_its_error(platform_home: Home, tmp_path: Path) -> None:
    missing = temporary_webserver(tmp_path / "nowhere.yaml", tmp_path, {"DAGSTER_HOME": str(tmp_path)})
    with pytest.raises(WebserverError, match=r"(?s)does not load.*nowhere.yaml"), missing:
        pytest.fail("it must not get here")
