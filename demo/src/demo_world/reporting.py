"""What the demo world says: reports for programs on stdout, news for people on stderr."""

import json
import sys
from collections.abc import Mapping


def report(summary: Mapping[str, object]) -> None:
    """Print what was played, as a line of JSON."""
    # In one piece: the feeds are played by several threads.
    sys.stdout.write(json.dumps(summary) + "\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Print a line for people."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
