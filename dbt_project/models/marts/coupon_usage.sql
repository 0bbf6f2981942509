{{ config(materialized="incremental", incremental_strategy="replace_periods", tags=["daily"], on_schema_change="fail") }}

select
    business_date,
    store_id,
    count(*) as baskets,
    count(case when coupon_disc + coupon_match_disc > 0 then 1 end) as baskets_with_coupon,
    cast(sum(coupon_disc) as decimal(18, 2)) as coupon_disc,
    cast(sum(coupon_match_disc) as decimal(18, 2)) as coupon_match_disc
from {{ ref("int_baskets") }}
where {{ in_period("business_date") }}
group by business_date, store_id
