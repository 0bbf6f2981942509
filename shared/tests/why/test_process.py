"""Without a webserver, Dagster's own command answers: over the instance's storage and a workspace that it loads."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from platform_shared.settings import Home
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.webserver import WebserverError
from platform_shared.why.facts import facts_of
from platform_shared.why.questions import DEFINITIONS, Process, key_of

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
    ask = Process(workspace, tmp_path, {"PLATFORM_HOME": str(home), "DAGSTER_HOME": str(platform_home.dagster)})
    facts = facts_of(("tills",), ask(DEFINITIONS, {"key": key_of(["tills"]), "limit": 1}, definitions=True), NOW)
    assert facts.who is not None
    assert (facts.who.owners, facts.who.location) == (("team:shops",), "fine")
    assert facts.location_errors["broken"].endswith("no such till")
    with pytest.raises(WebserverError, match="Cannot query field 'nothing'"):
        ask("{ nothing }", {}, definitions=False)
