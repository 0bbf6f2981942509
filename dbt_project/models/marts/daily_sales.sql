{{ config(materialized="incremental", incremental_strategy="replace_periods", tags=["daily"], on_schema_change="fail") }}

select
    business_date,
    store_id,
    count(*) as order_lines,
    count(distinct basket_id) as baskets,
    cast(sum(quantity) as bigint) as quantity,
    cast(sum(sales_value) as decimal(18, 2)) as sales_value
from {{ ref("stg_order_lines") }}
where {{ in_period("business_date") }}
group by business_date, store_id
