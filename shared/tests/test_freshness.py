"""Freshness as people write it: what it means to Dagster, and what a mistake is answered with."""

from datetime import timedelta

import dagster as dg
import pytest

from platform_shared.contracts import CONTRACTS, RAW_ORDER_LINES
from platform_shared.freshness import freshness_policy, in_words, span


def test_hours_become_a_window() -> None:
    policy = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50), warn_window=timedelta(hours=26))
    assert freshness_policy({"fail_after_hours": 50, "warn_after_hours": 26}) == policy


def test_a_deadline_is_of_new_york_unless_it_says_otherwise() -> None:
    def policy(timezone: str) -> dg.FreshnessPolicy:
        return dg.FreshnessPolicy.cron("0 8 * * *", timedelta(hours=24), timezone)

    given = {"deadline_cron": "0 8 * * *", "made_within_hours": 24}
    assert freshness_policy(given) == policy("America/New_York")
    assert freshness_policy({**given, "timezone": "UTC"}) == policy("UTC")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "x is {}. Give either"),
        ({"fail_after_hours": 1, "deadline_cron": "0 8 * * *"}, "Give either"),
        ({"fail_after": 1}, "x has fail_after. Give either"),
        ({"fail_after_hours": 1, "timezone": "UTC"}, "x has timezone beside a policy of the other kind"),
        (
            {"deadline_cron": "0 8 * * *", "made_within_hours": 1, "warn_after_hours": 1},
            "x has warn_after_hours beside",
        ),
        ({"fail_after_hours": 0}, "x.fail_after_hours is 0. Use a number of hours"),
        ({"fail_after_hours": -1}, "x.fail_after_hours is -1"),
        ({"fail_after_hours": "50"}, "x.fail_after_hours is '50'"),
        ({"fail_after_hours": True}, "x.fail_after_hours is True"),
        ({"fail_after_hours": float("nan")}, "x.fail_after_hours is nan"),
        ({"fail_after_hours": 2, "warn_after_hours": 2}, "x.warn_after_hours is 2. Warn earlier"),
        ({"deadline_cron": "0 8 * * *"}, "without made_within_hours"),
        ({"deadline_cron": "often", "made_within_hours": 1}, "deadline_cron 'often'"),
        ({"deadline_cron": "0 8 * * *", "made_within_hours": 25}, "the hours between two deadlines"),
        ({"deadline_cron": "0 8 * * *", "made_within_hours": 1, "timezone": "Mars"}, "an IANA time zone"),
    ],
)
def test_a_wrong_policy_is_answered_with_field_value_and_remedy(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=r"^x") as raised:
        freshness_policy(given, "x")
    assert said in str(raised.value)


def test_a_policy_in_words() -> None:
    window = {"__typename": "TimeWindowFreshnessPolicy", "failWindowSeconds": 180_000, "warnWindowSeconds": 93_600}
    assert in_words(window) == "built at least every 50 hours (a warning after 26 hours)"
    assert in_words({**window, "warnWindowSeconds": None}) == "built at least every 50 hours"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (90, "90 seconds"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (86_400, "24 hours"),
        (302_400, "3.5 days"),
        (1, "1 seconds"),
    ],
)
def test_a_span_in_words(seconds: int, told: str) -> None:
    assert span(seconds) == told


def test_a_contract_gives_its_policy_to_the_producer_and_none_to_consumers() -> None:
    assert RAW_ORDER_LINES.freshness is not None
    assert RAW_ORDER_LINES.spec().freshness_policy == RAW_ORDER_LINES.freshness
    assert {contract.reference().freshness_policy for contract in CONTRACTS} == {None}
