{{ config(materialized="incremental", incremental_strategy="replace_periods", tags=["daily"], on_schema_change="fail") }}

select
    business_date,
    household_id,
    store_id,
    basket_id,
    product_id,
    quantity,
    sales_value,
    retail_disc,
    coupon_disc,
    coupon_match_disc,
    transaction_timestamp as sold_at
from {{ source("raw", "order_lines") }}
where {{ in_period("business_date") }}
