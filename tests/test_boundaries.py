"""Who may import whom, read from the source."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCATIONS = {path.parent.name for path in ROOT.glob("projects/*/pyproject.toml")}
DEMO = "demo_world"
HARNESS = ROOT / "shared/src/platform_shared/testing"


def imported(source: str) -> set[str]:
    """Dotted names of all modules that the source imports, wherever it does so."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def forbidden(names: set[str], packages: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] in packages}


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def offences(folder: Path, packages: set[str]) -> dict[str, set[str]]:
    found = {str(path.relative_to(ROOT)): forbidden(imported(path.read_text()), packages) for path in sources(folder)}
    return {path: names for path, names in found.items() if names}


def test_the_library_imports_no_location_and_no_demo():
    assert offences(ROOT / "shared/src", LOCATIONS | {DEMO}) == {}


@pytest.mark.parametrize("location", sorted(LOCATIONS))
def test_a_location_imports_no_other_location_and_no_demo(location):
    assert sources(ROOT / "projects" / location / "src")
    assert offences(ROOT / "projects" / location / "src", (LOCATIONS | {DEMO}) - {location}) == {}


def test_the_demo_imports_nothing_of_the_platform():
    assert offences(ROOT / "demo/src", LOCATIONS | {"platform_shared"}) == {}


def test_no_third_party_package_shadows_a_location():
    assert not LOCATIONS & set(sys.stdlib_module_names)


def test_shipped_code_uses_public_dagster_only():
    shipped = [
        path
        for folder in ("shared/src", "demo/src", *(f"projects/{name}/src" for name in LOCATIONS))
        for path in sources(ROOT / folder)
        if HARNESS not in path.parents
    ]
    private = {
        str(path.relative_to(ROOT)): [n for n in imported(path.read_text()) if n.startswith("dagster._")]
        for path in shipped
    }
    assert {path: names for path, names in private.items() if names} == {}


def test_the_check_sees_imports_inside_functions():
    source = (
        "def f():\n    import batch.sales_report\n    from ingestion import defs\n    from dagster._core import x\n"
    )
    assert forbidden(imported(source), LOCATIONS) == {"batch.sales_report", "ingestion", "ingestion.defs"}
    assert "dagster._core" in imported(source)
