{{ config(materialized="table") }}

select
    coalesce(households.income_band, 'unknown') as income_band,
    coalesce(income_bands.band_order, 0) as income_order,
    coalesce(households.age_band, 'unknown') as age_band,
    coalesce(age_bands.band_order, 0) as age_order,
    count(*) as households,
    cast(sum(spend.baskets) as bigint) as baskets,
    cast(sum(spend.sales_value) as decimal(18, 2)) as sales_value
from {{ ref("household_spend") }} as spend
left join {{ ref("stg_households") }} as households using (household_id)
left join {{ ref("income_bands") }} as income_bands using (income_band)
left join {{ ref("age_bands") }} as age_bands using (age_band)
group by 1, 2, 3, 4
