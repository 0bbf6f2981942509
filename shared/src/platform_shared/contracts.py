"""What one location promises the others: the asset's key, partitions, columns with types and units, and its owner.

The producer's spec is built from the contract, consumers depend on it, dbt's sources are checked against it. All else
is private to its location.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg

from platform_shared.partitions import BUSINESS_DAYS, BUSINESS_WEEKS, COMPLETE_WEEKS


@dataclass(frozen=True)
class Column:
    """A column: DuckDB type, and what a value means, with its unit or time zone. A `required` one is never empty."""

    name: str
    type: str
    description: str
    required: bool = False


@dataclass(frozen=True)
class Contract:
    """A table that its owner keeps as described here. `owner` is the location (and team) that materializes it.

    `freshness` says how old its newest materialization may be; a breach is told to the owner.
    """

    schema: str
    table: str
    owner: str
    description: str
    columns: tuple[Column, ...]
    partitions: dg.PartitionsDefinition[str] | None = None
    freshness: dg.FreshnessPolicy | None = None

    @property
    def key(self) -> dg.AssetKey:
        """The asset's key is its table's `schema/table`."""
        return dg.AssetKey([self.schema, self.table])

    @property
    def types(self) -> dict[str, str]:
        """Column names with their DuckDB types, in order."""
        return {column.name: column.type for column in self.columns}

    def metadata(self) -> dict[str, Any]:
        """Definition metadata: the column schema and the table's name, as the UI shows them."""
        columns = [
            dg.TableColumn(
                c.name,
                c.type.lower(),
                description=c.description,
                constraints=dg.TableColumnConstraints(nullable=not c.required),
            )
            for c in self.columns
        ]
        return {
            "dagster/column_schema": dg.TableSchema(columns=columns),
            "dagster/table_name": f"lake.{self.schema}.{self.table}",
        }

    def spec(
        self,
        *,
        deps: Sequence[dg.AssetKey] = (),
        kinds: Sequence[str] = (),
        **attributes: Any,
    ) -> dg.AssetSpec:
        """The producer's spec; `attributes` are further ones of `dagster.AssetSpec`."""
        return dg.AssetSpec(
            self.key,
            deps=deps,
            description=self.description,
            group_name=self.schema,
            owners=[f"team:{self.owner}"],
            kinds=set(kinds),
            partitions_def=self.partitions,
            freshness_policy=self.freshness,
            metadata=self.metadata(),
            **attributes,
        )

    def reference(self) -> dg.AssetSpec:
        """What a consuming location adds to its definitions: the same asset, made elsewhere."""
        return dg.AssetSpec(self.key, group_name=self.schema, partitions_def=self.partitions)


RAW_ORDER_LINES = Contract(
    schema="raw",
    table="order_lines",
    owner="ingestion",
    description="Lines of all store orders as the stores sent them; one row a basket and product on a business day.",
    partitions=BUSINESS_DAYS,
    # Stores send every day but 25 December.
    freshness=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)),
    columns=(
        Column("household_id", "BIGINT", "Household that bought.", required=True),
        Column("store_id", "BIGINT", "Store that sold.", required=True),
        Column("basket_id", "BIGINT", "Basket (one visit to the till); repeats after 364 days.", required=True),
        Column("product_id", "BIGINT", "Product sold.", required=True),
        Column("quantity", "BIGINT", "Units sold; zero or less for returns and corrections.", required=True),
        Column("sales_value", "DECIMAL(12,2)", "US dollars the store received for the line.", required=True),
        Column("retail_disc", "DECIMAL(12,2)", "US dollars of loyalty-card discount."),
        Column("coupon_disc", "DECIMAL(12,2)", "US dollars of manufacturer's coupon discount."),
        Column("coupon_match_disc", "DECIMAL(12,2)", "US dollars of the store's match of a coupon."),
        Column("week", "BIGINT", "Week of the source's year, 1 to 53."),
        Column("transaction_timestamp", "TIMESTAMPTZ", "Instant of the sale, UTC.", required=True),
    ),
)

RAW_HOUSEHOLDS = Contract(
    schema="raw",
    table="households",
    owner="ingestion",
    description="Demographics of the households that gave them (801 of 2,469); one row a household.",
    columns=(
        Column("household_id", "BIGINT", "Household.", required=True),
        Column("age", "VARCHAR", "Age range of the head, in years.", required=True),
        Column("income", "VARCHAR", "Income range, in thousands of US dollars a year.", required=True),
        Column("home_ownership", "VARCHAR", "Owner, renter, or probably one of them; empty if unknown."),
        Column("marital_status", "VARCHAR", "Married or unmarried; empty if unknown."),
        Column("household_size", "VARCHAR", "Persons, 1 to 5+."),
        Column("household_comp", "VARCHAR", "Adults and children, in words."),
        Column("kids_count", "VARCHAR", "Children, 0 to 3+; may be unknown."),
    ),
)

RAW_PROMOTIONS = Contract(
    schema="raw",
    table="promotions",
    owner="ingestion",
    description="Products on display or in the mailer of a store in a week; one row a product, store, week and place.",
    partitions=BUSINESS_WEEKS,
    freshness=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=9), warn_window=timedelta(days=8)),
    columns=(
        Column("product_id", "BIGINT", "Product promoted.", required=True),
        Column("store_id", "BIGINT", "Store that promoted it.", required=True),
        Column("display_location", "VARCHAR", "Code of the place in the store; 0 is none.", required=True),
        Column("mailer_location", "VARCHAR", "Code of the place in the mailer; 0 is none.", required=True),
        Column("week", "BIGINT", "Week of the source's year, 1 to 53.", required=True),
    ),
)

RAW_PRODUCTS = Contract(
    schema="raw",
    table="products",
    owner="ingestion",
    description="The product master as its newest snapshot has it; one row a product.",
    columns=(
        Column("product_id", "BIGINT", "Product.", required=True),
        Column("manufacturer_id", "BIGINT", "Manufacturer.", required=True),
        Column("department", "VARCHAR", "Department that sells it, as the master names it.", required=True),
        Column("brand", "VARCHAR", "National, or Private for the retailer's own.", required=True),
        Column("product_category", "VARCHAR", "Group of products within the department; empty if unknown."),
        Column("product_type", "VARCHAR", "Kind of product within the category; empty if unknown."),
        Column("package_size", "VARCHAR", "Contents with their unit, as printed; empty if unknown."),
    ),
)

DAILY_SALES = Contract(
    schema="marts",
    table="daily_sales",
    owner="analytics",
    description="Sales of each store on each business day.",
    partitions=BUSINESS_DAYS,
    columns=(
        Column("business_date", "DATE", "Business day, New York."),
        Column("store_id", "BIGINT", "Store that sold."),
        Column("order_lines", "BIGINT", "Order lines."),
        Column("baskets", "BIGINT", "Distinct baskets."),
        Column("quantity", "BIGINT", "Units, returns subtracted."),
        Column("sales_value", "DECIMAL(18,2)", "US dollars received."),
    ),
)

HOUSEHOLD_SPEND = Contract(
    schema="marts",
    table="household_spend",
    owner="analytics",
    description="What each household has spent over all days loaded.",
    columns=(
        Column("household_id", "BIGINT", "Household."),
        Column("first_business_date", "DATE", "First day with a purchase, New York."),
        Column("last_business_date", "DATE", "Last day with a purchase, New York."),
        Column("baskets", "BIGINT", "Distinct baskets (a basket is of one day)."),
        Column("sales_value", "DECIMAL(18,2)", "US dollars spent."),
    ),
)

COUPON_USAGE = Contract(
    schema="marts",
    table="coupon_usage",
    owner="analytics",
    description="Coupons that each store took on each business day.",
    partitions=BUSINESS_DAYS,
    columns=(
        Column("business_date", "DATE", "Business day, New York."),
        Column("store_id", "BIGINT", "Store that took them."),
        Column("baskets", "BIGINT", "Baskets."),
        Column("baskets_with_coupon", "BIGINT", "Baskets with a coupon of either kind."),
        Column("coupon_disc", "DECIMAL(18,2)", "US dollars of manufacturers' coupons."),
        Column("coupon_match_disc", "DECIMAL(18,2)", "US dollars with which stores matched coupons."),
    ),
)

HOUSEHOLD_DAYS = Contract(
    schema="marts",
    table="household_days",
    owner="analytics",
    description="What each household bought on each business day.",
    partitions=BUSINESS_DAYS,
    columns=(
        Column("business_date", "DATE", "Business day, New York."),
        Column("household_id", "BIGINT", "Household."),
        Column("baskets", "BIGINT", "Baskets (a basket is of one day)."),
        Column("sales_value", "DECIMAL(18,2)", "US dollars spent."),
    ),
)

PROMOTION_LIFT = Contract(
    schema="marts",
    table="promotion_lift",
    owner="analytics",
    description="What promotions did in each complete business week, by placement: units sold per promoted product and "
    "store, against the same products in the other reporting stores, where they were not promoted.",
    partitions=COMPLETE_WEEKS,
    columns=(
        Column("business_week", "DATE", "Business week in New York, named by its Monday."),
        Column(
            "placement",
            "VARCHAR",
            "Where a store promoted a product in a week: `display` (in the store), `mailer`, `both`, or `none` if the "
            "row says neither.",
        ),
        Column("promoted_pairs", "BIGINT", "Products times stores with the promotion."),
        Column("sold_pairs", "BIGINT", "Of these, with a sale that week."),
        Column("quantity", "BIGINT", "Units that they sold, returns subtracted."),
        Column("sales_value", "DECIMAL(18,2)", "US dollars that they brought."),
        Column("other_pairs", "BIGINT", "The same products in reporting stores that did not promote them."),
        Column("other_quantity", "BIGINT", "Units that those sold, returns subtracted."),
        Column(
            "lift",
            "DOUBLE",
            "Units a promoted pair over units another pair; 1 is no effect, empty if the others sold none.",
        ),
    ),
)

PRODUCTS = Contract(
    schema="marts",
    table="products",
    owner="analytics",
    description="Every product that the retailer lists, one row each.",
    columns=(
        Column("product_id", "BIGINT", "Product."),
        Column("department", "VARCHAR", "Department that sells it, as the product master names it."),
        Column("category", "VARCHAR", "Group of products within the department; `unknown` if the master has none."),
        Column("product_type", "VARCHAR", "Kind of product within the category; `unknown` if the master has none."),
        Column("package_size", "VARCHAR", "Contents with their unit, as printed; empty if unknown."),
        Column("manufacturer_id", "BIGINT", "Manufacturer."),
        Column("is_own_brand", "BOOLEAN", "Whether it is a brand of the retailer's own."),
    ),
)

CONTRACTS: tuple[Contract, ...] = (
    RAW_ORDER_LINES,
    RAW_HOUSEHOLDS,
    RAW_PROMOTIONS,
    RAW_PRODUCTS,
    DAILY_SALES,
    HOUSEHOLD_SPEND,
    COUPON_USAGE,
    HOUSEHOLD_DAYS,
    PROMOTION_LIFT,
    PRODUCTS,
)
