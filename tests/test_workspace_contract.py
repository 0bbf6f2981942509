"""The repository's own workspace keeps the rules between its locations."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from platform_shared.workspace.loading import load_snapshots
from platform_shared.workspace.model import Snapshot
from platform_shared.workspace.projects import WorkspaceLists, workspace_lists, workspace_root
from platform_shared.workspace.rules import ALLOWED_WARNINGS, findings

ROOT = workspace_root(Path(__file__).parent)


@pytest.fixture(scope="module")
def lists() -> WorkspaceLists:
    return workspace_lists(ROOT)


@pytest.fixture(scope="module")
def snapshots(lists: WorkspaceLists) -> Sequence[Snapshot]:
    return load_snapshots(ROOT, lists.projects)


def test_the_workspace_keeps_all_rules(snapshots: Sequence[Snapshot], lists: WorkspaceLists) -> None:
    told = [f"{finding.rule}\n  {finding.where}: {finding.what}" for finding in findings(snapshots, lists)]
    assert not told, "\n".join(told)


def test_every_allowed_warning_is_still_needed(snapshots: Sequence[Snapshot]) -> None:
    messages = [warning.message for snapshot in snapshots for warning in snapshot.warnings]
    unused = [entry for entry in ALLOWED_WARNINGS if not any(entry.text in message for message in messages)]
    assert not unused, "Remove these from ALLOWED_WARNINGS."


def test_what_need_not_be_built_is_there_to_show_something(snapshots: Sequence[Snapshot]) -> None:
    """Whoever waits until everything is built waits for all other assets; a new exception is named here."""
    exempt = {asset.key: asset.shows for snapshot in snapshots for asset in snapshot.assets if asset.shows}
    assert exempt == {"reports/sales_by_store_eager": "stock-eager"}
