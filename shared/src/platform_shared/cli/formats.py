"""How rows look on a terminal."""

import csv
import json
from collections.abc import Sequence
from typing import Any, TextIO


def write_rows(out: TextIO, names: Sequence[str], rows: Sequence[Sequence[Any]], style: str) -> None:
    """Writes rows as an aligned `table`, as `csv`, or as `json` (a list of objects; other types become strings)."""
    if style == "json":
        json.dump([dict(zip(names, row, strict=True)) for row in rows], out, default=str, indent=1)
        out.write("\n")
    elif style == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    else:
        out.write(table(names, rows))


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """An aligned table with a header; numbers to the right."""
    cells = [[_text(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(names)]
    right = [bool(rows) and all(_is_number(row[i]) for row in rows if row[i] is not None) for i in range(len(names))]
    lines = ["  ".join(_pad(name, widths[i], right[i]) for i, name in enumerate(names)).rstrip()]
    lines.append("  ".join("-" * width for width in widths))
    lines += ["  ".join(_pad(cell, widths[i], right[i]) for i, cell in enumerate(row)).rstrip() for row in cells]
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__round__")


def _pad(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)
