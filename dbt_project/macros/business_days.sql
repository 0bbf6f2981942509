{#- The rows of the business days that this run is for (`first_day` to `last_day`, both included); all days without. -#}
{% macro in_business_days(column) -%}
    {%- if var('first_day', none) -%}
        {{ column }} between cast('{{ var("first_day") }}' as date) and cast('{{ var("last_day") }}' as date)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- Incremental strategy `replace_days`: the run's days are deleted and written again in one transaction, also a day
    that has become empty. A repeated run changes nothing. -#}
{% macro get_incremental_replace_days_sql(arg_dict) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} where {{ in_business_days("business_date") }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
{%- endmacro %}
