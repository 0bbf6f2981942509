"""Writes the truth table into docs/automation.md: `python shared/tests/automation/automation_page.py`."""

from collections.abc import Iterator
from pathlib import Path

from automation_scenarios import CONDITIONS, SCENARIOS

PAGE = Path(__file__).parents[3] / "docs/automation.md"
BEGIN = "<!-- Made by shared/tests/automation/automation_page.py of the scenarios beside it. -->"
END = "<!-- End of the table. -->"


def page(text: str) -> str:
    """The page with the table of today's scenarios."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "".join([before, BEGIN, "\n\n", "\n".join(_table()), "\n\n", END, after])


def _table() -> Iterator[str]:
    yield "| what happens, and what is counted | " + " | ".join(f"`{name}`" for name in CONDITIONS) + " |"
    yield "|---|" + ":-:|" * len(CONDITIONS)
    for scenario in SCENARIOS:
        yield f"| {scenario.text} | " + " | ".join(scenario.expected) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
