"""Whose warning it is: decided by the place that it names and by who called the package that issued it."""

import warnings

import pytest

from platform_shared.workspace.load_warnings import Frame, is_ours, recorded_warnings

OURS = {"batch", "platform_shared"}
IMPORT = Frame("importlib._bootstrap", "<frozen importlib._bootstrap>", 241)
CORE = Frame("dagster._core.decorator", "core.py", 7)
HELPER = Frame("dagster_shared.utils.warnings", "warn.py", 5)
PANDAS = Frame("pandas.core.frame", "frame.py", 9)
LOCATION = Frame("batch.defs.assets", "assets.py", 3)
LIBRARY = Frame("platform_shared.location", "location.py", 4)


@pytest.mark.parametrize(
    ("stack", "warned", "ours"),
    [
        ([LOCATION, IMPORT], LOCATION, True),
        ([CORE, LOCATION], CORE, True),
        ([HELPER, CORE, LOCATION], CORE, True),
        ([HELPER, CORE, LIBRARY], HELPER, True),
        ([PANDAS, CORE, LOCATION], LOCATION, True),
        ([LOCATION, CORE], CORE, True),
        ([PANDAS, CORE, LOCATION], PANDAS, False),
        ([PANDAS, IMPORT, LOCATION], PANDAS, False),
        ([PANDAS], PANDAS, False),
        ([], PANDAS, False),
    ],
    ids=[
        "ours issues it",
        "we call what issues it",
        "through a sibling package",
        "the library calls it",
        "it names our line",
        "ours issues it in another's name",
        "between third parties",
        "while it is imported",
        "nobody of ours",
        "no stack",
    ],
)
def test_who_answers_for_a_warning(stack: list[Frame], warned: Frame, ours: bool) -> None:
    assert is_ours(stack, (warned.file, warned.line), OURS) is ours


def test_each_warning_is_recorded_once_even_if_it_was_shown_before() -> None:
    def old() -> None:
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    with recorded_warnings({__name__.partition(".")[0]}) as warned:
        for _ in range(2):
            old()
            warnings.warn("left open", ResourceWarning, stacklevel=1)
    (warning,) = warned
    assert (warning.category, warning.message, warning.ours) == ("DeprecationWarning", "old", True)
    assert "test_load_warnings.py:" in warning.where
