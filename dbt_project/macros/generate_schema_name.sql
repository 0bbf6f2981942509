{#- A model's schema is the layer it is in, without the target's name before it: the asset's key is schema/table. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
