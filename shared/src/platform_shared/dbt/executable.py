"""The dbt command."""

import sys
from pathlib import Path


def dbt_executable() -> str:
    """The dbt of this environment, also where its `bin` is not on PATH."""
    return str(Path(sys.executable).with_name("dbt"))
