{#- Tests of a model by business day or week look at what the run is for: an old day that fails does not stop the new
    ones, and a test costs what the day costs. -#}
{% macro get_where_subquery(relation) -%}
    {%- set tested = graph.nodes.get(model.attached_node) if model.attached_node else none -%}
    {%- set conditions = [] -%}
    {%- if config.get("where") -%}{%- do conditions.append(config.get("where")) -%}{%- endif -%}
    {%- if tested and period_column(tested) and has_period() -%}
        {%- do conditions.append(in_period(period_column(tested))) -%}
    {%- endif -%}
    {%- if conditions -%}
        (select * from {{ relation }} where {{ conditions | join(" and ") }}) dbt_subquery
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}
