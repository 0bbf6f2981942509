{{ config(materialized="table") }}

select income_band, income_order, age_band, age_order, households, baskets, sales_value from {{ ref("customer_segments_audit") }}
