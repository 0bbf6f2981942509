"""Small tables as text: files for people and Markdown for the UI; no Dagster here."""

import csv
import io
from collections.abc import Iterable, Sequence


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A header and a line a row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def as_markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table for Dagster's UI, numbers to the right. It is shown inline below 1,000 characters: a dozen short rows."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(value) for value in line) + " |" for line in lines)
