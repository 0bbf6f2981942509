"""Feeds in YAML: what a mistake is answered with, and that the packages of a location without feeds stay out."""

import subprocess
import sys
from datetime import timedelta

import dagster as dg
import pytest

from platform_shared.components import FileFeedComponent, S3FeedComponent
from platform_shared.components.feeds import FeedComponent
from platform_shared.contracts import RAW_ORDER_LINES

CONTRACTED = """
feed: order_lines
contract: raw/order_lines
format: csv
period: transaction_timestamp
"""
DESCRIBED = """
feed: prices
format: json_lines
table:
  owner: ingestion
  description: Prices as the shelves show them.
  columns:
    - {name: sku, type: BIGINT, required: true}
    - {name: price, type: "DECIMAL(10,2)"}
"""
STORED = CONTRACTED + "bucket: retailer\nprefix: orders/\n"


def answer(kind: type[FeedComponent], yaml: str) -> str:
    """The error that the YAML is answered with."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - Dagster's own error, or pydantic's
        kind.resolve_from_yaml(yaml)
    return str(raised.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("feed: ''", "feed is ''. Give a name; a template variable that is misspelt renders as nothing."),
        ("feed: Order-Lines", "feed is 'Order-Lines'. Use lower-case letters"),
        ("poll_seconds: 0", "poll_seconds is 0. Use a whole number from 1 on. (`EnvVar.int"),
        ("attempts: -1", "attempts is -1"),
        ("settle_seconds: -2", "settle_seconds is -2"),
        ("most_bad_rows: 5", "most_bad_rows is 5.0. Use a share from 0"),
        ("pattern: ' '", "pattern is ' '. Give a value"),
        ("marker: ''", "marker is ''"),
        ("folder: ../elsewhere", "folder is '../elsewhere'. Name a folder below the landing zone"),
        ("folder: /etc", "folder is '/etc'"),
        ("format: xlsx", "format"),
        ("new_columns: drop", "new_columns"),
        ("poll_second: 7", "poll_second"),
        ("feed: '{{ misspelt }}'", "misspelt"),
    ],
)
def test_a_wrong_value_is_answered_with_field_value_and_remedy(line: str, said: str) -> None:
    field = line.split(":")[0]
    others = "\n".join(each for each in CONTRACTED.splitlines() if not each.startswith(f"{field}:"))
    assert said in answer(FileFeedComponent, f"{others}\n{line}\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("owner: ingestion", "owner: ''"), "table.owner is ''"),
        (("Prices as the shelves show them.", "''"), "table.description is ''"),
        (("BIGINT", "bigint"), "The type of column sku is 'bigint'. Use a DuckDB type in capitals"),
        (("BIGINT", "BIGINT); DROP TABLE x"), "The type of column sku is"),
        (("name: price", "name: SKU"), "table.columns names sku more than once"),
        (("name: price", "name: ''"), "table.columns.name is ''"),
        (("owner: ingestion", "owner: ingestion\n  freshness: {}"), "table.freshness is {}. Give either"),
        (
            ("owner: ingestion", "owner: ingestion\n  freshness: {fail_after_hours: -3}"),
            "table.freshness.fail_after_hours is -3.0. Use a number of hours",
        ),
        (("owner: ingestion", "owner: ingestion\n  freshness: {fail_after: 3}"), "fail_after"),
    ],
)
def test_a_wrong_table_is_answered(change: tuple[str, str], said: str) -> None:
    assert said in answer(FileFeedComponent, DESCRIBED.replace(*change))


def test_a_table_says_how_old_it_may_be() -> None:
    yaml = DESCRIBED.replace("owner: ingestion", "owner: ingestion\n  freshness: {fail_after_hours: 30}")
    feed = FileFeedComponent.resolve_from_yaml(yaml).build_feed()
    assert feed.contract.spec().freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30))


def test_an_interval_from_the_environment_is_not_silently_zero() -> None:
    with pytest.raises(ValueError, match=r"poll_seconds is .*0 while definitions load"):
        FileFeedComponent(
            feed="order_lines",
            contract="raw/order_lines",
            format="csv",
            period="transaction_timestamp",
            poll_seconds=dg.EnvVar.int("NOT_SET_ANYWHERE"),
        )


def test_a_feed_has_one_table() -> None:
    both = CONTRACTED + DESCRIBED[DESCRIBED.index("table:") :]
    neither = CONTRACTED.replace("contract: raw/order_lines\n", "")
    for yaml in (both, neither):
        assert "Give either `contract`" in answer(FileFeedComponent, yaml)


def test_an_unknown_contract_is_answered_with_the_known_ones() -> None:
    component = FileFeedComponent.resolve_from_yaml(CONTRACTED.replace("raw/order_lines", "raw/orders"))
    with pytest.raises(ValueError, match=r"contract is 'raw/orders'.*raw/order_lines"):
        component.build_feed()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bucket: ''", "bucket is ''"),
        ("bucket: {local: a, staging: '', production: c}", "bucket.staging is ''"),
        ("bucket: {local: a, prod: b}", "missing or unknown: prod, production, staging"),
        ("prefix: ''", "prefix is ''"),
        ("prefix: customer_data", "prefix is 'customer_data'. Start without and end with a slash"),
        ("prefix: /customer_data/", "prefix is '/customer_data/'"),
    ],
)
def test_a_wrong_place_in_s3_is_answered(line: str, said: str) -> None:
    field = line.split(":")[0]
    others = "\n".join(each for each in STORED.splitlines() if not each.startswith(f"{field}:"))
    assert said in answer(S3FeedComponent, f"{others}\n{line}\n")


def test_a_contract_brings_table_and_partitions() -> None:
    feed = FileFeedComponent.resolve_from_yaml(CONTRACTED).build_feed()
    assert feed.contract is RAW_ORDER_LINES
    assert feed.periods is not None
    assert feed.periods.column == "business_date"


def test_a_table_of_its_own_is_as_described() -> None:
    more = "least_objects: 3\nlongest_wait_minutes: 2\nsettle_seconds: 0\nmegabytes_per_batch: 1\n"
    feed = FileFeedComponent.resolve_from_yaml(DESCRIBED + more).build_feed()
    assert feed.contract.key.to_user_string() == "raw/prices"
    assert feed.contract.types == {"sku": "BIGINT", "price": "DECIMAL(10,2)"}
    assert [column.required for column in feed.contract.columns] == [True, False]
    assert feed.periods is None
    assert (feed.gate.least_objects, feed.gate.longest_wait) == (3, timedelta(minutes=2))
    assert (feed.limits.settle, feed.limits.bytes_per_batch) == (timedelta(0), 1024**2)


def test_partitions_need_the_day_of_a_row_and_the_other_way_round() -> None:
    with pytest.raises(ValueError, match="needs `period`"):
        FileFeedComponent.resolve_from_yaml(CONTRACTED.replace("period: transaction_timestamp\n", "")).build_feed()
    with pytest.raises(ValueError, match="must not have one"):
        FileFeedComponent.resolve_from_yaml(DESCRIBED + "period: day\n").build_feed()


def test_the_package_imports_nothing_heavy() -> None:
    """Every `dg` call imports all packages of components, also for locations that have no feed."""
    heavy = ["duckdb", "sqlalchemy", "psycopg2", "boto3", "dbt", "dagster_aws", "pandas"]
    code = f"import sys, platform_shared.components; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
