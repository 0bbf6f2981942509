"""A dbt project in a git repository: fetched when asked for, never by a load."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import dagster as dg
import pytest

from platform_shared.components import PlatformDbtProjectComponent
from platform_shared.dbt.git_project import GitProject, GitProjectError

PROJECT = Path(__file__).parents[3] / "dbt_project"


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=team", "-c", "user.email=team@example.com", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A team's repository with a dbt project in `transform`; tag `v1`, and a commit after it."""
    folder = tmp_path_factory.mktemp("repository")
    project = folder / "transform"
    (project / "models").mkdir(parents=True)
    shutil.copy(PROJECT / "profiles.yml", project)
    (project / "dbt_project.yml").write_text(
        "name: growth\nversion: 1.0.0\nprofile: retailer\nmodels: {+schema: marts}\n"
        "flags: {send_anonymous_usage_stats: false}\n"
    )
    (project / "models/loyalty.sql").write_text("select 1 as household_id")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "Loyalty")
    git(folder, "tag", "v1")
    (project / "models/loyalty.sql").write_text("select 2 as household_id")
    git(folder, "commit", "--quiet", "-a", "-m", "Two")
    return folder


def url(repository):
    return f"file://{repository}"


@pytest.mark.parametrize(("ref", "value"), [("HEAD", "2"), ("main", "2"), ("v1", "1"), ("commit", "1")])
def test_a_branch_a_tag_or_a_commit_is_fetched_without_history(repository, tmp_path, ref, value):
    pinned = git(repository, "rev-parse", "v1") if ref == "commit" else ref
    for _ in range(2):
        GitProject(url(repository), pinned, "transform").fetch(tmp_path / "project")
    assert (tmp_path / "project/transform/models/loyalty.sql").read_text() == f"select {value} as household_id"
    assert not (tmp_path / "project/.git").exists()


def test_a_missing_token_names_itself_and_the_place(repository, tmp_path):
    private = GitProject(url(repository), folder="transform", token_variable="GROWTH_GIT_TOKEN")
    with pytest.raises(GitProjectError, match=r"GROWTH_GIT_TOKEN is not set.*refresh-defs-state"):
        private.fetch(tmp_path / "project", {"PATH": "/usr/bin:/bin"})
    private.fetch(tmp_path / "project", {"PATH": "/usr/bin:/bin", "GROWTH_GIT_TOKEN": "secret"})


@pytest.mark.parametrize(
    ("project", "said"),
    [
        (lambda r: GitProject(url(r), "v9", "transform"), "cannot fetch v9"),
        (lambda r: GitProject(f"file://{r}/nowhere"), "cannot fetch HEAD of file://"),
        (lambda r: GitProject(url(r), folder="models"), "no dbt_project.yml in 'models'"),
    ],
)
def test_what_cannot_be_fetched_is_told(repository, tmp_path, project, said):
    with pytest.raises(GitProjectError, match=said):
        project(repository).fetch(tmp_path / "project", {"PATH": "/usr/bin:/bin", "TOKEN": "s3cret"})


def test_the_token_is_in_no_command_line_and_no_message(repository, tmp_path, monkeypatch):
    commands = []
    real = subprocess.run

    def run(command, **options):
        commands.append(command)
        assert "secret" not in " ".join(command)
        return real(command, **options)

    monkeypatch.setattr(subprocess, "run", run)
    private = GitProject(f"{url(repository)}/nowhere", token_variable="TOKEN")
    with pytest.raises(GitProjectError) as error:
        private.fetch(tmp_path / "project", {"PATH": "/usr/bin:/bin", "TOKEN": "secret"})
    assert commands
    assert "secret" not in str(error.value)


@pytest.fixture
def location(repository, tmp_path, monkeypatch):
    """A location with the component in YAML, as `dg` finds it."""
    package = tmp_path / "growth_location"
    (package / "defs/loyalty").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "defs/__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "growth_location"\n'
    )
    (package / "defs/loyalty/defs.yaml").write_text(
        "type: platform_shared.components.PlatformDbtProjectComponent\nattributes:\n  project:\n"
        f"    repo_url: {url(repository)}\n    ref: v1\n    folder: transform\n    token_variable: GROWTH_GIT_TOKEN\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("GROWTH_GIT_TOKEN", raising=False)
    return tmp_path


def tree(location):
    return dg.ComponentTree.for_project(location)


def test_the_component_loads_what_was_fetched_and_needs_no_token_for_that(location, monkeypatch):
    def load():
        found = tree(location).build_defs()
        return [spec.key.to_user_string() for spec in found.resolve_all_asset_specs()]

    with pytest.raises(Exception, match="Error while building") as error:
        load()
    assert "was not fetched yet. Run `dg utils refresh-defs-state`" in str(error.value.__cause__)
    (component,) = tree(location).get_all_components(of_type=PlatformDbtProjectComponent)
    with pytest.raises(GitProjectError, match="GROWTH_GIT_TOKEN is not set"):
        asyncio.run(component.refresh_state(location))
    monkeypatch.setenv("GROWTH_GIT_TOKEN", "secret")
    asyncio.run(component.refresh_state(location))
    monkeypatch.delenv("GROWTH_GIT_TOKEN")
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process at load"))
    assert load() == ["marts/loyalty"]
