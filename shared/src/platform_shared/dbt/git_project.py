"""A dbt project in a git repository: fetched when definitions are refreshed, never when they load."""

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import dagster as dg


class GitProjectError(RuntimeError):
    """The repository cannot be fetched; the message says which, why, and what to do."""


@dataclass(frozen=True)
class GitProject(dg.Resolvable):
    """Where the project is."""

    repo_url: str
    ref: Annotated[str, dg.Resolver.default(description="Branch, tag or commit; pin what production runs.")] = "HEAD"
    folder: Annotated[str, dg.Resolver.default(description="Folder of the dbt project in the repository.")] = "."
    token_variable: Annotated[
        str | None,
        dg.Resolver.default(
            description="Environment variable with the token of a private repository; read when it is fetched, so that "
            "loading needs no secret."
        ),
    ] = None

    @property
    def name_of_state(self) -> str:
        """What tells it from others of a location."""
        return f"{self.repo_url}@{self.ref}/{self.folder}"

    def fetch(self, target: Path, environ: Mapping[str, str] | None = None) -> None:
        """Puts the files of `ref` into the folder `target`, without their history. Raises GitProjectError.

        The token goes to git as a header by its environment: it is in no command line, URL or file.
        """
        environment = {**(os.environ if environ is None else environ), "GIT_TERMINAL_PROMPT": "0"}
        if self.token_variable:
            token = environment.get(self.token_variable)
            if not token:
                raise GitProjectError(
                    f"{self.token_variable} is not set: the dbt project in {self.repo_url} is private. Set it where "
                    "`dg utils refresh-defs-state` runs (the build of an image, or your shell); loading needs no token."
                )
            login = base64.b64encode(f"x-access-token:{token}".encode()).decode()
            environment |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{self.repo_url}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
            }
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for command in (
            ["init", "--quiet"],
            ["fetch", "--quiet", "--depth", "1", self.repo_url, self.ref],
            ["checkout", "--quiet", "FETCH_HEAD"],
        ):
            done = subprocess.run(
                ["git", "-C", str(target), *command], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise GitProjectError(f"git cannot fetch {self.ref} of {self.repo_url}: {done.stderr.strip()}")
        shutil.rmtree(target / ".git")
        if not (target / self.folder / "dbt_project.yml").is_file():
            raise GitProjectError(
                f"{self.repo_url} at {self.ref} has no dbt_project.yml in {self.folder!r}. Set `folder` to the dbt "
                "project's folder in the repository."
            )
