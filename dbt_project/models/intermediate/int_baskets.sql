{{ config(materialized="incremental", incremental_strategy="replace_periods", tags=["daily"], on_schema_change="fail") }}

select
    business_date,
    store_id,
    household_id,
    basket_id,
    count(*) as order_lines,
    cast(sum(quantity) as bigint) as quantity,
    cast(sum(sales_value) as decimal(18, 2)) as sales_value,
    cast(sum(coalesce(retail_disc, 0)) as decimal(18, 2)) as retail_disc,
    cast(sum(coalesce(coupon_disc, 0)) as decimal(18, 2)) as coupon_disc,
    cast(sum(coalesce(coupon_match_disc, 0)) as decimal(18, 2)) as coupon_match_disc
from {{ ref("stg_order_lines") }}
where {{ in_period("business_date") }}
group by business_date, store_id, household_id, basket_id
