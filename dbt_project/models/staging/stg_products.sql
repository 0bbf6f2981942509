{{ config(materialized="ephemeral") }}

select
    product_id,
    department,
    product_category as category,
    product_type,
    package_size,
    manufacturer_id,
    brand
from {{ source("raw", "products") }}
