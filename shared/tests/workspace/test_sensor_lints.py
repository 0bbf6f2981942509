"""Mistakes that documents about sensors teach, each found, and its right form left alone."""

from pathlib import Path

import pytest

from platform_shared.workspace.projects import workspace_root
from platform_shared.workspace.sensor_lints import mistakes_in, sensor_mistakes

WRONG = {
    "an argument of RunRequest that does not exist": (
        'yield dg.RunRequest(run_key="a", ops={"load": {}})',
        "RunRequest has no argument 'ops'",
    ),
    "an argument of SensorResult that does not exist": (
        "return SensorResult(runs=[])",
        "SensorResult has no argument 'runs'",
    ),
    "the time in a key": ('yield dg.RunRequest(run_key=f"sensor_{time.time()}")', "made with time()"),
    "the date in a key": ("yield dg.RunRequest(run_key=str(datetime.now(UTC)))", "made with now()"),
    "a random key": ("yield dg.RunRequest(run_key=uuid.uuid4().hex)", "made with uuid4()"),
    "a cursor in an asset sensor": (
        '@dg.asset_sensor(asset_key=KEY, job=job)\ndef s(context, event):\n    context.update_cursor("1")',
        "The asset sensor s writes a cursor",
    ),
    "an outage that looks like quiet": (
        "@dg.sensor(job=job)\ndef s(context):\n    try:\n        look()\n"
        '    except ConnectionError:\n        return dg.SkipReason("source is away")',
        "s catches ConnectionError and goes on",
    ),
    "everything swallowed": (
        "@sensor(job=job)\ndef s(context):\n    try:\n        look()\n    except:\n        pass",
        "s catches everything and goes on",
    ),
    "one of several": (
        "@sensor(job=job)\ndef s(context):\n    try:\n        look()\n    except (KeyError, Exception):\n        pass",
        "s catches Exception and goes on",
    ),
}


@pytest.mark.parametrize(("source", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_found_once_with_its_line_and_a_remedy(source: str, said: str) -> None:
    (finding,) = mistakes_in(source, "s.py")
    assert said in finding.what
    assert finding.where.startswith("s.py:")
    assert finding.remedy


@pytest.mark.parametrize(
    "source",
    [
        'yield dg.RunRequest(run_key=f"{name}@{version}", run_config=config, tags={})',
        "return dg.SensorResult(run_requests=[], cursor=cursor, asset_events=[])",
        "at = time.time()",
        '@dg.sensor(job=job)\ndef s(context):\n    context.update_cursor("1")',
        "@dg.sensor(job=job)\ndef s(context):\n    try:\n        look()\n    except Exception:\n        raise",
        "@dg.sensor(job=job)\ndef s(context):\n    try:\n        look()\n    except KeyError:\n        pass",
        "def f():\n    try:\n        look()\n    except Exception:\n        pass",
        "no python at all",
    ],
)
def test_the_right_form_is_left_alone(source: str) -> None:
    assert list(mistakes_in(source, "s.py")) == []


def test_the_workspace_has_none() -> None:
    assert list(sensor_mistakes(workspace_root(Path(__file__)))) == []


def test_all_locations_and_the_library_are_looked_at(tmp_path: Path) -> None:
    for folder in ("projects/orders/src/orders/defs", "shared/src/library"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "s.py").write_text("x = dg.RunRequest(ops={})")
    assert [finding.where for finding in sensor_mistakes(tmp_path)] == [
        "projects/orders/src/orders/defs/s.py:1",
        "shared/src/library/s.py:1",
    ]
