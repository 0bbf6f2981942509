"""Which locations an edit touches."""

from pathlib import Path

import pytest

from platform_shared.dev.changes import Reload, Watched, dbt_projects_of, is_source, new_projects, reload, watched
from platform_shared.settings import SettingsError
from platform_shared.workspace.projects import projects


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, more in (("analytics", '[tool.platform]\nwatches = ["dbt_project"]\n'), ("batch", "")):
        project = tmp_path / "projects" / name
        project.mkdir(parents=True)
        (project / "pyproject.toml").write_text(f'{more}[tool.dg.project]\nroot_module = "{name}"\n')
    (tmp_path / "dbt_project").mkdir()
    (tmp_path / "dbt_project" / "dbt_project.yml").touch()
    return tmp_path


@pytest.fixture
def watching(root: Path) -> Watched:
    return watched(root, projects(root))


@pytest.mark.parametrize(
    ("file", "locations"),
    [
        ("projects/batch/src/batch/defs/report.py", {"batch"}),
        ("projects/analytics/src/analytics/defs/x/defs.yaml", {"analytics"}),
        ("shared/src/platform_shared/clock.py", {"analytics", "batch"}),
        ("docs/index.md", set()),
        ("projects/batch/tests/test_report.py", set()),
    ],
)
def test_an_edit_touches_its_location_and_one_of_the_library_all(
    root: Path, watching: Watched, file: str, locations: set[str]
) -> None:
    assert reload([root / file], watching) == Reload(frozenset(locations))


def test_an_edit_of_a_dbt_model_parses_it_for_the_locations_that_watch_it(root: Path, watching: Watched) -> None:
    dbt_project = root / "dbt_project"
    edit = reload([dbt_project / "models" / "daily_sales.sql"], watching)
    assert edit == Reload(frozenset({"analytics"}), frozenset({dbt_project}))
    assert dbt_projects_of("analytics", watching) == {dbt_project}
    assert dbt_projects_of("batch", watching) == frozenset()


def test_a_folder_without_dbt_is_watched_and_not_parsed(root: Path, watching: Watched) -> None:
    (root / "dbt_project" / "dbt_project.yml").unlink()
    assert reload([root / "dbt_project" / "a.sql"], watching) == Reload(frozenset({"analytics"}))


def test_edits_add_up(root: Path, watching: Watched) -> None:
    together = Reload() | reload([root / "projects/batch/src/a.py"], watching)
    together |= reload([root / "projects/analytics/src/a.py"], watching)
    assert together.locations == {"analytics", "batch"}


@pytest.mark.parametrize(
    ("file", "ours"),
    [
        ("projects/batch/src/batch/defs/report.py", True),
        ("projects/batch/src/batch/target/logs/report.html.j2", True),
        ("dbt_project/models/marts/daily_sales.sql", True),
        ("dbt_project/seeds/stores.csv", True),
        ("dbt_project/target/manifest.json", False),
        ("dbt_project/logs/dbt.log", False),
        ("dbt_project/.user.yml", False),
        ("projects/batch/src/batch/__pycache__/report.cpython-311.pyc", False),
        ("projects/batch/src/batch/defs/.report.py.swp", False),
        ("projects/batch/src/batch/defs/report.py~", False),
        ("projects/batch/src/batch/defs/.local_defs_state/x/manifest.json", False),
        ("README.md", False),
    ],
)
def test_only_what_people_write_counts(root: Path, watching: Watched, file: str, ours: bool) -> None:
    assert is_source(root / file, watching) is ours


def test_a_folder_that_appears_among_the_projects_is_new(root: Path) -> None:
    folders = [root / "projects" / name for name in ("batch", "growth", ".cache", "__pycache__")]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    file = root / "projects" / "README.md"
    file.touch()
    assert new_projects([*folders, file], root, {"analytics", "batch"}) == ["growth"]


def test_a_wrong_list_of_folders_is_said(root: Path) -> None:
    pyproject = root / "projects" / "batch" / "pyproject.toml"
    pyproject.write_text('[tool.platform]\nwatches = "dbt_project"\n[tool.dg.project]\nroot_module = "batch"\n')
    with pytest.raises(SettingsError, match="must be a list of folders"):
        watched(root, projects(root))
