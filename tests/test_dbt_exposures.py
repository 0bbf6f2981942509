"""What dbt's exposures say of the reports is what the reports read."""

import json
from pathlib import Path

import pytest

from platform_shared.dbt.manifest import checked_manifest
from platform_shared.workspace.loading import load_snapshots
from platform_shared.workspace.projects import workspace_lists, workspace_root

ROOT = workspace_root(Path(__file__).parent)


@pytest.fixture(scope="module")
def assets():
    snapshots = load_snapshots(ROOT, workspace_lists(ROOT).projects)
    return {asset.key: (snapshot.location, asset) for snapshot in snapshots for asset in snapshot.assets if asset.deps}


def test_every_exposure_is_a_report_with_its_inputs_and_owner(assets):
    manifest = json.loads(checked_manifest(ROOT / "dbt_project").read_text())
    exposures = manifest["exposures"].values()
    assert len(exposures) >= 3
    for exposure in exposures:
        location, asset = assets[exposure["config"]["meta"]["asset"]]
        nodes = [manifest["nodes"][name] for name in exposure["depends_on"]["nodes"]]
        models = {f"{node['schema']}/{node['name']}" for node in nodes}
        assert models == set(asset.deps)
        assert exposure["owner"]["name"] == location
