"""Which days count as empty."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from platform_shared.ingestion.closing import empty_days

FIRST = date(2025, 1, 6)
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
REST = timedelta(minutes=2)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def empty(
    complete: date, delivered: Collection[date], announced: Collection[date] = (), *, ago: timedelta = REST
) -> list[date]:
    """Empty days if all delivered ones had rows `ago` last."""
    return empty_days(FIRST, complete, dict.fromkeys(delivered, NOW - ago), announced, now=NOW, rest=REST)


def test_days_before_a_delivered_one_are_empty_once() -> None:
    assert empty(day(5), {day(3)}) == [day(0), day(1), day(2)]
    assert empty(day(5), {day(3)}, {day(0), day(2)}) == [day(1)]


def test_a_day_after_all_delivered_ones_is_not_known_to_be_empty() -> None:
    assert empty(day(9), {day(0), day(1)}) == []


def test_nothing_is_empty_before_the_first_delivery() -> None:
    assert empty(day(9), set()) == []


def test_a_day_that_is_not_complete_waits_also_if_a_later_one_has_rows() -> None:
    assert empty(day(1), {day(4)}) == [day(0), day(1)]


def test_a_delivery_before_the_first_day_makes_nothing_empty() -> None:
    assert empty(day(9), {day(-3)}) == []


def test_while_history_is_being_delivered_nothing_is_empty() -> None:
    assert empty(day(9), {day(2)}, ago=REST - timedelta(seconds=1)) == []


def test_the_open_day_is_delivered_all_the_time_and_holds_up_nothing() -> None:
    delivered = {day(2): NOW - REST, day(4): NOW}
    assert empty_days(FIRST, day(3), delivered, [day(0)], now=NOW, rest=REST) == [day(1), day(3)]


days = st.integers(0, 40).map(day)


@given(complete=days, delivered=st.sets(days), announced=st.sets(days))
def test_afterwards_each_complete_day_before_the_newest_delivery_is_either_delivered_or_empty(
    complete: date, delivered: set[date], announced: set[date]
) -> None:
    found = empty(complete, delivered, announced)
    assert not {*found} & (delivered | announced)
    if delivered:
        due = {day(n) for n in range(41) if day(n) <= complete and day(n) < max(delivered)}
        assert due - delivered - announced == {*found}
    assert found == sorted(found)
    assert empty(complete, delivered, announced | {*found}) == []
