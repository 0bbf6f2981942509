{{ config(meta={"dagster": {"ref": {"name": "customer_segments_audit"}}}) }}
{#- Every household and every dollar is in one segment. -#}
select segments.households, spend.households as expected_households, segments.sales_value, spend.sales_value as expected
from (select sum(households) as households, sum(sales_value) as sales_value from {{ ref("customer_segments_audit") }}) as segments
cross join (select count(*) as households, sum(sales_value) as sales_value from {{ ref("household_spend") }}) as spend
where segments.households is distinct from spend.households or segments.sales_value is distinct from spend.sales_value
