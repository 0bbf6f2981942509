"""Sales by day and department, filled as gaps are, and a profile of each department: two dimensions and one of them."""

import csv
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
    unlisted_departments,
)
from batch.partitions import BY_DAY_AND_DEPARTMENT, BY_DEPARTMENT, DEPARTMENTS, UNKNOWN, along
from batch.reporting import GAP_RUN_TAGS, RUN_TAGS
from platform_shared import clock
from platform_shared.automation import EVERY_MINUTE, on_input_change
from platform_shared.contracts import PRODUCTS, RAW_ORDER_LINES
from platform_shared.files import write_atomically
from platform_shared.resources import PlatformFolders, WarehouseResource
from platform_shared.schedules import Input, Series, build_partitions, gap_healing_sensor, slots, whole_table

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
FEW_UNKNOWN = "few_sales_of_unknown_products"
MANY = Decimal("0.005")


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
            description="The departments of each day of the run add up to all lines of the day, to the cent.",
        ),
        dg.AssetCheckSpec(
            LISTED,
            asset=DEPARTMENT_SALES.key,
            blocking=True,
            description="Every department of `marts/products` is listed in `batch.partitions`. One that is not is "
            "counted as OTHER. List it, and build the days again on which it sold.",
        ),
        dg.AssetCheckSpec(
            FEW_UNKNOWN,
            asset=DEPARTMENT_SALES.key,
            description=f"Warns if more than {MANY:.1%} of the run's sales are of products that are not in "
            "`marts/products` (17 never are, in the source's year). Their sales are UNKNOWN; the days are built again "
            f"if they are listed within {LATE_PRODUCTS.days} days.",
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

    yield from build_partitions(context, DEPARTMENT_SALES, read, write)
    days = sorted({key.split("|")[0] for key in context.partition_keys})
    with warehouse.read() as connection:
        unlisted = unlisted_departments(connection)
        if left_alone := [day for day in days if day not in sold]:
            sold.update(read_sales(connection, left_alone))
    keys = {day: [f"{day}|{each}" for each in DEPARTMENTS] for day in days}
    files = {day: [file(key) for key in keys[day]] for day in days}
    whole = [day for day in days if all(path.is_file() for path in files[day])]
    differ = [day for day in whole if _told(files[day]) != sold[day].sales_value]
    # A late file is no error of the report: its day is due again.
    doubtful = slots(context.instance, DEPARTMENT_SALES, clock.utc_now(), [key for day in differ for key in keys[day]])
    late = {slot.key.split("|")[0] for slot in doubtful if slot.is_due}
    of_unknown = sum((sold[day].of(UNKNOWN) for day in days), Decimal(0))
    total = sum((sold[day].sales_value for day in days), Decimal(0))
    yield _result(ADDS_UP, all(day in late for day in differ), days=_listing(day for day in differ if day not in late))
    yield _result(LISTED, not unlisted, departments=_listing(unlisted))
    yield _result(
        FEW_UNKNOWN,
        of_unknown <= total * MANY,
        dg.AssetCheckSeverity.WARN,
        products=_listing({product for day in days for product in sold[day].unknown_products}),
        sales_value=float(of_unknown),
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


department_profiles_job = dg.define_asset_job(
    DEPARTMENT_PROFILES.job,
    [department_profiles],
    description="Builds the profiles of departments, which follow their sales by themselves.",
    tags=RUN_TAGS,
)
