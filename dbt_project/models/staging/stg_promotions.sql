{{ config(materialized="ephemeral", tags=["weekly"]) }}

-- The source has a row for each place: a product may be on display in two.
with places as (
    select
        business_week,
        store_id,
        product_id,
        max(case when display_location <> '0' then 1 else 0 end) as on_display,
        max(case when mailer_location <> '0' then 1 else 0 end) as in_mailer
    from {{ source("raw", "promotions") }}
    where {{ in_period("business_week") }}
    group by business_week, store_id, product_id
)

select
    business_week,
    store_id,
    product_id,
    case
        when on_display + in_mailer = 2 then 'both'
        when on_display = 1 then 'display'
        when in_mailer = 1 then 'mailer'
        else 'none'
    end as placement
from places
