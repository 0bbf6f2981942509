"""`platform feeds`, `replay` and `reconcile` on a real home: what they print, return and bring about."""

import json
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from platform_shared.cli.main import main
from platform_shared.components import FileFeedComponent, S3FeedComponent
from platform_shared.contracts import RAW_ORDER_LINES
from platform_shared.settings import Home
from platform_shared.testing.daemon import DaemonHarness
from platform_shared.warehouse import Warehouse

FEED = "order_lines"
HEADER = ",".join(RAW_ORDER_LINES.types)
GOOD = "7,31,{},900001,1,2.50,0.00,0.00,0.00,9,2025-03-03T17:00:00Z"
BAD = "7,31,{},900001,one,2.50,0.00,0.00,0.00,9,2025-03-03T17:00:00Z"


@dataclass(frozen=True)
class Shell:
    """A person at the shell of a platform whose daemon ticks when the test says so."""

    daemon: DaemonHarness
    home: Home
    capture: pytest.CaptureFixture[str]

    def deliver(self, name: str, *lines: str) -> Path:
        path = self.home.landing / FEED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.tmp")
        fresh.write_text("\n".join([HEADER, *lines, ""]))
        os.replace(fresh, path)
        return path

    def load(self) -> int:
        """One look of the feed's sensor, and its runs; how many."""
        self.daemon.tick_sensors(f"{FEED}_landing_sensor")
        return len(self.daemon.execute_runs())

    def platform(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and errors of `platform …`."""
        self.capture.readouterr()
        code = main(arguments)
        printed = self.capture.readouterr()
        return code, printed.out, printed.err

    def feeds(self) -> dict[str, dict[str, Any]]:
        code, out, _ = self.platform("feeds", "--format", "json")
        assert code == 0
        return {each["feed"]: each for each in json.loads(out)}

    def baskets(self) -> list[int]:
        with Warehouse.of(self.home).connect(read_only=True) as connection:
            query = "SELECT basket_id FROM lake.raw.order_lines ORDER BY 1"
            return [basket for (basket,) in connection.execute(query).fetchall()]


@pytest.fixture
def shell(
    daemon_harness: Callable[..., DaemonHarness], platform_home: Home, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """Half an hour and more after any delivery of the test: what was not taken by then is late."""
    harness = daemon_harness({"ingestion": "ingestion.definitions"}, datetime.now(UTC) + timedelta(hours=1))
    return Shell(harness, platform_home, capsys)


def test_feeds_before_anything_was_looked_at(shell: Shell) -> None:
    assert shell.platform("feeds") == (
        0,
        "No feed has looked at its source yet; the sensors look while `make dev` runs.\n",
        "",
    )
    assert shell.feeds() == {}


def test_feeds_says_why_a_feed_waits_and_until_when(shell: Shell) -> None:
    shell.deliver("2025-03-03/a.csv", GOOD.format(1))
    (tick,) = shell.daemon.tick_sensors(f"{FEED}_landing_sensor")
    shell.daemon.cancel(tick.run_ids[0])
    assert shell.load() == 0
    code, out, _ = shell.platform("feeds")
    assert code == 0
    assert re.search(rf"{FEED} waits: 1 runs in a row failed .* tried at .* UTC\. The last one: run .* CANCELED", out)
    assert shell.feeds()[FEED]["outage"]["failures"] == 1

    shell.daemon.advance(timedelta(seconds=31))
    assert shell.load() == 1
    assert "waits:" not in shell.platform("feeds")[1]
    assert shell.feeds()[FEED]["outage"] is None


def test_feeds_shows_what_came_what_was_rejected_and_what_is_set_aside(shell: Shell) -> None:
    shell.deliver("2025-03-03/a.csv", *[GOOD.format(n) for n in range(150)], BAD.format(900))
    shell.deliver("2025-03-03/b.csv", GOOD.format(200))
    shell.deliver("2025-03-03/c.csv", BAD.format(300))
    shell.load()
    shell.load()

    feed = shell.feeds()[FEED]
    assert {name: feed[name] for name in ("listed", "loaded", "quarantined", "discovered", "rows", "rejects")} == {
        "listed": 3,
        "loaded": 2,
        "quarantined": 1,
        "discovered": 0,
        "rows": 151,
        "rejects": 1,
    }
    assert feed["last_look_utc"].startswith(f"{shell.daemon.now:%Y-%m-%d %H:}")
    assert feed["rejected"] == {"2025-03-03/a.csv": 1}
    (aside,) = feed["in_quarantine"]
    assert aside["object"] == "2025-03-03/c.csv"
    assert aside["reason"].startswith("2025-03-03/c.csv, line 2, column quantity: ")

    code, out, _ = shell.platform("feeds")
    assert code == 0
    header, _, line, *rest = out.splitlines()
    row = dict(zip(header.split(), line.split(), strict=False))
    assert (row["feed"], row["loaded"], row["rows"], row["rejects"]) == (FEED, "2", "151", "1")
    text = "\n".join(rest)
    assert f"with the bytes in {shell.home.quarantine / FEED}:\n  2025-03-03/c.csv, line 2, column quantity: " in text
    assert f"platform replay --feed {FEED} --quarantined" in text
    assert "  2025-03-03/a.csv: 1" in text


@pytest.mark.parametrize("command", [("replay", "--quarantined"), ("reconcile",)], ids=lambda each: each[0])
def test_a_wrong_name_of_a_feed_is_answered_with_the_right_ones(shell: Shell, command: tuple[str, ...]) -> None:
    code, out, err = shell.platform(command[0], "--feed", "orders", *command[1:])
    assert code != 0
    assert "There is no feed 'orders'. Known: none yet" in err
    shell.load()
    code, out, err = shell.platform(command[0], "--feed", "orders", *command[1:])
    assert (code, out) == (2 if command[0] == "reconcile" else 1, "")
    assert err == f"platform {command[0]}: There is no feed 'orders'. Known: {FEED}.\n"


@pytest.mark.parametrize("choice", [(), ("--quarantined", "--unit", "a.csv")], ids=["none", "two"])
def test_replay_wants_one_choice(shell: Shell, choice: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        shell.platform("replay", "--feed", FEED, *choice)
    assert ended.value.code == 2


def test_replay_says_what_it_cannot_do(shell: Shell) -> None:
    shell.deliver("a.csv", GOOD.format(1))
    shell.daemon.tick_sensors(f"{FEED}_landing_sensor")
    code, _, err = shell.platform("replay", "--feed", FEED, "--unit", "a.csv")
    assert (code, err) == (1, "platform replay: a.csv is requested: only what has ended is loaded again.\n")
    code, _, err = shell.platform("replay", "--feed", FEED, "--unit", "landing/a.csv")
    assert code == 1
    assert err.startswith(f"platform replay: {FEED} has no object 'landing/a.csv'. Name it by its path")
    code, _, err = shell.platform("replay", "--feed", FEED, "--since", "yesterday")
    assert (code, "write it as 2026-03-31" in err) == (1, True)
    for choice in (["--quarantined"], ["--since", "2020-01-01"]):
        assert shell.platform("replay", "--feed", FEED, *choice) == (0, f"Nothing of {FEED} to load again.\n", "")
    assert len(shell.daemon.execute_runs()) == 1
    assert shell.baskets() == [1]


def test_the_same_bad_bytes_go_to_quarantine_again_with_fresh_tries(shell: Shell) -> None:
    shell.deliver("a.csv", BAD.format(1))
    shell.deliver("b.csv", GOOD.format(2))
    shell.load()
    before = shell.feeds()[FEED]["in_quarantine"]
    code, out, _ = shell.platform("replay", "--feed", FEED, "--quarantined")
    assert (code, out) == (0, f"1 object of {FEED}: loaded again with the sensor's next look.\n  a.csv\n")
    assert shell.feeds()[FEED]["quarantined"] == 0

    assert shell.load() == 1
    assert shell.feeds()[FEED]["in_quarantine"] == before
    (run,) = shell.daemon.runs(dg.DagsterRunStatus.SUCCESS)[1:]
    assert run.tags["platform/attempt"] == "1"
    assert shell.load() == 0
    assert shell.baskets() == [2]


def test_one_object_or_all_since_an_instant_are_loaded_again_without_a_double_row(shell: Shell) -> None:
    shell.deliver("a.csv", GOOD.format(1))
    shell.load()
    shell.daemon.advance(timedelta(minutes=5))
    between = shell.daemon.now.isoformat(timespec="seconds")
    shell.deliver("b.csv", GOOD.format(2))
    shell.load()
    before = batches(shell.home)

    assert shell.platform("replay", "--feed", FEED, "--unit", "a.csv")[1].splitlines()[1:] == ["  a.csv"]
    assert shell.load() == 1
    assert batches(shell.home).keys() == {"a.csv", "b.csv"}
    assert batches(shell.home)["a.csv"] != before["a.csv"]
    assert batches(shell.home)["b.csv"] == before["b.csv"]

    assert shell.platform("replay", "--feed", FEED, "--since", between)[1].splitlines()[1:] == ["  a.csv", "  b.csv"]
    assert shell.load() == 1
    assert shell.baskets() == [1, 2]
    later = (shell.daemon.now + timedelta(days=1)).date().isoformat()
    assert shell.platform("replay", "--feed", FEED, "--since", later)[0] == 0
    assert shell.load() == 0


def batches(home: Home) -> dict[str, str]:
    """Object -> the batch that its rows come from."""
    with Warehouse.of(home).connect(read_only=True) as connection:
        query = "SELECT DISTINCT _source_object, _batch_id FROM lake.raw.order_lines"
        return dict(connection.execute(query).fetchall())


def test_lost_rows_are_found_named_and_loaded_again(shell: Shell) -> None:
    for number in range(3):
        shell.deliver(f"{number}.csv", GOOD.format(number), GOOD.format(10 + number))
    shell.load()
    code, out, err = shell.platform("reconcile", "--feed", FEED)
    assert (code, err) == (0, "")
    assert out.endswith("Source, ledger and table agree.\n")

    with Warehouse.of(shell.home).connect() as connection:
        connection.execute("DELETE FROM lake.raw.order_lines WHERE _source_object = '1.csv' AND basket_id = 11")
    code, out, _ = shell.platform("reconcile", "--feed", FEED)
    assert code == 1
    assert "1 loaded according to the ledger, but the table has other rows of it: 1.csv\n" in out
    assert f"platform replay --feed {FEED} --unit NAME" in out
    assert shell.daemon.check(RAW_ORDER_LINES.key, "reconciled").passed is False

    assert shell.platform("replay", "--feed", FEED, "--unit", "1.csv")[0] == 0
    assert shell.load() == 1
    assert shell.baskets() == [0, 1, 2, 10, 11, 12]
    code, out, _ = shell.platform("reconcile", "--feed", FEED, "--format", "json")
    assert code == 0
    assert json.loads(out) == {
        "listed": 3,
        "loaded": 3,
        "waiting": 0,
        "quarantined": 0,
        "rows": 6,
        "rejects": 0,
        "differences": [],
    }
    assert shell.daemon.check(RAW_ORDER_LINES.key, "reconciled").passed is True


def test_a_source_that_cannot_be_read_is_trouble_and_no_answer(shell: Shell) -> None:
    shell.deliver("a.csv", GOOD.format(1))
    shell.load()
    (shell.home.landing / FEED).rename(shell.home.landing / "away")
    code, out, err = shell.platform("reconcile", "--feed", FEED)
    assert (code, out) == (2, "")
    assert "The comparison itself failed" in err
    assert "The landing folder 'order_lines' does not exist" in err


DOCUMENT = Path(__file__).parents[1] / "docs/ingestion.md"


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_guide_work(shell: Shell) -> None:
    shell.deliver("2025-03-03/store-1.csv", *[GOOD.format(n) for n in range(150)], BAD.format(900))
    shell.load()
    commands = [line for block in fenced("shell") for line in block.splitlines() if line.startswith("platform ")]
    assert {line.split()[1] for line in commands} == {"feeds", "sql", "replay", "reconcile"}
    for line in commands:
        code, _, err = shell.platform(*shlex.split(line)[1:])
        assert (code, err) == (0, ""), line
    assert shell.load() == 1


def test_the_feed_of_the_guide_is_one() -> None:
    (text,) = fenced("yaml")
    component = yaml.safe_load(text)
    kind = {f"platform_shared.components.{each.__name__}": each for each in (FileFeedComponent, S3FeedComponent)}
    feed = kind[component["type"]].resolve_from_yaml(yaml.safe_dump(component["attributes"])).build_feed()
    assert feed.contract.key.to_user_string() == "raw/prices"
    assert f"dg scaffold defs {component['type']} {feed.name}" in DOCUMENT.read_text()


def test_the_guide_names_every_field_with_its_default() -> None:
    named = dict(re.findall(r"`(\w+)` \(`?([\w.]+)`?\)", DOCUMENT.read_text()))
    fields = {**FileFeedComponent.model_fields, **S3FeedComponent.model_fields}
    assert {name: str(fields[name].default).removesuffix(".0") for name in named} == named
    described = set(re.findall(r"`(?:table\.)?(\w+)`", DOCUMENT.read_text()))
    assert fields.keys() - described - {"feed", "table", "contract"} == set()
