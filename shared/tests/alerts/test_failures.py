import pytest

from platform_shared.alerts import RunFailure, run_failure_message

MAXIMUM = {"platform/max_attempts": "3"}


def failure(**tags):
    return RunFailure("r1", "order_lines_load_job", "ingestion", tags, "boom in line 3")


def test_a_failure_is_told_to_its_owner_with_its_error():
    message = run_failure_message(failure())
    assert message is not None
    assert message.route == "ingestion"
    assert "order_lines_load_job" in message.subject
    assert "boom in line 3" in message.body
    assert message.key == "run-failure/r1"


@pytest.mark.parametrize(
    "tags",
    [
        {"dagster/will_retry": "true"},
        {"platform/attempt": "1", **MAXIMUM},
        {"platform/attempt": "2", **MAXIMUM},
    ],
)
def test_nothing_is_told_while_somebody_tries_again(tags):
    assert run_failure_message(failure(**tags)) is None


@pytest.mark.parametrize(
    "tags",
    [{"dagster/will_retry": "false"}, {"platform/attempt": "3", **MAXIMUM}, {"platform/attempt": "1"}],
)
def test_the_last_try_is_told(tags):
    assert run_failure_message(failure(**tags)) is not None


def test_a_long_outage_is_told_ever_more_seldom():
    told = [n for n in range(1, 100) if run_failure_message(failure(**{"platform/attempt": str(n)}, **MAXIMUM))]
    assert told == [3, 6, 12, 24, 48, 96]


def test_the_number_of_tries_is_said():
    message = run_failure_message(failure(**{"dagster/retry_number": "2", "dagster/will_retry": "false"}))
    assert message is not None
    assert "after 3 tries" in message.subject
