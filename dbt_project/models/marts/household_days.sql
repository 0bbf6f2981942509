{{ config(materialized="incremental", incremental_strategy="replace_periods", tags=["daily"], on_schema_change="fail") }}

select
    business_date,
    household_id,
    count(*) as baskets,
    cast(sum(sales_value) as decimal(18, 2)) as sales_value
from {{ ref("int_baskets") }}
where {{ in_period("business_date") }}
group by business_date, household_id
