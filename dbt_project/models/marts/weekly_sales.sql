{{ config(materialized="incremental", incremental_strategy="replace_periods", tags=["weekly"], on_schema_change="fail") }}

select
    {{ week_of("business_date") }} as business_week,
    store_id,
    count(*) as trading_days,
    cast(sum(order_lines) as bigint) as order_lines,
    cast(sum(baskets) as bigint) as baskets,
    cast(sum(quantity) as bigint) as quantity,
    cast(sum(sales_value) as decimal(18, 2)) as sales_value
from {{ ref("daily_sales") }}
where {{ in_period("business_date") }}
group by 1, 2
