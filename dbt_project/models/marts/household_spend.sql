{{ config(materialized="table") }}

select
    household_id,
    min(business_date) as first_business_date,
    max(business_date) as last_business_date,
    count(distinct (business_date, basket_id)) as baskets,
    cast(sum(sales_value) as decimal(18, 2)) as sales_value
from {{ ref("int_baskets") }}
group by household_id
