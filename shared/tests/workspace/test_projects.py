"""Discovery of the workspace from files, and what it says about files that it cannot read."""

from pathlib import Path

import pytest

from platform_shared.settings import SettingsError
from platform_shared.workspace.projects import ListedLocation, Project, projects, workspace_lists, workspace_root

PYPROJECT = '[tool.dg.project]\nroot_module = "{name}"\ncode_location_name = "{name}"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "workspace.yaml").write_text(
        "load_from:\n"
        "  - python_module: {location_name: batch, module_name: batch.definitions}\n"
        "  - python_module: ingestion.definitions\n"
        "  - grpc_server: {location_name: far, host: far, port: 4000}\n"
    )
    (tmp_path / "pyproject.toml").write_text('[tool.dg.workspace]\nprojects = [{ path = "./projects/batch" }]\n')
    for name in ("ingestion", "batch"):
        (tmp_path / "projects" / name).mkdir(parents=True)
        (tmp_path / "projects" / name / "pyproject.toml").write_text(PYPROJECT.format(name=name))
    return tmp_path


def test_the_root_is_found_from_below(root: Path) -> None:
    below = root / "projects" / "batch" / "src"
    below.mkdir()
    assert workspace_root(below) == root.resolve()


def test_outside_of_a_workspace_the_error_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"workspace\.yaml and pyproject\.toml"):
        workspace_root(tmp_path)


def test_projects_are_the_folders_with_a_pyproject_by_name(root: Path) -> None:
    (root / "projects" / "left_over" / "__pycache__").mkdir(parents=True)
    batch, ingestion = projects(root)
    assert batch == Project("batch", root / "projects" / "batch", "batch", "batch.definitions", "batch")
    assert ingestion.name == "ingestion"


def test_other_names_are_read_as_they_stand(root: Path) -> None:
    (root / "projects" / "batch" / "pyproject.toml").write_text(
        '[tool.dg.project]\nroot_module = "b"\ncode_location_target_module = "b.all"\ncode_location_name = "c"\n'
    )
    assert projects(root)[0] == Project("batch", root / "projects" / "batch", "b", "b.all", "c")


def test_the_lists_are_read_as_dagster_and_dg_read_them(root: Path) -> None:
    lists = workspace_lists(root)
    assert lists.workspace_yaml == (
        ListedLocation("batch", "batch.definitions"),
        ListedLocation("ingestion.definitions", "ingestion.definitions"),
        ListedLocation("far", None),
    )
    assert lists.dg_workspace == ("projects/batch",)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("projects/batch/pyproject.toml", "[project]\n", 'Add `root_module = "batch"`'),
        ("projects/batch/pyproject.toml", "not toml", "no valid TOML"),
        ("projects/batch/pyproject.toml", "tool = 1\n", "must be a table"),
        ("pyproject.toml", '[tool.dg.workspace]\nprojects = ["projects/batch"]\n', r"must be a table like"),
        ("workspace.yaml", "load_from: {}\n", "must be a list"),
        ("workspace.yaml", "load_from: [\n", "no valid YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(root: Path, file: str, text: str, said: str) -> None:
    (root / file).write_text(text)
    with pytest.raises(SettingsError, match=said) as raised:
        workspace_lists(root)
    assert str(root / file) in str(raised.value)
