{{ config(materialized="incremental", incremental_strategy="replace_periods", tags=["weekly"], on_schema_change="fail") }}

-- A pair is a product in a store in a week. Promoted pairs are compared with the pairs of the same products in the other
-- stores that report promotions that week, where the product was not promoted.
with promoted as (
    select business_week, product_id, store_id, placement
    from {{ ref("stg_promotions") }}
    where placement <> 'none'
),

stores as (
    select business_week, count(distinct store_id) as reporting_stores
    from {{ ref("stg_promotions") }}
    group by business_week
),

sold as (
    select business_week, product_id, store_id, quantity, sales_value
    from {{ ref("int_product_sales") }}
    where {{ in_period("business_week") }}
),

-- Each product of a week: pairs and units where it was promoted, whatever the placement, and in all reporting stores.
products as (
    select
        promoted.business_week,
        promoted.product_id,
        count(*) as promoted_pairs,
        coalesce(sum(sold.quantity), 0) as promoted_quantity
    from promoted
    left join sold using (business_week, product_id, store_id)
    group by promoted.business_week, promoted.product_id
),

reporting as (
    select distinct business_week, store_id
    from {{ ref("stg_promotions") }}
),

everywhere as (
    select sold.business_week, sold.product_id, sum(sold.quantity) as quantity
    from sold
    inner join reporting using (business_week, store_id)
    group by sold.business_week, sold.product_id
),

baseline as (
    select
        placed.business_week,
        placed.placement,
        sum(stores.reporting_stores - products.promoted_pairs) as other_pairs,
        sum(coalesce(everywhere.quantity, 0) - products.promoted_quantity) as other_quantity
    from (select distinct business_week, placement, product_id from promoted) as placed
    inner join products using (business_week, product_id)
    inner join stores using (business_week)
    left join everywhere using (business_week, product_id)
    group by placed.business_week, placed.placement
),

measured as (
    select
        promoted.business_week,
        promoted.placement,
        count(*) as promoted_pairs,
        count(sold.product_id) as sold_pairs,
        coalesce(sum(sold.quantity), 0) as quantity,
        coalesce(sum(sold.sales_value), 0) as sales_value
    from promoted
    left join sold using (business_week, product_id, store_id)
    group by promoted.business_week, promoted.placement
)

select
    measured.business_week,
    measured.placement,
    measured.promoted_pairs,
    measured.sold_pairs,
    cast(measured.quantity as bigint) as quantity,
    cast(measured.sales_value as decimal(18, 2)) as sales_value,
    cast(baseline.other_pairs as bigint) as other_pairs,
    cast(baseline.other_quantity as bigint) as other_quantity,
    cast(
        (cast(measured.quantity as double) / measured.promoted_pairs)
        / nullif(cast(baseline.other_quantity as double) / nullif(baseline.other_pairs, 0), 0)
        as double
    ) as lift
from measured
inner join baseline using (business_week, placement)
