"""What a model may say of itself, and what it is told when the platform does not understand it."""

from datetime import timedelta

import dagster as dg
import pytest

from platform_shared.automation import on_any_input_partition, on_input_change
from platform_shared.dbt.meta import ModelMetaError, model_meta


def node(**meta):
    config = {"materialized": "table", "meta": meta}
    return {
        "name": "margins",
        "resource_type": "model",
        "patch_path": "retailer://models/marts/marts.yml",
        "original_file_path": "models/marts/margins.sql",
        "config": config,
    }


def test_a_model_that_says_nothing_leaves_all_to_its_layer():
    said = model_meta(node())
    assert (said.owner, said.condition, said.built_by_hand, said.freshness) == (None, None, False, None)


def test_a_named_condition_gets_its_arguments():
    said = model_meta(node(owner="growth", platform={"condition": "on_input_change", "at_most_every": "*/5 * * * *"}))
    assert said.owner == "growth"
    assert said.condition == on_input_change(at_most_every="*/5 * * * *")
    assert said.condition != on_input_change()
    assert model_meta(node(platform={"condition": "on_any_input_partition"})).condition == on_any_input_partition()


def test_a_model_may_be_built_by_hand_only():
    said = model_meta(node(platform={"condition": "none"}))
    assert (said.condition, said.built_by_hand) == (None, True)


def test_freshness_is_a_time_window():
    window = dg.FreshnessPolicy.time_window(timedelta(hours=30), timedelta(hours=26))
    assert (
        model_meta(node(platform={"freshness": {"fail_after_hours": 30, "warn_after_hours": 26}})).freshness == window
    )
    assert model_meta(node(platform={"freshness": {"fail_after_hours": 1.5}})).freshness == (
        dg.FreshnessPolicy.time_window(timedelta(minutes=90))
    )


@pytest.mark.parametrize(
    ("meta", "field", "value", "remedy"),
    [
        ({"platform": "on_input_change"}, "platform", "'on_input_change'", "Use fields below it"),
        ({"platform": {"conditions": 1}}, "platform.conditions", "1", "Use one of: at_most_every, condition"),
        ({"platform": {"condition": "on_change"}}, "platform.condition", "'on_change'", "on_input_change"),
        ({"platform": {"condition": ["x"]}}, "platform.condition", "['x']", "on_input_change"),
        ({"platform": {"at_most_every": "* * * * *"}}, "platform.at_most_every", "'* * * * *'", "Name the `condition`"),
        (
            {"platform": {"condition": "on_input_change", "at_most_every": "often"}},
            "platform.at_most_every",
            "'often'",
            "Use a cron of five fields",
        ),
        (
            {"platform": {"condition": "on_input_change", "at_most_every": 5}},
            "platform.at_most_every",
            "5",
            "Use a cron of five fields",
        ),
        (
            {"platform": {"condition": "on_input_change", "timezone": "America/New_York"}},
            "platform.timezone",
            "'America/New_York'",
            "on_input_change takes at_most_every",
        ),
        ({"platform": {"freshness": 30}}, "platform.freshness", "30", "fail_after_hours: 30"),
        ({"platform": {"freshness": {"warn_after_hours": 1}}}, "platform.freshness", "{", "Give either"),
        (
            {"platform": {"freshness": {"fail_after_hours": 0}}},
            "platform.freshness.fail_after_hours",
            "0",
            "Use a number of hours from",
        ),
        (
            {"platform": {"freshness": {"fail_after_hours": 2, "warn_after_hours": 3}}},
            "platform.freshness.warn_after_hours",
            "3",
            "Warn earlier than fail_after_hours",
        ),
        ({"owner": ["growth"]}, "owner", "['growth']", "Use the name of the location"),
    ],
)
def test_what_is_not_understood_names_model_field_value_and_remedy(meta, field, value, remedy):
    with pytest.raises(ModelMetaError) as error:
        model_meta(node(**meta))
    told = str(error.value)
    assert told.startswith(f"dbt model margins (models/marts/marts.yml): meta.{field} is {value}")
    assert remedy in told
