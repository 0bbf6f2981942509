"""What the documents point to is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md") if not {".venv", "target", ".platform", ".uv"} & set(path.parts))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_target_that_is_named_exists(document):
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", (ROOT / document).read_text()))
    assert named <= targets
    assert named


def test_make_alone_prints_every_target():
    printed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "dev", "demo", "test", "lint", "check", "down", "reset"):
        assert re.search(rf"\b{target}\b", printed)


def test_ci_calls_the_commands_of_the_readme():
    script = (ROOT / ".ci/run").read_text()
    for command in ("make test", "make lint", "make check", "make resolve"):
        assert command in script
