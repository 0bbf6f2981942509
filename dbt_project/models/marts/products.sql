{{ config(materialized="table") }}

select
    product_id,
    department,
    coalesce(category, 'unknown') as category,
    coalesce(product_type, 'unknown') as product_type,
    package_size,
    manufacturer_id,
    brand = 'Private' as is_own_brand
from {{ ref("stg_products") }}
