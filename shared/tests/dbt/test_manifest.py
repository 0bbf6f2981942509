"""The prepared manifest: stale is an error that names what changed and what to run."""

import json
import shutil
from pathlib import Path

import pytest

from platform_shared.dbt.manifest import (
    DbtParseError,
    StaleManifestError,
    checked_manifest,
    prepare,
    prepare_if_stale,
)

PROJECT = Path(__file__).parents[3] / "dbt_project"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    project = tmp_path_factory.mktemp("dbt") / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    prepare(project)
    return project


@pytest.fixture
def project(prepared, tmp_path):
    return Path(shutil.copytree(prepared, tmp_path / "dbt_project"))


def test_a_prepared_manifest_is_found(project):
    nodes = json.loads(checked_manifest(project).read_text())["nodes"]
    assert "model.retailer.daily_sales" in nodes
    assert not prepare_if_stale(project)


def test_a_changed_model_makes_it_stale_and_is_named(project):
    with (project / "models/marts/daily_sales.sql").open("a") as model:
        model.write("-- a comment\n")
    with pytest.raises(StaleManifestError, match=r"models/marts/daily_sales\.sql changed.*make manifest"):
        checked_manifest(project)


@pytest.mark.parametrize("change", ["added", "deleted"])
def test_added_and_deleted_files_make_it_stale(project, change):
    if change == "added":
        (project / "models/marts/new.sql").write_text("select 1 as x")
    else:
        (project / "macros/periods.sql").unlink()
    with pytest.raises(StaleManifestError):
        checked_manifest(project)


def test_a_clean_checkout_names_the_command(project):
    shutil.rmtree(project / "target")
    with pytest.raises(StaleManifestError, match="make manifest"):
        checked_manifest(project)


def test_a_parse_error_keeps_the_old_manifest_and_says_what_dbt_said(project):
    before = (project / "target/manifest.json").read_bytes()
    (project / "models/marts/broken.sql").write_text("select * from {{ ref('no_such_model') }}")
    with pytest.raises(DbtParseError, match="no_such_model"):
        prepare(project)
    assert (project / "target/manifest.json").read_bytes() == before
    assert [path.name for path in (project / "target").iterdir() if path.name.startswith(".")] == []
