"""Ingestion side by side with its limit and with the usual way of tutorials: rows a second, memory, ticks.

- A large file (CSV, JSON lines, Parquet): a whole batch on the real ledger and lake; one DuckDB statement into the same
  lake; pandas and an IO manager.
- Many small files: batches of 1,000; one DuckDB statement over all of them; a run a file.
- The real year's store-day files: through a real daemon; a run a file.
- Looks at a source where all is known, in a folder and in S3 (moto's): against the bare listing.

Run it with `make bench`. What is measured has a process of its own; the machine's noise is in all of them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.ingest_child import BUCKET, PREFIX
from benchmarks.watching import Watched, watched
from demo_world.dropping import Manners, drop
from demo_world.package import data_file
from demo_world.source import store_day_files
from platform_shared.contracts import RAW_ORDER_LINES
from platform_shared.instance_home import environment_of, prepare_home
from platform_shared.ledger import Ledger, UnitState
from platform_shared.postgres import URL_VARIABLE, postgres, stop_embedded
from platform_shared.settings import Home
from platform_shared.testing.s3_server import S3Server, s3_server
from platform_shared.warehouse import TableName, Warehouse, create_table, literal

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
FIRST_DAY = date(2025, 1, 6)
CYCLE_DAYS = 364
FOLDER_SIZE = 100
RUNS_AT_ONCE = 2
SLOW_SECONDS = 10
PATIENCE_SECONDS = 900

Answer = dict[str, Any]

# 2017's lines eight cycles later, from the first day that the platform knows on.
_LINES = """
CREATE TABLE lines AS SELECT household_id::BIGINT AS household_id, store_id::BIGINT AS store_id, basket_id::BIGINT
    AS basket_id, product_id::BIGINT AS product_id, quantity::BIGINT AS quantity,
    sales_value::DECIMAL(12, 2) AS sales_value, retail_disc::DECIMAL(12, 2) AS retail_disc,
    coupon_disc::DECIMAL(12, 2) AS coupon_disc, coupon_match_disc::DECIMAL(12, 2) AS coupon_match_disc,
    week::BIGINT AS week, transaction_timestamp + INTERVAL 2912 DAY AS transaction_timestamp
FROM read_parquet($path) WHERE transaction_timestamp >= TIMESTAMP '2017-01-17'
ORDER BY transaction_timestamp, basket_id, product_id LIMIT $lines
"""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    lines: int
    files: int
    days: int
    runs: int
    known: Sequence[int]
    keys: Sequence[int]
    rounds: int


class Bench:
    """A platform of its own in a temporary folder, and the processes that work on it."""

    def __init__(self, home: Home, sizes: Sizes, data: Path) -> None:
        self.home, self.sizes, self.data = home, sizes, data
        self.environment = {**os.environ, **environment_of(home)}
        self.files_a_second = self.cpu_a_file = float("nan")
        """Of the way of a run a file, once that is measured."""

    def child(self, what: str, **order: Any) -> Answer:
        """Does something of `ingest_child` in a process."""
        return self._said([sys.executable, "-m", "benchmarks.ingest_child", what, json.dumps(order)])

    def pandas(self, python: Path, order: Answer) -> Answer:
        return self._said([str(python), str(ROOT / "benchmarks/tutorial_pandas.py"), json.dumps(order)])

    def repeat(self, once: Callable[[int], Answer]) -> Answer:
        """The round of median seconds; one round if that takes long. Each gets its number."""
        answers = [once(0)]
        while answers[0]["seconds"] < SLOW_SECONDS and len(answers) < self.sizes.rounds:
            answers.append(once(len(answers)))
        answers.sort(key=lambda answer: float(answer["seconds"]))
        return {**answers[len(answers) // 2], "megabytes": max(answer["megabytes"] for answer in answers)}

    def deliver(self, feed: str, paths: Sequence[Path]) -> None:
        """The files in the feed's landing folder, under their names."""
        folder = self.home.landing / feed
        folder.mkdir(parents=True)
        for path in paths:
            os.link(path, folder / path.name)

    def make_table(self, name: str) -> TableName:
        """An empty table of order lines, as the source has them."""
        table = TableName("raw", name)
        warehouse = Warehouse.of(self.home)
        with warehouse.connect() as connection:
            create_table(warehouse, connection, table, RAW_ORDER_LINES.types)
        return table

    def _said(self, command: Sequence[str]) -> Answer:
        done = subprocess.run(command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, check=True)
        answer: Answer = json.loads(done.stdout.splitlines()[-1])
        return answer


def main() -> None:
    sections = {"large": large_files, "small": small_files, "year": year, "folder": ticks_of_folder, "s3": ticks_of_s3}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*sections, []], default=[], help="all, if none is named")
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the large file")
    parser.add_argument("--files", type=int, default=1_000, help="that the large file is cut into")
    parser.add_argument("--days", type=int, default=91, help="of the year, through the daemon; a whole cycle is 364")
    parser.add_argument("--runs", type=int, default=6, help="of the way of a run a file; more are extrapolated")
    parser.add_argument("--known", type=int, nargs=2, default=[10_000, 100_000], help="files of the ticks")
    parser.add_argument("--keys", type=int, nargs=2, default=[10_000, 20_000], help="objects in S3 of the ticks")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = vars(parser.parse_args())
    chosen = arguments.pop("sections") or list(sections)
    os.environ.pop(URL_VARIABLE, None)
    with tempfile.TemporaryDirectory(prefix="platform-bench-") as folder:
        root = Path(folder).resolve()
        home = Home(root / "platform")
        prepare_home(home, ROOT)
        data = root / "data"
        data.mkdir()
        began = time.monotonic()
        try:
            postgres(home)
            bench = Bench(home, Sizes(**arguments), data)
            for name in chosen:
                sections[name](bench)
        finally:
            stop_embedded(home)
    print(f"\n{time.monotonic() - began:.0f} s in all on {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}")


def large_files(bench: Bench) -> None:
    paths = make_lines(bench)
    python = pandas_python()
    print_title(f"One file of {bench.sizes.lines:,} order lines")
    print_row("", "seconds", "CPU s", "rows/s", "of limit", "by CPU", "x pandas", "peak MB")
    for form, path in paths.items():
        batch = bench.repeat(lambda n, form=form, path=path: load(bench, f"large_{form}_{n}", form, [path]))
        limit = bench.repeat(lambda n, form=form, path=path: insert(bench, f"limit_{form}_{n}", form, [path]))
        dated = bench.repeat(lambda n, form=form, path=path: insert(bench, f"dated_{form}_{n}", form, [path], day=True))
        tutorial = None
        if python:
            tutorial = bench.repeat(lambda n, form=form, path=path: pandas(bench, python, f"pd_{form}_{n}", form, path))
        raw = bench.repeat(lambda _, form=form, path=path: bench.child("write", format=form, paths=[str(path)]))
        print_ways(form, batch, limit, tutorial, "pandas and an IO manager")
        print_row("  statement with the day", *figures(dated), "", "", "", f"{dated['megabytes']:,.0f}")
        print_row("  its Parquet alone", *figures(raw), "", "", "", f"{raw['megabytes']:,.0f}")


def small_files(bench: Bench) -> None:
    sizes = bench.sizes
    paths = cut(make_lines(bench)["csv"], bench.data / "small", sizes.files)
    folder = bench.data / "small"
    print_title(f"{sizes.files:,} files of {sizes.lines // sizes.files:,} rows (CSV)")
    print_row("", "seconds", "CPU s", "rows/s", "of limit", "by CPU", "x run a file", "peak MB")
    batches = bench.repeat(lambda n: load(bench, f"small_{n}", "csv", paths))
    limit = bench.repeat(lambda n: insert(bench, f"limit_small_{n}", "csv", paths))
    runs = run_each_file(bench, folder, [path.stem for path in paths[: sizes.runs]])
    bench.files_a_second = sizes.runs / runs["seconds"]
    bench.cpu_a_file = runs["cpu"] / sizes.runs
    tutorial = {
        "seconds": sizes.files / bench.files_a_second,
        "cpu": sizes.files * bench.cpu_a_file,
        "rows": sizes.lines,
        "megabytes": runs["megabytes"],
    }
    label = f"a run a file, of {sizes.runs} runs"
    print_ways(f"{batches['batches']} batches", batches, limit, tutorial, label)


def year(bench: Bench) -> None:
    """The daemon's start is in the time; the files are there before it starts."""
    landing = bench.home.landing / "order_lines"
    files = rows = 0
    for number in range(bench.sizes.days):
        for file in store_day_files(FIRST_DAY + timedelta(days=number)):
            drop(file, landing, how=Manners(), pause=lambda: None)
            files, rows = files + 1, rows + file.rows
    ledger = Ledger(postgres(bench.home))
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "ingestion.definitions"]
    began = time.monotonic()
    first = None
    with running(bench, command) as daemon:
        while (loaded := ledger.counts().get("order_lines", {}).get(UnitState.LOADED, 0)) < files:
            if first is None and loaded:
                first = time.monotonic() - began
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise RuntimeError(f"{loaded} of {files} files were loaded in {PATIENCE_SECONDS} s")
            time.sleep(0.5)
        seconds = time.monotonic() - began
    ledger.close()
    share = f"{bench.sizes.days} of the year's {CYCLE_DAYS} days"
    print_title(f"{share}: {files:,} store-day files, {rows:,} rows, through a real daemon")
    print_row("", "seconds", "CPU s", "files/s", "rows/s", "x run a file", "by CPU", "peak MB")
    runs, runs_cpu = files / bench.files_a_second, files * bench.cpu_a_file
    times = f"{runs / seconds:.0f}", f"{runs_cpu / daemon.cpu:.0f}"
    print_row(
        "through the daemon",
        f"{seconds:.0f}",
        f"{daemon.cpu:.0f}",
        *rates(files, rows, seconds),
        *times,
        f"{daemon.megabytes:,.0f}",
    )
    print_row("  the first batch after", f"{first or seconds:.0f}")
    print_row("  a run a file, extrapolated", f"{runs:,.0f}", f"{runs_cpu:,.0f}", *rates(files, rows, runs), "1", "1")


def ticks_of_folder(bench: Bench) -> None:
    print_title("A look at a folder where every file is known")
    print_ticks_head()
    peaks = []
    for known in bench.sizes.known:
        feed = f"known_{known}"
        make_known(bench.home.landing / feed, known)
        peaks.append(print_ticks(bench, feed, known, s3=False))
    print_growth(bench.sizes.known, peaks)


def ticks_of_s3(bench: Bench) -> None:
    print_title("A look at a bucket where every object is known (moto's server, which is slow to list)")
    print_ticks_head()
    peaks = []
    with s3_server() as server:
        bench.environment.update(server.environment)
        server.make_bucket(BUCKET, versioned=False)
        there = 0
        for keys in bench.sizes.keys:
            put_keys(server, there, keys)
            there = keys
            peaks.append(print_ticks(bench, f"keys_{keys}", keys, s3=True))
    print_growth(bench.sizes.keys, peaks)


def make_lines(bench: Bench) -> dict[str, Path]:
    """The large file in each format."""
    paths = {form: bench.data / f"lines.{form}" for form in ("csv", "json_lines", "parquet")}
    if paths["csv"].exists():
        return paths
    instant = "strftime(transaction_timestamp, '%Y-%m-%dT%H:%M:%SZ') AS transaction_timestamp"
    text = f"SELECT * REPLACE ({instant}) FROM lines"
    typed = "SELECT * REPLACE (timezone('UTC', transaction_timestamp) AS transaction_timestamp) FROM lines"
    with duckdb.connect() as connection:
        connection.execute(_LINES, {"path": str(data_file("transactions")), "lines": bench.sizes.lines})
        for form, select, options in (
            ("csv", text, "FORMAT csv, HEADER"),
            ("json_lines", text, "FORMAT json"),
            ("parquet", typed, "FORMAT parquet"),
        ):
            connection.execute(f"COPY ({select}) TO {literal(str(paths[form]))} ({options})")
    return paths


def cut(path: Path, folder: Path, files: int) -> list[Path]:
    """The lines of a CSV file as so many files."""
    folder.mkdir()
    header, *lines = path.read_text().splitlines(keepends=True)
    each = len(lines) // files
    paths = [folder / f"part-{number:04d}.csv" for number in range(files)]
    for number, part in enumerate(paths):
        part.write_text("".join([header, *lines[number * each : (number + 1) * each]]))
    return paths


def load(bench: Bench, feed: str, form: str, paths: Sequence[Path]) -> Answer:
    bench.deliver(feed, paths)
    return bench.child("load", feed=feed, format=form)


def insert(bench: Bench, table: str, form: str, paths: Sequence[Path], *, day: bool = False) -> Answer:
    return bench.child("insert", table=table, format=form, paths=[str(path) for path in paths], day=day)


def pandas(bench: Bench, python: Path, table: str, form: str, path: Path) -> Answer:
    warehouse = Warehouse.of(bench.home)
    target = bench.make_table(table)
    address = " ".join(f"{name}={value}" for name, value in warehouse.server.libpq().items())
    options = f"DATA_PATH {literal(warehouse.data_path)}, METADATA_SCHEMA 'lake', DATA_INLINING_ROW_LIMIT 0"
    attach = f"ATTACH {literal(f'ducklake:postgres:{address}')} AS lake ({options})"
    order = {"extensions": str(warehouse.extensions), "attach": attach, "table": target.sql}
    return bench.pandas(python, {**order, "path": str(path), "format": form})


def pandas_python() -> Path | None:
    """Python of an environment with pandas, made at the first time; None if that cannot be."""
    folder = ROOT / ".platform" / "bench-pandas"
    python = folder / "bin" / "python"
    if (folder / ".ready").exists():
        return python
    uv = shutil.which("uv", path=f"{BIN}{os.pathsep}{ROOT / '.uv/bin'}{os.pathsep}{os.environ['PATH']}") or "uv"
    packages = ["pandas", "pyarrow", f"duckdb=={duckdb.__version__}"]
    try:
        for command in (
            ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            ["pip", "install", "--quiet", "--python", str(python), *packages],
        ):
            # Not in the root: its settings keep pandas out.
            subprocess.run([uv, *command], cwd=tempfile.gettempdir(), check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"pandas is not measured: its environment could not be made ({error}).")
        return None
    (folder / ".ready").touch()
    return python


def run_each_file(bench: Bench, folder: Path, partitions: Sequence[str]) -> Answer:
    """A process a run, two at once, as the instance's queue and launcher start them; one before, for what is cached."""
    bench.make_table("tutorial_runs")
    environment = {**bench.environment, "BENCH_FOLDER": str(folder)}
    command = [str(BIN / "dagster"), "asset", "materialize", "-m", "benchmarks.tutorial_runs", "-d", str(ROOT)]

    def run(partition: str) -> None:
        # Not in the root: Dagster lets the .env of the folder that it starts in overrule its environment.
        chosen = [*command, "--select", "order_lines", "--partition", partition]
        subprocess.run(chosen, cwd=bench.home.root, env=environment, check=True, capture_output=True)

    run(partitions[0])
    with watched(os.getpid()) as family, ThreadPoolExecutor(RUNS_AT_ONCE) as pool:
        began, worked = time.monotonic(), os.times()
        list(pool.map(run, partitions))
        seconds, ended = time.monotonic() - began, os.times()
    cpu = ended.children_user + ended.children_system - worked.children_user - worked.children_system
    return {"seconds": seconds, "cpu": cpu, "megabytes": family.megabytes}


def make_known(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / f"{number // FOLDER_SIZE:05d}" / f"store-{number % FOLDER_SIZE:05d}.csv"
        if number % FOLDER_SIZE == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"known")


def put_keys(server: S3Server, first: int, end: int) -> None:
    def put(number: int) -> None:
        key = f"{PREFIX}/{number // FOLDER_SIZE:05d}/store-{number % FOLDER_SIZE:05d}.csv"
        server.client.put_object(Bucket=BUCKET, Key=key, Body=b"known")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(first, end)))


def print_ticks_head() -> None:
    print_row("", "bare, s", "look, s", "ratio", "by CPU", "peak MB", "cursor", "1 new, s", "no cursor, s")


def print_ticks(bench: Bench, feed: str, known: int, *, s3: bool) -> float:
    """One row; the peak of a quiet look's process in megabytes."""
    order = {"feed": feed, "s3": s3, "cursor": str(bench.data / f"{feed}.cursor"), "rounds": bench.sizes.rounds}
    bench.child("recovery", **order, settle=True)
    bare = bench.child("bare_listing", **order)
    quiet = bench.child("quiet_look", **order)
    without = bench.child("recovery", **order)
    new = bench.child("new_object_look", **order)
    looks = f"{without['seconds']:.2f}" + (f" in {without['looks']} looks" if without["looks"] > 1 else "")
    print_row(
        f"{known:,} known",
        f"{bare['seconds']:.3f}",
        f"{quiet['seconds']:.3f}",
        f"{quiet['seconds'] / bare['seconds']:.2f}",
        f"{quiet['cpu'] / bare['cpu']:.2f}",
        f"{quiet['megabytes']:.1f}",
        f"{quiet['bytes']:,} B",
        f"{new['seconds']:.3f}",
        looks,
    )
    return float(quiet["megabytes"])


def print_growth(sizes: Sequence[int], peaks: Sequence[float]) -> None:
    print(f"aims: ratio 1.3 or less, memory flat; from {sizes[0]:,} to {sizes[1]:,}: {peaks[1] - peaks[0]:+.1f} MB")


def print_ways(name: str, ours: Answer, limit: Answer, tutorial: Answer | None, label: str) -> None:
    assert ours["rows"] == limit["rows"], (ours, limit)
    times = "not measured"
    if tutorial:
        assert tutorial["rows"] == ours["rows"]
        times = f"{tutorial['seconds'] / ours['seconds']:.1f}"
    print_row(name, *figures(ours), *shares(limit, ours), times, f"{ours['megabytes']:,.0f}")
    print_row("  limit: one statement", *figures(limit), *shares(limit, limit), "", f"{limit['megabytes']:,.0f}")
    if tutorial:
        memory = f"{tutorial['megabytes']:,.0f}"
        print_row(f"  {label}", *figures(tutorial), *shares(limit, tutorial), "1", memory)


def figures(answer: Answer) -> tuple[str, str, str]:
    return f"{answer['seconds']:,.2f}", f"{answer['cpu']:,.2f}", f"{answer['rows'] / answer['seconds']:,.0f}"


def shares(limit: Answer, answer: Answer) -> tuple[str, str]:
    return f"{limit['seconds'] / answer['seconds']:.3f}", f"{limit['cpu'] / answer['cpu']:.3f}"


def rates(files: int, rows: int, seconds: float) -> tuple[str, str]:
    return f"{files / seconds:,.1f}", f"{rows / seconds:,.0f}"


def print_title(title: str) -> None:
    print(f"\n{title}", flush=True)


def print_row(name: str, *cells: str) -> None:
    print(f"{name:32}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


@contextmanager
def running(bench: Bench, command: Sequence[str]) -> Iterator[Watched]:
    """A process, and what it starts, until the context ends."""
    with (bench.home.root / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=bench.home.root, env=bench.environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            with watched(process.pid) as family:
                yield family
        finally:
            process.terminate()
            process.wait(120)


if __name__ == "__main__":
    main()
