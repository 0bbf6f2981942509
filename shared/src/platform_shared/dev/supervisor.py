"""Starts all of `make dev`, keeps it running, serves edits, and ends it without leaving a process or a run behind."""

import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchfiles import Change, awatch

from platform_shared.dev import announcements, changes, restarts
from platform_shared.dev.child import Kind
from platform_shared.dev.environment import child_environment
from platform_shared.dev.locations import Location, Outcome, Start
from platform_shared.dev.output import Classifier, Level, LogFile, Terminal
from platform_shared.dev.preconditions import HOST, CannotStart
from platform_shared.dev.processes import Child, Program, descendants, signal_all, start, until_gone
from platform_shared.postgres import postgres
from platform_shared.settings import Home
from platform_shared.workspace.loading import interpreter
from platform_shared.workspace.projects import PROJECTS, Project

OURSELVES = "dev"
DEMO = "demo"
DEMO_MODULE = "demo_world"
MANIFEST_MODULE = "platform_shared.dbt.manifest"

QUIET_MILLISECONDS = 300
"""Several saves without such a pause between them are one edit."""

SECONDS_FOR_SLOW_LOCATIONS = 20.0
"""Longer the web page waits for no location; one that comes later appears by itself."""

SECONDS_TO_STOP = 10.0
SECONDS_TO_RECORD = 5.0
SECONDS_WHEN_HURRIED = 2.0
LONGEST_SOCKET_PATH = 90
