"""Writes docs/automation-operands.md of the scenarios beside it: `python shared/tests/automation/gallery/page.py`.

Reads the source of the scenarios and imports none of them.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[3]
PAGE = ROOT / "docs/automation-operands.md"
MADE = "<!-- Made by shared/tests/automation/gallery/page.py of the scenarios beside it. -->"
ORDER = (
    "statuses",
    "events",
    "time",
    "operators",
    "dependencies",
    "composites",
    "modifiers",
    "checks",
    "freshness",
    "runs",
    "jobs",
    "sensor",
)


@dataclass
class Shown:
    """A name of the API with its sentence and its scenarios; without the sentence as long as no scenario gives one."""

    name: str
    form: str = ""
    true: str = ""
    false: str = ""
    mistake: str = ""
    tests: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """A file of scenarios: what it is about, the names that it shows in order, and scenarios that show no name."""

    file: str
    about: str
    shown: tuple[Shown, ...]
    others: tuple[str, ...]


def parts() -> list[Part]:
    """All files of scenarios, in the order of the page."""
    return [_part(FOLDER / f"test_gallery_{subject}.py") for subject in ORDER]


def _part(path: Path) -> Part:
    tree = ast.parse(path.read_text())
    shown: dict[str, Shown] = {}
    others = []
    for test in tree.body:
        if not isinstance(test, ast.FunctionDef) or not test.name.startswith("test_"):
            continue
        marks = [each for each in test.decorator_list if ast.unparse(each).startswith("pytest.mark.shows(")]
        for mark in marks:
            assert isinstance(mark, ast.Call)
            name = ast.literal_eval(mark.args[0])
            given = {str(each.arg): ast.literal_eval(each.value) for each in mark.keywords}
            entry = shown.setdefault(name, Shown(name))
            if given and entry.true:
                raise ValueError(f"{name} has two sentences; the second is at {path.name}, {test.name}")
            for key, value in given.items():
                setattr(entry, key, value)
            entry.tests.append(test.name)
        if not marks:
            others.append(test.name)
    return Part(path.name, ast.get_docstring(tree) or "", tuple(shown.values()), tuple(others))


def text() -> str:
    """The page."""
    return "\n\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Operands and operators of automation conditions"
    yield MADE
    yield (
        "When each name of `dagster.AutomationCondition` is true, when it is false, and the usual mistake, as "
        "scenarios show it, one look after another. A *look* is one evaluation by the sensor; the *target* is the "
        "asset, partition or check that is looked at. The platform's own conditions, in "
        "`platform_shared.automation`, are made of these: take those, and this page to read them or to write another."
    )
    for part in parts():
        title, _, rest = part.about.partition(": ")
        yield f"## {title}"
        yield f"{rest[:1].upper()}{rest[1:]}"
        for entry in part.shown:
            yield "\n".join(_entry(part.file, entry))
        if part.others:
            yield "\n".join(f"- [{_sentence(test)}]({_link(part.file)})" for test in part.others)


def _entry(file: str, entry: Shown) -> Iterator[str]:
    yield f"### `{entry.form or f'{entry.name}()'}`\n"
    yield f"- **True** when {entry.true}."
    yield f"- **False** when {entry.false}."
    if entry.mistake:
        yield f"- **Usual mistake**: {entry.mistake}"
    yield f"- **Shown by** {', '.join(f'[{test}]({_link(file)})' for test in entry.tests)}"


def _sentence(test: str) -> str:
    words = test.removeprefix("test_").replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}"


def _link(file: str) -> str:
    return f"../{(FOLDER / file).relative_to(ROOT)}"


if __name__ == "__main__":
    PAGE.write_text(text())
