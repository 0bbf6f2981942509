"""Writes the pages of the pattern catalogue: `python docs/patterns/pages.py`. `catalogue.yaml` is what people edit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
MADE = "<!-- Made by pages.py of catalogue.yaml. -->"
STATUS = {
    "live": "at work on the platform's data",
    "test": "shown by a scenario",
    "checked": "wrong as it is taught; found by a lint, or kept in the table of errata",
}


def catalogue() -> list[dict[str, Any]]:
    """The pages with their rows."""
    pages: list[dict[str, Any]] = yaml.safe_load((FOLDER / "catalogue.yaml").read_text())
    return pages


def pages() -> dict[str, str]:
    """File name -> text of each page, the index among them."""
    found = catalogue()
    return {"README.md": _text(_index(found)), **{f"{page['page']}.md": _text(_page(page)) for page in found}}


def _index(found: list[dict[str, Any]]) -> Iterator[str]:
    yield "# Patterns"
    yield MADE
    yield (
        "What documents about Dagster teach about schedules, sensors and conditions, as it works here. Each row says "
        "where the pattern lives and which test fails if it breaks. A sensor or condition of your own needs no row."
    )
    yield "\n".join(f"- **{name}**: {meaning}" for name, meaning in STATUS.items())
    for page in found:
        yield f"## [{page['title']}]({page['page']}.md)"
        yield page["about"]
        yield "\n".join(
            ["| id | pattern | status |", "|---|---|---|"]
            + [f"| {row['id']} | {row['pattern']} | {row['status']} |" for row in page["rows"]]
        )


def _page(page: dict[str, Any]) -> Iterator[str]:
    yield f"# {page['title']}"
    yield MADE
    yield f"{page['about']} [All patterns](README.md)."
    for row in page["rows"]:
        path, _, symbol = row["where"].partition(":")
        tests = [test.partition("::") for test in row["tests"]]
        yield f"## {row['id']} {row['pattern']}"
        yield "\n".join(
            [
                f"- **When**: {row['use']}",
                f"- **Usual mistake**: {row['mistake']}",
                f"- **Where** ({row['status']}): [{symbol or Path(path).name}](../../{path})",
                f"- **Test**: {', '.join(f'[{name}](../../{file})' for file, _, name in tests)}",
            ]
        )


def _text(parts: Iterator[str]) -> str:
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
