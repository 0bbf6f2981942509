"""Fixtures for the tests of every location; the root's conftest.py declares this module as a pytest plugin.

One embedded Postgres serves a test session. Each test that asks for `platform_home` gets a folder and a database of its
own, copied in 40 ms from one with all tables in place, and both are gone when it ends.
"""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from platform_shared.settings import Home

if TYPE_CHECKING:
    from platform_shared.postgres import PostgresServer
    from platform_shared.testing.daemon import DaemonHarness, Location
