"""Sales by day and department, filled as gaps are, and a profile of each department: two dimensions and one of them."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg

from batch.departments import (
    DaySales,
    StoreDepartment,
    profile,
    profile_csv,
    profile_markdown,
    read_days,
    read_sales,
    to_csv,
)
from batch.partitions import BY_DAY_AND_DEPARTMENT, BY_DEPARTMENT, DEPARTMENTS, UNKNOWN, along
from batch.reporting import GAP_RUN_TAGS
from platform_shared.automation import EVERY_MINUTE, on_input_change
from platform_shared.contracts import PRODUCTS, RAW_ORDER_LINES
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import Input, Series, build_partitions, gap_healing_sensor, whole_table

LATE_PRODUCTS = timedelta(days=14)
"""How far back a change of the products builds days again. What was sold earlier keeps the department of its time."""

DEPARTMENT_SALES = Series(
    dg.AssetKey(["reports", "department_sales"]),
    "department_sales_job",
    BY_DAY_AND_DEPARTMENT,
    (
        Input(RAW_ORDER_LINES.key, lambda key: key.split("|")[:1]),
        Input(PRODUCTS.key, whole_table, recent=LATE_PRODUCTS),
    ),
    # Dagster's own backfill would take a run for each department.
    row=lambda key: key.split("|")[0],
)
DEPARTMENT_PROFILES = Series(dg.AssetKey(["reports", "department_profiles"]), "department_profiles_job", BY_DEPARTMENT)

ADDS_UP = "adds_up_to_the_lines"
LISTED = "every_department_is_listed"
KNOWN = "every_product_is_known"


@dg.multi_asset(
    name="department_sales",
    specs=[
        dg.AssetSpec(
            DEPARTMENT_SALES.key,
            deps=[dg.AssetDep(RAW_ORDER_LINES.key, partition_mapping=along("day")), PRODUCTS.key],
            description="Sales of each store in each department on each day that is over, as CSV. Small departments "
            "are OTHER; what was sold of a product that nobody lists yet is UNKNOWN.",
            group_name="reports",
            owners=["team:batch"],
            kinds={"python", "csv"},
            partitions_def=BY_DAY_AND_DEPARTMENT,
            skippable=True,
        )
    ],
    check_specs=[
        dg.AssetCheckSpec(
            ADDS_UP,
            asset=DEPARTMENT_SALES.key,
            blocking=True,
            description="The departments of each day that the run has built add up to all lines of the day, to the "
            "cent.",
        ),
        dg.AssetCheckSpec(
            LISTED,
            asset=DEPARTMENT_SALES.key,
            blocking=True,
            description="Every department that sold is listed in `batch.partitions`. One that is not is counted as "
            "OTHER until it is.",
        ),
        dg.AssetCheckSpec(
            KNOWN,
            asset=DEPARTMENT_SALES.key,
            description="Warns of products that were sold and are not in `marts/products` (17 in the source's year). "
            f"Their sales are UNKNOWN; if they are listed within {LATE_PRODUCTS.days} days, the day is built again.",
        ),
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_department_sales",
)
def department_sales(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, folders: PlatformFolders
) -> Iterator[dg.AssetCheckResult]:
    sold: dict[str, DaySales] = {}

    def read(keys: Sequence[str]) -> dict[str, list[StoreDepartment]]:
        with warehouse.read() as connection:
            sold.update(read_sales(connection, sorted({key.split("|")[0] for key in keys})))
        parts = {key: key.split("|") for key in keys}
        return {key: sold[day].departments.get(department, []) for key, (day, department) in parts.items()}

    def file(key: str) -> Path:
        return folders.home().reports / "department_sales" / f"{key.replace('|', '/')}.csv"

    def write(key: str, stores: list[StoreDepartment]) -> dict[str, Any]:
        write_atomically(file(key), to_csv(stores))
        place = file(key).relative_to(folders.home().reports)
        return {
            "stores": len(stores),
            "baskets": sum(store.baskets for store in stores),
            "sales_value": float(sum(store.sales_value for store in stores)),
            "file": dg.MetadataValue.text(f"reports/{place} in the platform's home folder"),
        }

    built = yield from build_partitions(context, DEPARTMENT_SALES, read, write)
    whole = [day for day, number in Counter(key.split("|")[0] for key in built).items() if number == len(DEPARTMENTS)]
    differ = [day for day in whole if _told([file(f"{day}|{each}") for each in DEPARTMENTS]) != sold[day].sales_value]
    if not sold:
        read(context.partition_keys)
    unlisted = {name for day in sold.values() for name in day.unlisted}
    unknown = {product for day in sold.values() for product in day.unknown_products}
    stores = [store for day in sold.values() for store in day.departments.get(UNKNOWN, [])]
    yield _result(ADDS_UP, not differ, days=_listing(differ))
    yield _result(LISTED, not unlisted, departments=_listing(unlisted))
    yield _result(
        KNOWN,
        not unknown,
        dg.AssetCheckSeverity.WARN,
        products=_listing(unknown),
        sales_value=float(sum(store.sales_value for store in stores)),
    )


def _told(files: Sequence[Path]) -> Decimal:
    """What these files add up to."""
    total = Decimal(0)
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            total += sum(Decimal(row["sales_value"]) for row in csv.DictReader(file))
    return total


def _listing(found: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, found))[:20]) or "none"


def _result(
    name: str,
    passed: bool,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    **metadata: str | float,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name, asset_key=DEPARTMENT_SALES.key, passed=passed, severity=severity, metadata=metadata
    )


department_sales_job = dg.define_asset_job(
    DEPARTMENT_SALES.job,
    [department_sales],
    description="Builds the sales by department of a day, or of a range of days in one run.",
    tags=GAP_RUN_TAGS,
)

department_sales_gap_sensor = gap_healing_sensor("batch", DEPARTMENT_SALES)


@dg.multi_asset(
    name="department_profiles",
    specs=[
        dg.AssetSpec(
            DEPARTMENT_PROFILES.key,
            deps=[dg.AssetDep(DEPARTMENT_SALES.key, partition_mapping=along("department"))],
            description="What each department brings on each weekday, as CSV.",
            group_name="reports",
            owners=["team:batch"],
            kinds={"python", "csv"},
            partitions_def=BY_DEPARTMENT,
            skippable=True,
            automation_condition=on_input_change(at_most_every=EVERY_MINUTE),
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="batch_department_profiles",
)
def department_profiles(context: dg.AssetExecutionContext, folders: PlatformFolders) -> Iterator[Any]:
    reports = folders.home().reports

    def write(department: str, _: None) -> dict[str, Any]:
        profiles = profile(read_days(reports.glob(f"department_sales/*/{department}.csv")))
        name = f"department_profiles/{department}.csv"
        write_atomically(reports / name, profile_csv(profiles))
        return {
            "weekdays": dg.MetadataValue.md(profile_markdown(profiles)),
            "file": dg.MetadataValue.text(f"reports/{name} in the platform's home folder"),
        }

    yield from build_partitions(context, DEPARTMENT_PROFILES, dict.fromkeys, write)
