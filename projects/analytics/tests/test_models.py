"""The dbt project on a week of real purchases, through the real daemon loop and real dbt."""

import subprocess

import dagster as dg
import pytest

from analytics.dbt_project import DBT_PROJECT_DIR
from platform_shared.contracts import (
    COUPON_USAGE,
    DAILY_SALES,
    RAW_HOUSEHOLDS,
    RAW_ORDER_LINES,
    RAW_PRODUCTS,
    RAW_PROMOTIONS,
)
from platform_shared.dbt.executable import dbt_executable
from platform_shared.dbt.running import PARSED, dbt_environment
from platform_shared.testing import figures

pytestmark = pytest.mark.timeout(900)

BY_DAY = {
    "staging/stg_order_lines",
    "intermediate/int_baskets",
    "marts/daily_sales",
    "marts/coupon_usage",
    "marts/household_days",
}
BY_WEEK = {"intermediate/int_product_sales", "marts/weekly_sales", "marts/promotion_lift"}
SEGMENTS = {
    "marts/household_spend",
    "audit/customer_segments_audit",
    "marts/customer_segments",
    "reports/segment_export",
}
AT_ONCE = {
    "seeds/income_bands",
    "seeds/age_bands",
    "staging/stg_households",
    "snapshots/households_history",
    "marts/products",
}

SEGMENTS_OF_HOUSEHOLDS = """
    SELECT coalesce(income, 'unknown'), NULL, coalesce(age, 'unknown'), NULL, count(DISTINCT household_id),
           count(DISTINCT (business_date, basket_id)), sum(sales_value)
    FROM lines LEFT JOIN households USING (household_id) GROUP BY ALL"""


def names(run):
    return {key.to_user_string() for key in run.asset_selection}


def key(name):
    return dg.AssetKey(name.split("/"))


def assert_marts_are_exact(retailer, source, monday):
    source.execute(
        """CREATE OR REPLACE TEMP VIEW lines AS
           SELECT * REPLACE (sales_value::DECIMAL(12,2) AS sales_value, coupon_disc::DECIMAL(12,2) AS coupon_disc,
                             coupon_match_disc::DECIMAL(12,2) AS coupon_match_disc) FROM order_lines"""
    )
    expected = {mart: source.execute(sql).fetchall() for mart, sql in figures.TABLES.items()}
    expected["marts.promotion_lift"] = figures.promotion_lift(source, monday)
    expected["marts.products"] = source.execute(figures.PRODUCTS).fetchall()
    expected["marts.customer_segments"] = source.execute(SEGMENTS_OF_HOUSEHOLDS).fetchall()
    for mart, rows in expected.items():
        columns = "* REPLACE (NULL AS income_order, NULL AS age_order)" if mart == "marts.customer_segments" else "*"
        found = retailer.ask(f"SELECT {columns} FROM lake.{mart}")
        assert found, mart
        assert figures.comparable(found) == figures.comparable(rows), mart


def dbt(*arguments):
    """What dbt says, run beside the platform."""
    with dbt_environment(DBT_PROJECT_DIR.name):
        command = [dbt_executable(), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=DBT_PROJECT_DIR, check=False).stdout


def test_a_fresh_platform_builds_every_model_by_itself_in_four_runs(retailer, source, week):
    retailer.arrives(RAW_HOUSEHOLDS)
    retailer.arrives(RAW_ORDER_LINES, *week)
    retailer.arrives(RAW_PROMOTIONS, week[0])
    retailer.arrives(RAW_PRODUCTS)
    runs = retailer.settle()
    assert sorted(map(sorted, map(names, runs))) == sorted(map(sorted, (AT_ONCE, BY_DAY, BY_WEEK, SEGMENTS)))
    assert_marts_are_exact(retailer, source, week[0])

    # What is left on disk is what spares the next run the parsing.
    assert [path.name for path in (retailer.home.dbt / DBT_PROJECT_DIR.name).iterdir()] == [PARSED]

    # Columns know where they come from, and what a test says is a check.
    event = retailer.daemon.materializations(key("marts/weekly_sales"))[-1].asset_materialization
    lineage = event.metadata["dagster/column_lineage"].value.deps_by_column
    assert [(dep.asset_key, dep.column_name) for dep in lineage["baskets"]] == [(DAILY_SALES.key, "baskets")]
    known = retailer.daemon.check(key("audit/customer_segments_audit"), "households_are_known")
    assert (known.passed, known.blocking, known.severity) == (False, False, dg.AssetCheckSeverity.WARN)

    # One late store file: its day and its week again, and what adds them up; nothing else.
    file = f"business_date = DATE '{week[2]}' AND store_id = 367"
    retailer.change(f"DELETE FROM lake.raw.order_lines WHERE {file}")
    source.execute(f"DELETE FROM order_lines WHERE {file}")
    retailer.arrives(RAW_ORDER_LINES, week[2])
    runs = retailer.settle()
    assert sorted(map(sorted, map(names, runs))) == sorted(map(sorted, (BY_DAY, BY_WEEK, SEGMENTS)))
    assert retailer.daemon.materialized(COUPON_USAGE.key)[7:] == [week[2].isoformat()]
    assert_marts_are_exact(retailer, source, week[0])

    # The project's unit tests, on the tables that they take their columns from; and what is made again, when code
    # changes, over what is there.
    assert "PASS=5 WARN=0 ERROR=0" in dbt("test", "--select", "test_type:unit")
    assert "ERROR=0 SKIP=0" in dbt("build", "--select", "stg_households", "income_bands", "age_bands")


def test_what_fails_its_audit_is_not_published(retailer, week):
    retailer.arrives(RAW_HOUSEHOLDS)
    retailer.arrives(RAW_ORDER_LINES, week[0])
    retailer.settle()
    export = retailer.home.reports / "customer_segments.csv"
    published, exported = retailer.ask("FROM lake.marts.customer_segments ORDER BY ALL"), export.read_text()
    assert published

    retailer.change("UPDATE lake.raw.households SET income = '50-75K' WHERE income = '50-74K'")
    retailer.arrives(RAW_HOUSEHOLDS)
    red = retailer.settle(may_fail=True)
    assert [run.status for run in red] == 3 * [dg.DagsterRunStatus.FAILURE]
    assert not retailer.daemon.check(key("audit/customer_segments_audit"), "every_band_is_known_to_the_seeds").passed
    assert retailer.ask("SELECT count(*) FROM lake.audit.customer_segments_audit WHERE income_band = '50-75K'") != [
        (0,)
    ]
    assert retailer.ask("FROM lake.marts.customer_segments ORDER BY ALL") == published
    assert export.read_text() == exported
    assert len(retailer.daemon.materialized(key("marts/customer_segments"))) == 1
    assert len(retailer.daemon.materialized(key("reports/segment_export"))) == 1

    retailer.change("UPDATE lake.raw.households SET income = '50-74K', age = '65+' WHERE income = '50-75K'")
    retailer.arrives(RAW_HOUSEHOLDS)
    with retailer.asked_all_the_time("FROM lake.marts.customer_segments ORDER BY ALL") as seen:
        retailer.settle()
    assert retailer.daemon.check(key("audit/customer_segments_audit"), "every_band_is_known_to_the_seeds").passed
    now = retailer.ask("FROM lake.marts.customer_segments ORDER BY ALL")
    assert now != published
    assert seen[0] == published
    assert all(rows in (published, now) for rows in seen)
    assert export.read_text() != exported
    assert len(retailer.daemon.materialized(key("reports/segment_export"))) == 2

    # What the feed replaced is history now: three states of each household that changed twice, one of them true today.
    history = """SELECT DISTINCT count(*), count(*) FILTER (dbt_valid_to IS NULL), count(DISTINCT income_band)
        FROM lake.snapshots.households_history GROUP BY household_id ORDER BY ALL"""
    assert retailer.ask(history) == [(1, 1, 1), (3, 1, 2)]
