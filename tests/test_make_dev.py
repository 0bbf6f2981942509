"""`make dev` as a person meets it: one page, edits that are served, and an end that leaves nothing behind.

Runs on a workspace of two tiny locations made here, with a home and a Postgres of its own, so that edits touch nothing.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from platform_shared.postgres import embedded_is_running, stop_embedded
from platform_shared.settings import Home

REPOSITORY = Path(__file__).parents[1]
PLATFORM = Path(sys.executable).with_name("platform")
MARKER = "MAKE_DEV_TEST"
PATIENCE_SECONDS = 60.0

LOCATIONS = "{workspaceOrError{...on Workspace{locationEntries{name locationOrLoadError{__typename}}}}}"
ASSETS = "{assetNodes{assetKey{path}}}"
LAUNCH = """mutation($job: String!) {launchRun(executionParams: {runConfigData: {}, selector: {
  repositoryLocationName: "alpha", repositoryName: "__repository__", jobName: $job}}) {
  __typename ...on LaunchRunSuccess{run{runId}}}}"""
RUN_STATUS = "query($run: ID!) {runOrError(runId: $run) {...on Run{status}}}"

DEFINITIONS = """
import os
import pathlib
import time

import dagster as dg
from library import NAME


@dg.asset(key=["{location}", NAME])
def thing() -> None: ...


@dg.op
def wait_for_the_file() -> None:
    folder = pathlib.Path(os.environ["MAKE_DEV_TEST_FOLDER"])
    (folder / "begun").write_text(str(os.getpid()))
    while not (folder / "go on").exists():
        time.sleep(0.05)


@dg.job(executor_def=dg.{executor})
def waiting_job():
    wait_for_the_file()


defs = dg.Definitions(assets=[thing], jobs=[waiting_job])
"""

DEMO_WORLD = """
import sys
import time

print("the demo world plays with", *sys.argv[1:], flush=True)
while True:
    time.sleep(1)
"""


def until[T](what: Callable[[], T], message: str = "") -> T:
    """The first true value of `what`; errors of a server that is not there yet count as not yet."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(OSError, psutil.Error, KeyError, TypeError):
            if value := what():
                return value
        assert time.monotonic() < deadline, message or "waited for too long"
        time.sleep(0.1)
