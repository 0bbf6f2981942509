"""The feed `order_lines`: real files, the real sensor loop, the real ledger and the real warehouse."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from platform_shared import faults
from platform_shared.contracts import RAW_ORDER_LINES
from platform_shared.ledger import Ledger, Outbox, Unit, UnitState
from platform_shared.partitions import FIRST_BUSINESS_DATE
from platform_shared.postgres import postgres
from platform_shared.settings import Home
from platform_shared.testing.daemon import DaemonError, DaemonHarness
from platform_shared.testing.ticks import Tick
from platform_shared.warehouse import Warehouse

FEED = "order_lines"
TABLE = RAW_ORDER_LINES.key
HEADER = ",".join(RAW_ORDER_LINES.types)
MON, TUE, WED = "2025-03-03", "2025-03-04", "2025-03-05"


@dataclass(frozen=True)
class Line:
    """An order line of a basket; `day` is the New York day of the sale, at noon."""

    basket: int
    day: str = MON
    quantity: str = "1"
    value: str = "2.50"

    def __str__(self) -> str:
        return f"7,31,{self.basket},900001,{self.quantity},{self.value},0.00,0.00,0.00,9,{self.day}T17:00:00Z"


def csv(*lines: Line | str, header: str = HEADER) -> str:
    return "\n".join([header, *map(str, lines), ""])


@dataclass(frozen=True)
class Platform:
    """The daemon over the location, a sender's hand in its landing zone, and a look at what became of it."""

    daemon: DaemonHarness
    home: Home

    def deliver(self, name: str, *content: Line | str) -> Path:
        """Lines (or the text) appear under the name complete, as careful senders write them."""
        return deliver(self.home, name, *content)

    def look(self) -> Tick:
        """One look of the feed's sensor."""
        (tick,) = self.daemon.tick_sensors(f"{FEED}_landing_sensor")
        return tick

    def load(self) -> list[dg.DagsterRun]:
        """One look of the sensor, and the runs that it asks for."""
        self.look()
        return self.daemon.execute_runs()

    def rows(self) -> list[tuple[str, int, str, Decimal]]:
        """(object, basket, business date, sales value) of all rows, in order."""
        with Warehouse.of(self.home).connect(read_only=True) as connection:
            return connection.execute(
                "SELECT _source_object, basket_id, CAST(business_date AS VARCHAR), sales_value "
                "FROM lake.raw.order_lines ORDER BY ALL"
            ).fetchall()

    def baskets(self) -> list[int]:
        return [basket for _, basket, _, _ in self.rows()]

    def units(self, *states: UnitState) -> list[Unit]:
        ledger = Ledger(postgres(self.home))
        try:
            return ledger.units(FEED, list(states) or None)
        finally:
            ledger.close()

    def set_aside(self) -> dict[str, str]:
        """Object -> reason of what has been in quarantine."""
        return {unit.object_id: str(unit.reason) for unit in self.units(UnitState.QUARANTINED)}

    def messages(self) -> list[str]:
        """Subjects of the messages in the outbox."""
        outbox = Outbox(postgres(self.home))
        try:
            return [message.subject for message in outbox.undelivered()]
        finally:
            outbox.close()

    def announced(self) -> list[str | None]:
        return self.daemon.materialized(TABLE)

    def check_passes(self, name: str = "nothing_in_quarantine") -> bool | None:
        result = self.daemon.check(TABLE, name)
        assert result is None or result.passed or result.severity is dg.AssetCheckSeverity.WARN
        return result.passed if result else None


def deliver(home: Home, name: str, *content: Line | str) -> Path:
    text = content[0] if isinstance(content[0], str) else csv(*content)
    path = home.landing / FEED / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.write_text(text)
    os.replace(fresh, path)
    return path


@pytest.fixture
def open_at(daemon_harness: Callable[..., DaemonHarness], platform_home: Home) -> Callable[[datetime], Platform]:
    """Opens the location at an instant. Files carry the real time of their delivery, so it must be near the present."""
    return lambda now: Platform(daemon_harness({"ingestion": "ingestion.definitions"}, now), platform_home)


@pytest.fixture
def platform(open_at: Callable[[datetime], Platform]) -> Platform:
    """An hour after any delivery of the test: all files have long been complete."""
    return open_at(datetime.now(UTC) + timedelta(hours=1))


@contextmanager
def failing_at(point: str, error: BaseException) -> Iterator[None]:
    def hook(reached: str) -> None:
        if reached == point:
            raise error

    faults.install(hook)
    try:
        yield
    finally:
        faults.install(None)


def test_a_file_becomes_rows_its_day_and_a_passed_check_in_one_run(platform: Platform) -> None:
    platform.deliver("2025-03-03/store-1.csv", Line(1), Line(2, value="0.10"))
    assert len(platform.load()) == 1
    assert platform.rows() == [
        ("2025-03-03/store-1.csv", 1, MON, Decimal("2.50")),
        ("2025-03-03/store-1.csv", 2, MON, Decimal("0.10")),
    ]
    (record,) = platform.daemon.materializations(TABLE)
    assert record.partition_key == MON
    assert record.asset_materialization is not None
    assert record.asset_materialization.metadata["dagster/partition_row_count"].value == 2
    assert platform.check_passes() is True
    assert platform.load() == []


def test_many_files_share_a_run_and_each_of_their_days_is_announced(platform: Platform) -> None:
    for basket in range(1, 6):
        platform.deliver(f"{basket}.csv", Line(basket, day=MON if basket % 2 else TUE))
    assert len(platform.load()) == 1
    assert platform.baskets() == [1, 2, 3, 4, 5]
    assert platform.announced() == [MON, TUE]


def test_a_request_names_its_batch_and_carries_no_data(platform: Platform) -> None:
    for basket in range(60):
        platform.deliver(f"{basket}.csv", Line(basket))
    (request,) = platform.look().requests
    (batch,) = {unit.batch_id for unit in platform.units(UnitState.REQUESTED)}
    assert request.run_config["ops"] == {"load_order_lines": {"config": {"batch_id": batch}}}
    assert request.run_key == batch


def test_the_same_bytes_again_change_nothing(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1))
    platform.load()
    before = platform.rows()
    platform.deliver("a.csv", Line(1))
    assert platform.load() == []
    assert platform.rows() == before
    assert platform.announced() == [MON]
    assert [unit.state for unit in platform.units()] == [UnitState.LOADED, UnitState.UNCHANGED]


def test_a_changed_file_replaces_its_rows(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1), Line(2))
    platform.deliver("b.csv", Line(3))
    platform.load()
    platform.deliver("a.csv", Line(1, value="9.99"))
    assert len(platform.load()) == 1
    assert platform.rows() == [("a.csv", 1, MON, Decimal("9.99")), ("b.csv", 3, MON, Decimal("2.50"))]
    assert platform.announced() == [MON, MON]


def test_a_file_that_moves_to_another_day_announces_both(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1, day=MON))
    platform.load()
    platform.deliver("a.csv", Line(1, day=TUE))
    platform.load()
    assert platform.rows() == [("a.csv", 1, TUE, Decimal("2.50"))]
    assert sorted(map(str, platform.announced())) == [MON, MON, TUE]


def test_bad_files_are_set_aside_with_the_place_and_the_others_load(platform: Platform) -> None:
    number = platform.deliver("number.csv", Line(3), Line(4, quantity="two"), Line(5))
    platform.deliver("header.csv", csv(Line(6), header=HEADER.replace("quantity", "qty")))
    platform.deliver("torn.csv", csv(Line(7), Line(8))[:-40])
    platform.deliver("day.csv", Line(9), Line(10, day="2024-01-01"))
    platform.deliver("good.csv", Line(1), Line(2))
    assert len(platform.load()) == 1

    assert platform.baskets() == [1, 2]
    reasons = platform.set_aside()
    assert reasons.keys() == {"number.csv", "header.csv", "torn.csv", "day.csv"}
    assert reasons["number.csv"].startswith("number.csv, line 3, column quantity: ")
    assert reasons["header.csv"].startswith("header.csv, line 1: missing column quantity; unknown column 'qty'")
    assert reasons["torn.csv"].startswith("torn.csv, line 3")
    assert "it has 6 fields, the header has 11" in reasons["torn.csv"]
    assert reasons["day.csv"].startswith("day.csv, line 3, column business_date: 2024-01-01 is outside 2025-01-06 to ")

    notes = {path: json.loads(path.read_text()) for path in (platform.home.quarantine / FEED).glob("*.reason.json")}
    assert {note["object"]: note["reason"] for note in notes.values()} == reasons
    (of_number,) = (path for path, note in notes.items() if note["object"] == "number.csv")
    assert of_number.with_name(of_number.name.removesuffix(".reason.json")).read_bytes() == number.read_bytes()
    assert platform.messages() == [f"{FEED}: 4 objects set aside"]
    assert platform.check_passes() is False

    assert platform.load() == []
    assert len(platform.messages()) == 1


def test_a_corrected_file_loads_and_the_check_passes_again(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1, quantity="one"))
    platform.load()
    assert platform.check_passes() is False
    platform.deliver("a.csv", Line(1))
    platform.load()
    assert platform.baskets() == [1]
    assert platform.check_passes() is True


def test_rows_of_a_good_version_stay_while_a_bad_one_is_in_quarantine(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1))
    platform.load()
    platform.deliver("a.csv", "not a csv of ours\n")
    platform.load()
    assert platform.baskets() == [1]
    assert platform.announced() == [MON]
    assert platform.check_passes() is False


def test_a_file_that_was_just_written_waits(open_at: Callable[[datetime], Platform], platform_home: Home) -> None:
    written = deliver(platform_home, "a.csv", Line(1)).stat().st_ctime
    platform = open_at(datetime.fromtimestamp(written, UTC) + timedelta(seconds=1))
    tick = platform.look()
    assert (tick.status, tick.skip_reason) == ("SKIPPED", "of 1 objects: 1 still being written")
    assert len(platform.load()) == 1
    assert platform.baskets() == [1]


def test_temporary_and_hidden_files_are_never_read(platform: Platform) -> None:
    for name in (".a.csv", "b.csv.tmp", ".hidden/c.csv"):
        platform.deliver(name, Line(1))
    assert platform.load() == []
    assert platform.units() == []


def test_a_landing_folder_that_goes_away_is_an_error_and_no_deletion(platform: Platform) -> None:
    tick = platform.look()
    assert tick.skip_reason.startswith("Nothing was delivered yet: The landing folder 'order_lines' does not exist.")
    platform.deliver("a.csv", Line(1))
    platform.load()
    (platform.home.landing / FEED).rename(platform.home.landing / "away")
    with pytest.raises(DaemonError, match="landing folder 'order_lines' does not exist"):
        platform.look()
    assert [unit.state for unit in platform.units()] == [UnitState.LOADED]


def test_a_failing_run_is_tried_three_times_in_ever_smaller_batches_and_then_set_aside(platform: Platform) -> None:
    for basket in range(12):
        platform.deliver(f"{basket}.csv", Line(basket))
    batches = []
    with failing_at("warehouse.after_copy", RuntimeError("a row is too much for it")):
        for _ in range(5):
            platform.daemon.advance(timedelta(minutes=6))
            platform.look()
            requested = platform.units(UnitState.REQUESTED)
            batches.append(sorted(sum(u.batch_id == b for u in requested) for b in {u.batch_id for u in requested}))
            platform.daemon.execute_runs(may_fail=True)
    assert batches == [[12], [12], [2, 10], [], []]
    attempts = [run.tags["platform/attempt"] for run in platform.daemon.runs(dg.DagsterRunStatus.FAILURE)]
    assert attempts == ["1", "2", "3", "3"]
    assert platform.set_aside() == {
        f"{n}.csv": f"{n}.csv: 3 tries failed; the last one: RuntimeError: a row is too much for it" for n in range(12)
    }
    assert platform.messages() == [f"{FEED}: 12 objects set aside"]
    assert platform.rows() == []
    # No run has come as far as the check: the look says what it has set aside.
    shown = platform.daemon.check(TABLE, "nothing_in_quarantine")
    assert shown is not None
    assert not shown.passed

    platform.deliver("0.csv", Line(0, value="1.00"))
    platform.load()
    assert platform.baskets() == [0]


def test_an_outage_of_the_lake_sets_nothing_aside_and_ends_by_itself(platform: Platform) -> None:
    for basket in range(6):
        platform.deliver(f"{basket}.csv", Line(basket))
    with failing_at("warehouse.before_commit", RuntimeError("the lake is under water")):
        for turn in range(60):
            platform.daemon.advance(timedelta(minutes=2))
            if turn % 10 == 0:
                platform.deliver(f"later-{turn}.csv", Line(100 + turn))
            platform.look()
            platform.daemon.execute_runs(may_fail=True)
    failed = platform.daemon.runs(dg.DagsterRunStatus.FAILURE)
    assert [run.tags["platform/attempt"] for run in failed] == [str(number) for number in range(1, len(failed) + 1)]
    assert 6 <= len(failed) <= 12, "two hours, and a quarter of an hour between two tries"
    assert platform.set_aside() == {}
    assert platform.rows() == []

    platform.daemon.advance(timedelta(minutes=15))
    platform.load()
    platform.load()
    assert platform.baskets() == [*range(6), *range(100, 160, 10)]


def test_a_canceled_run_gives_its_files_back(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1))
    tick = platform.look()
    platform.daemon.cancel(tick.run_ids[0])
    assert platform.load() == []
    platform.daemon.advance(timedelta(seconds=31))
    (run,) = platform.load()
    assert run.tags["platform/attempt"] == "2"
    assert platform.baskets() == [1]


def test_a_run_that_dies_without_a_word_is_replaced_when_its_lease_runs_out(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1))
    tick = platform.look()
    platform.daemon.lose(tick.run_ids[0])
    assert platform.load() == []
    platform.daemon.advance(timedelta(minutes=10))
    assert len(platform.load()) == 1
    assert platform.baskets() == [1]


def test_a_run_that_waits_long_in_the_queue_keeps_its_batch_and_its_tries(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1))
    tick = platform.look()
    for _ in range(8):
        platform.daemon.advance(timedelta(minutes=5))
        later = platform.look()
        assert later.run_ids == ()
    (run,) = platform.daemon.execute_runs()
    assert run.run_id == tick.run_ids[0]
    assert platform.announced() == [MON]
    assert platform.baskets() == [1]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty_key.csv", csv(Line(8), "7,31,,900001,1,2.50,0.00,0.00,0.00,9,2025-03-03T17:00:00Z"), "line 3, column"),
        ("long_line.csv", csv(Line(8), "7" * 3_000_000), "long_line.csv"),
        ("é" * 100 + ".csv", csv(Line(8, quantity="x")), "line 2, column quantity"),
    ],
    ids=["empty key", "line of 3 MB", "long name"],
)
def test_one_bad_file_never_holds_up_its_batch(platform: Platform, name: str, content: str, said: str) -> None:
    platform.deliver(name, content)
    platform.deliver("good.csv", Line(1))
    platform.load()
    assert platform.baskets() == [1]
    ((set_aside, reason),) = platform.set_aside().items()
    assert set_aside == name
    assert said in reason
    assert len(platform.messages()) == 1


def test_line_ends_of_all_kinds_in_one_file_lose_no_row(platform: Platform) -> None:
    platform.deliver("mixed.csv", f"{HEADER}\r\n{Line(8)}\n{Line(9)}\r\n")
    platform.load()
    assert platform.baskets() == [8, 9]


def test_a_few_bad_rows_are_rejected_with_their_place_and_the_others_load(platform: Platform) -> None:
    lines = [Line(basket) for basket in range(200)]
    platform.deliver("a.csv", *lines[:100], Line(900, value="1.005"), *lines[100:])
    platform.load()
    assert platform.baskets() == list(range(200))
    assert platform.set_aside() == {}
    with Warehouse.of(platform.home).connect(read_only=True) as connection:
        (reject,) = connection.execute(
            "SELECT _source_object, line, column_name, content FROM lake.raw.order_lines_rejects"
        ).fetchall()
    assert reject == ("a.csv", 102, "sales_value", str(Line(900, value="1.005")))
    assert platform.check_passes("no_row_rejected") is False

    platform.deliver("a.csv", *lines)
    platform.load()
    assert platform.check_passes("no_row_rejected") is True


def test_marks_in_a_name_stand_for_themselves(platform: Platform) -> None:
    for basket, name in enumerate(("a1.csv", "a*.csv", "a?.csv", "a[1].csv", "it's.csv", "100%.csv")):
        platform.deliver(name, Line(basket))
    platform.load()
    assert sorted(platform.baskets()) == [0, 1, 2, 3, 4, 5]
    assert platform.set_aside() == {}


def test_a_name_that_is_no_text_is_told_once_and_holds_up_nothing(platform: Platform) -> None:
    platform.deliver("good.csv", Line(1))
    folder = os.fsencode(platform.home.landing / FEED)
    with open(os.path.join(folder, b"caf\xe9.csv"), "wb") as file:
        file.write(csv(Line(2)).encode())
    platform.load()
    platform.load()
    assert platform.baskets() == [1]
    assert platform.messages() == [f"{FEED}: caf\\xe9.csv not loaded"]


@pytest.mark.parametrize("after", ["a bad version", "gone"])
def test_days_that_a_dead_run_committed_are_announced_whatever_comes_next(platform: Platform, after: str) -> None:
    platform.deliver("a.csv", Line(1))
    platform.look()
    with failing_at("ingestion.before_announce", RuntimeError("killed")):
        platform.daemon.execute_runs(may_fail=True)
    assert platform.announced() == []
    if after == "gone":
        (platform.home.landing / FEED / "a.csv").unlink()
    else:
        platform.deliver("a.csv", Line(1, quantity="one"))
    platform.daemon.advance(timedelta(seconds=31))
    platform.load()
    assert platform.baskets() == [1]
    assert platform.announced() == [MON]


def test_the_button_in_the_ui_changes_nothing_and_does_not_fail(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1))
    platform.load()
    platform.daemon.launch(TABLE, partition=MON)
    platform.daemon.execute_runs()
    platform.daemon.backfill(TABLE, partitions=[MON, TUE])
    platform.daemon.tick_backfills()
    assert len(platform.daemon.execute_runs()) == 1
    assert platform.baskets() == [1]
    assert platform.announced() == [MON]


def test_a_crash_after_the_commit_loads_and_announces_again_without_duplicates(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1))
    platform.look()
    with failing_at("ingestion.before_announce", RuntimeError("killed")):
        platform.daemon.execute_runs(may_fail=True)
    assert platform.baskets() == [1]
    assert platform.announced() == []
    platform.daemon.advance(timedelta(seconds=31))
    platform.load()
    assert platform.baskets() == [1]
    assert platform.announced() == [MON]


def test_a_file_that_goes_back_after_a_crash_in_between_is_loaded_again(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1))
    platform.load()
    platform.deliver("a.csv", Line(2))
    platform.look()
    with failing_at("ingestion.before_ledger", RuntimeError("killed")):
        platform.daemon.execute_runs(may_fail=True)
    assert platform.baskets() == [2]
    platform.deliver("a.csv", Line(1))
    platform.daemon.advance(timedelta(seconds=31))
    platform.load()
    assert platform.baskets() == [1]


def test_the_ledger_remembers_what_runs_and_cursors_forget(platform: Platform) -> None:
    platform.deliver("a.csv", Line(1))
    platform.load()
    for run in platform.daemon.runs():
        platform.daemon.instance.delete_run(run.run_id)
    assert platform.load() == []
    assert platform.baskets() == [1]


def test_days_without_deliveries_become_empty_partitions_once_and_a_late_file_fills_one(platform: Platform) -> None:
    platform.deliver("monday.csv", Line(1))
    platform.deliver("wednesday.csv", Line(2, WED))
    platform.load()
    assert platform.load() == []
    assert platform.announced() == [MON, WED]
    platform.daemon.advance(timedelta(minutes=2))
    assert platform.load() == []
    announced = platform.announced()
    first = FIRST_BUSINESS_DATE
    days = {(first + timedelta(days=n)).isoformat() for n in range((date.fromisoformat(WED) - first).days + 1)}
    assert len(announced) == len(days)
    assert {*announced} == days
    assert platform.load() == []
    assert platform.announced() == announced
    platform.deliver("tuesday.csv", Line(3, TUE))
    platform.load()
    platform.daemon.advance(timedelta(minutes=2))
    assert platform.load() == []
    assert sorted(map(str, platform.announced())) == sorted([*map(str, announced), TUE])
    assert platform.baskets() == [1, 3, 2]
