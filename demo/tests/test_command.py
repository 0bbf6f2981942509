import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_world.__main__ import MOST_DAYS
from demo_world.calendar import business_day, data_day, last_complete_trading_days
from demo_world.source import store_day_files
from platform_shared.testing.s3_server import S3Server

NamesIn = Callable[[Path], set[str]]

# A machine of another zone, late on 4 July in New York, early on the 5th in UTC.
NOW = "2025-07-05T03:30:00Z"
ENVIRONMENT = {**os.environ, "TZ": "Asia/Tokyo"}


def command(landing: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "demo_world", "--landing", str(landing), "--now", NOW, *options]


def run(landing: Path, *options: str, s3: S3Server | None = None) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | (s3.environment if s3 else {})
    return subprocess.run(
        command(landing, *options), env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_last_days_land_and_a_second_run_touches_nothing(tmp_path: Path, names_in: NamesIn) -> None:
    stale = tmp_path / "order_lines" / "2025-07-01" / ".store-00001.csv.tmp"
    stale.parent.mkdir(parents=True)
    stale.touch()

    first = run(tmp_path, "--days", "2")
    assert (first.returncode, first.stderr) == (0, "")
    days = [date(2025, 7, 2), date(2025, 7, 3)]
    expected = {file.name: file for day in days for file in store_day_files(day)}
    landed = tmp_path / "order_lines"
    assert names_in(landed) == set(expected)
    assert all((landed / name).read_bytes() == file.content for name, file in expected.items())
    assert [json.loads(line) for line in first.stdout.splitlines()] == [
        {
            "feed": "order_lines",
            "day": str(day),
            "objects": len([file for file in expected.values() if file.day == day]),
            "rows": sum(file.rows for file in expected.values() if file.day == day),
            "sales": str(sum(file.sales for file in expected.values() if file.day == day)),
            "data_day": str(data_day(day)),
        }
        for day in days
    ]

    before = {name: (landed / name).stat() for name in expected}
    second = run(tmp_path, "--days", "2")
    assert second.stdout == first.stdout
    assert {name: (landed / name).stat() for name in names_in(landed)} == before


@pytest.mark.parametrize(
    "options",
    [
        ["--now", "2025-07-05T12:00:00"],
        ["--now", "2016-05-05T12:00:00Z"],
        ["--days", "363"],
        ["--per-minute", "0"],
        ["--s3-endpoint", "nowhere"],
    ],
)
def test_an_option_that_makes_no_sense_is_refused_without_a_traceback(tmp_path: Path, options: list[str]) -> None:
    refused = run(tmp_path, *options)
    assert refused.returncode == 2
    assert "error:" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("days", "weeks"),
    [("0", ["2025-06-30"]), ("1", ["2025-06-30"]), ("14", ["2025-06-16", "2025-06-23", "2025-06-30"])],
)
def test_with_an_endpoint_the_bucket_is_filled_after_the_files(
    tmp_path: Path, s3_server: S3Server, days: str, weeks: list[str]
) -> None:
    done = run(tmp_path, "--days", days, "--s3-endpoint", s3_server.endpoint_url, s3=s3_server)
    assert (done.returncode, done.stderr) == (0, "")
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["feed"] for each in reports] == [
        *["order_lines"] * int(days),
        "households",
        "products",
        *["promotions"] * len(weeks),
    ]
    assert [each["week"] for each in reports if each["feed"] == "promotions"] == weeks
    keys = [entry["Key"] for entry in s3_server.client.list_objects_v2(Bucket="retailer")["Contents"]]
    assert len([key for key in keys if key.startswith("customer_data/")]) == 9
    assert keys[9:] == ["master_data/products.csv.gz"] + [
        f"promotions/week={week}/promotions.parquet" for week in weeks
    ]


def test_a_server_that_takes_nothing_makes_a_past_that_did_not_take_place(tmp_path: Path) -> None:
    # Nobody listens on a port that has just been given back.
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    program = (
        "import sys, demo_world.__main__ as world; world.S3_PATIENCE_SECONDS = 0; sys.exit(world.main(sys.argv[1:]))"
    )
    _, _, _, *arguments = command(tmp_path, "--days", "0", "--s3-endpoint", url)
    credentials = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=ENVIRONMENT | credentials,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert url in done.stderr
    assert "Traceback" not in done.stderr


@settings(max_examples=20)
@given(st.datetimes(datetime(2018, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001
def test_no_day_of_the_data_plays_twice(wall: datetime) -> None:
    now = wall.replace(tzinfo=UTC)
    played = [data_day(day) for day in [*last_complete_trading_days(now, MOST_DAYS), business_day(now)]]
    assert len(set(played)) == len(played)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def popen(*options: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                command(tmp_path, *options),
                env=ENVIRONMENT | {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield popen
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("signal_number", "options"),
    [
        (signal.SIGTERM, ["--days", "0", "--today"]),  # waits for the next file
        (signal.SIGINT, ["--days", "0", "--today"]),
        (signal.SIGTERM, ["--days", "300"]),  # busy with past days
        (signal.SIGINT, ["--days", "14", "--slow-writes"]),  # in the middle of a file, most likely
    ],
)
def test_a_signal_ends_it_at_once_and_leaves_whole_files_only(
    tmp_path: Path,
    names_in: NamesIn,
    start: Callable[..., subprocess.Popen[str]],
    signal_number: int,
    options: list[str],
) -> None:
    process = start(*options)
    landed = tmp_path / "order_lines"
    until = time.monotonic() + 30
    while not names_in(landed) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    asked = time.monotonic()
    process.send_signal(signal_number)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - asked < 2
    assert process.returncode == 0
    assert "Traceback" not in errors
    found = names_in(landed)
    assert found
    days = {date.fromisoformat(name[:10]) for name in found}
    whole = {file.name: file.content for day in days for file in store_day_files(day)}
    assert all((landed / name).read_bytes() == whole[name] for name in found)


def test_a_server_that_hangs_holds_up_neither_files_nor_the_end(
    tmp_path: Path, names_in: NamesIn, start: Callable[..., subprocess.Popen[str]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = start("--days", "0", "--today", "--per-minute", "600", "--s3-endpoint", url)
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            assert process.stderr is not None
            assert [process.stderr.readline() for _ in range(3)]
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert len(names_in(tmp_path / "order_lines")) >= 3


def test_today_is_the_day_in_new_york_and_goes_on_over_its_midnight(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    just_before = datetime(2025, 7, 5, 4, tzinfo=UTC) - timedelta(seconds=1)
    process = start("--now", just_before.isoformat(), "--days", "0", "--today", "--per-minute", "0.01")
    assert process.stdout is not None
    assert process.stderr is not None
    closed = json.loads(process.stdout.readline())
    told = [process.stderr.readline().split()[0] for _ in range(closed["objects"] + 1)]
    assert closed["day"] == "2025-07-04"
    assert told[:-1] == [file.name for file in store_day_files(date(2025, 7, 4))]
    assert told[-1] == next(store_day_files(date(2025, 7, 5))).name
