{#- The rows of the business days that this run is for (`first_day` to `last_day`, both included); all days without. The
    platform sets them in dbt's environment, a person with `--vars`. A column of business weeks holds Mondays, and a run
    for weeks goes from a Monday to a Sunday. -#}
{% macro in_period(column) -%}
    {%- if has_period() -%}
        {{ column }} between cast('{{ day_of_period("first_day") }}' as date) and cast('{{ day_of_period("last_day") }}' as date)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro has_period() -%}
    {{ return(day_of_period("first_day") is not none) }}
{%- endmacro %}

{% macro day_of_period(name) -%}
    {{ return(var(name, none) or dbt_metadata_envs.get(name | upper)) }}
{%- endmacro %}

{#- The column that says which period a row of this node is of: by its tag; none for a node without periods. -#}
{% macro period_column(node) -%}
    {{ return("business_date" if "daily" in node.tags else "business_week" if "weekly" in node.tags else none) }}
{%- endmacro %}

{#- Incremental strategy `replace_periods`: the run's days or weeks are deleted and written again in one transaction,
    also one that has become empty. A repeated run changes nothing. -#}
{% macro get_incremental_replace_periods_sql(arg_dict) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} where {{ in_period(period_column(model)) }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
{%- endmacro %}

{#- The Monday of the business week that a business day lies in. -#}
{% macro week_of(column) -%}
    cast({{ dbt.date_trunc("week", column) }} as date)
{%- endmacro %}
