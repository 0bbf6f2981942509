"""Each cell of the truth table, and the page that shows it."""

import pytest
from automation_page import PAGE, page
from automation_scenarios import CONDITIONS, SCENARIOS, Scenario

from platform_shared import automation


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.play.__name__)
def test_a_condition_does_what_the_table_says(scenario: Scenario, name: str) -> None:
    assert scenario.outcome(name) == dict(zip(CONDITIONS, scenario.expected, strict=True))[name], scenario.text


def test_the_page_shows_the_table() -> None:
    text = PAGE.read_text()
    assert text == page(text), "docs/automation.md is not up to date: run shared/tests/automation/automation_page.py"


def test_the_table_has_every_named_condition() -> None:
    assert CONDITIONS.keys() - {"eager"} == {name for name in automation.__all__ if name.startswith(("on_", "heal_"))}
