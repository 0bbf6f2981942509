{#- Fails for each row of which `expression` is not true; an unknown result (NULL) is not true. -#}
{% test expression_holds(model, expression, column_name=none) %}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
