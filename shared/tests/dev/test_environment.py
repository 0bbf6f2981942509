"""What the children are told."""

from pathlib import Path

from platform_shared.dev.environment import child_environment, working_folder
from platform_shared.settings import Home


def test_a_project_overrules_the_root_and_the_person_both(tmp_path: Path) -> None:
    project = tmp_path / "projects" / "batch"
    project.mkdir(parents=True)
    (tmp_path / ".env").write_text("A=root\nB=root\nC=root\n")
    (project / ".env").write_text("B=project\nC=project\n")
    environ = {"C": "person", "PATH": "/bin"}
    told = child_environment(environ, Home(tmp_path), tmp_path, project)
    assert {name: told[name] for name in ("A", "B", "C", "PATH")} == {
        "A": "root",
        "B": "project",
        "C": "person",
        "PATH": "/bin",
    }


def test_what_make_exports_of_the_roots_file_is_not_the_persons(tmp_path: Path) -> None:
    project = tmp_path / "projects" / "batch"
    project.mkdir(parents=True)
    (tmp_path / ".env").write_text("B=root\n")
    (project / ".env").write_text("B=project\n")
    assert child_environment({"B": "root"}, Home(tmp_path), tmp_path, project)["B"] == "project"


def test_all_have_one_home_whatever_a_file_says(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DAGSTER_HOME=/nowhere\n")
    told = child_environment({"DAGSTER_HOME": "/nowhere"}, Home(tmp_path / "home"), tmp_path)
    assert told["PLATFORM_HOME"] == str(tmp_path / "home")
    assert told["DAGSTER_HOME"] == str(tmp_path / "home" / "dagster")


def test_they_run_where_dagster_finds_no_file_to_overrule_that(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    assert not (working_folder(tmp_path) / ".env").exists()


def test_what_is_provided_is_for_where_nobody_says_anything(tmp_path: Path) -> None:
    project = tmp_path / "projects" / "batch"
    project.mkdir(parents=True)
    (tmp_path / ".env").write_text("A=root\n")
    (project / ".env").write_text("B=project\n")
    provided = dict.fromkeys("ABCD", "provided")
    told = child_environment({"C": "person"}, Home(tmp_path), tmp_path, project, provided)
    assert {name: told[name] for name in "ABCD"} == {"A": "root", "B": "project", "C": "person", "D": "provided"}
