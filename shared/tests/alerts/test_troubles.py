"""What lasts is told once when it begins and once when it ends, whatever comes between."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from platform_shared.alerts import freshness, ticks
from platform_shared.alerts.definitions import merged
from platform_shared.alerts.freshness import AssetFacts, FreshnessState
from platform_shared.alerts.ticks import InstigatorTicks, TickRecord
from platform_shared.alerts.troubles import Ending, Trouble, open_ones, second_key, subject_of, transitions
from platform_shared.ledger import Message, Outbox
from platform_shared.postgres import postgres

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STATES = st.sampled_from(["PASS", "WARN", "FAIL", "UNKNOWN", "NOT_APPLICABLE"])
ASSETS = ("raw/order_lines", "marts/began/ended", "odd")


class Messages:
    """An outbox in memory: the same rule of open messages, by the keys."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def open(self) -> list[Message]:
        keys = {message.key for message in self.sent}
        return [m for m in self.sent if m.key.endswith("/began") and second_key(m.key) not in keys]

    def put(self, messages: list[Message]) -> None:
        known = {message.key for message in self.sent}
        self.sent += [message for message in messages if message.key not in known]


@given(st.lists(st.tuples(st.sampled_from(ASSETS), STATES, st.booleans()), max_size=40))
def test_any_sequence_of_states_yields_breach_and_end_in_turn(history: list[tuple[str, str, bool]]) -> None:
    outbox, current = Messages(), dict[str, FreshnessState]()
    failing = dict.fromkeys(ASSETS, 0)
    for number, (asset, state, looked) in enumerate(history):
        if asset not in current or current[asset].state != state:
            current[asset] = FreshnessState(asset, state, NOW + timedelta(seconds=number))
        # The sensor does not look after each change; two looks, or a look after a crash, tell nothing twice.
        for _ in range(2 if looked else 0):
            states = list(current.values())
            told = outbox.open()
            before = list(told)
            outbox.put(transitions(told, freshness.breaches(states, {}), freshness.endings(states, {})))
            outbox.put(transitions(before, freshness.breaches(states, {}), freshness.endings(states, {})))
            for each in states:
                failing[each.asset] = each.failed
    for asset in ASSETS:
        subject = freshness.subject(asset)
        kinds = [m.key.rsplit("/", 1)[1] for m in outbox.sent if subject_of(m.key) == subject]
        assert kinds == (["began", "ended"] * len(kinds))[: len(kinds)]
        assert (len(kinds) % 2 == 1) == bool(failing[asset])


def test_the_end_goes_where_the_beginning_went_whoever_owns_it_now() -> None:
    (began,) = transitions([], freshness.breaches([_state("FAIL")], {"a": AssetFacts(owners=("team:tills",))}), {})
    (ended,) = transitions([began], [], freshness.endings([_state("PASS")], {}))
    assert began.route == ended.route == "tills"


def test_an_asset_of_which_nothing_is_known_now_is_let_be() -> None:
    (began,) = transitions([], freshness.breaches([_state("FAIL")], {}), {})
    assert began.route == "operations"
    assert transitions([began], [], {}) == []


def test_a_mail_address_owns_but_is_no_route() -> None:
    assert AssetFacts(owners=("ann@example.com", "team:tills"), location="shops").route == "tills"
    assert AssetFacts(owners=("ann@example.com",), location="shops").route == "shops"


def test_what_the_webserver_knows_is_in_the_message() -> None:
    node = {
        "assetKey": {"path": ["raw", "x"]},
        "owners": [{"team": "tills"}],
        "repository": {"location": {"name": "shops"}},
        "internalFreshnessPolicy": {
            "__typename": "CronFreshnessPolicy",
            "deadlineCron": "0 8 * * *",
            "lowerBoundDeltaSeconds": 86_400,
            "timezone": "America/New_York",
        },
    }
    facts = merged({"raw/x": AssetFacts(materialized=NOW)}, [node])
    (trouble,) = freshness.breaches([FreshnessState("raw/x", "FAIL", NOW)], facts)
    assert trouble.route == "tills"
    for told in ("0 8 * * *, America/New_York", "24 hours", "2026-03-02 12:00:00 UTC", "platform why raw/x"):
        assert told in trouble.body


@given(st.lists(st.sampled_from(["SUCCESS", "SKIPPED", "FAILURE"]), max_size=30))
def test_a_sensor_is_in_trouble_after_three_failures_in_a_row_until_a_good_tick(history: list[str]) -> None:
    outbox, in_row, troubles = Messages(), 0, 0
    for number, status in enumerate(history):
        shown = [_tick(s, i) for i, s in enumerate(history[: number + 1])][::-1][:4]
        sensor = InstigatorTicks("shops", "till_sensor", "sensor", True, shown)
        outbox.put(transitions(outbox.open(), ticks.failing([sensor]), ticks.ended([sensor])))
        in_row = in_row + 1 if status == "FAILURE" else 0
        troubles += in_row == 3
        assert len(outbox.open()) == (in_row >= 3)
    assert sum(message.key.endswith("/began") for message in outbox.sent) == troubles


def test_a_schedule_whose_one_tick_was_tried_three_times_is_in_trouble() -> None:
    tried = TickRecord(NOW, "FAILURE", tries=3, error="no route to host")
    (trouble,) = ticks.failing([InstigatorTicks("batch", "nightly_schedule", "schedule", True, [tried])])
    assert "the schedule nightly_schedule fails" in trouble.text
    assert "no route to host" in trouble.body


def test_one_that_is_switched_off_is_in_no_trouble() -> None:
    failed = [_tick("FAILURE", i) for i in range(4)]
    off = InstigatorTicks("shops", "till_sensor", "sensor", False, failed)
    assert ticks.failing([off]) == []
    assert "switched off" in ticks.ended([off])[off.subject].text


def test_one_that_has_never_ticked_says_nothing() -> None:
    new = InstigatorTicks("shops", "till_sensor", "sensor", True)
    assert ticks.failing([new]) == []
    assert ticks.ended([new]) == {}


def test_the_outbox_knows_which_are_open(platform_home: object) -> None:
    outbox = Outbox(postgres())
    try:
        first = Trouble("freshness/a_b", NOW, "r", "text", "body")
        again = Trouble("freshness/a_b", NOW + timedelta(hours=1), "r", "text", "body")
        other = Trouble("freshnessX/a", NOW, "r", "text", "body")
        for message in transitions([], [first, other], {}):
            outbox.put(message, NOW)
        assert [m.key for m in open_ones(outbox, "freshness/")] == [first.key]
        for message in transitions(open_ones(outbox, "freshness/"), [], {"freshness/a_b": Ending("over", "")}):
            outbox.put(message, NOW)
        assert open_ones(outbox, "freshness/") == []
        for message in transitions([], [again], {}):
            outbox.put(message, NOW)
        assert [m.key for m in open_ones(outbox, "freshness/")] == [again.key]
    finally:
        outbox.close()


def _state(state: str) -> FreshnessState:
    return FreshnessState("a", state, NOW)


def _tick(status: str, number: int) -> TickRecord:
    return TickRecord(NOW + timedelta(seconds=number), status)
