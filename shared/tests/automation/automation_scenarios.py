"""What each condition does, scenario by scenario: the truth table of docs/automation.md.

A scenario is played for each condition in a small world of its own, in which `child` has the condition. It returns how
many requests for `child` (for partitions of it, if it has some) its steps made, in their order; the text says which
steps these are. A cell is `-` where the question does not arise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from platform_shared import automation
from platform_shared.automation import Condition
from platform_shared.testing.simulation import Simulation

# A Wednesday, 10:00 in New York. The newest day that is over is Tuesday, the newest week began on 22 February.
NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
ZONE = "America/New_York"
DAYS = dg.DailyPartitionsDefinition("2026-02-01", timezone=ZONE)
WEEKS = dg.WeeklyPartitionsDefinition("2026-02-01", timezone=ZONE)
NEWEST_WEEK = tuple(f"2026-02-{day}" for day in range(22, 29))
NEWEST_DAY, GAP, OLD_DAY = "2026-03-03", "2026-03-01", "2026-02-03"
NUMBERS = dg.StaticPartitionsDefinition([f"{number:03}" for number in range(1000)])

PARENT, VIEW, CHILD, LEAF = (dg.AssetKey(name) for name in ("parent", "view", "child", "leaf"))
CHECK = dg.AssetCheckKey(PARENT, "sound")

CONDITIONS: dict[str, Callable[[], Condition]] = {
    "on_input_change": automation.on_input_change,
    "on_any_input_partition": automation.on_any_input_partition,
    "on_complete_partition": lambda: automation.on_complete_partition(timedelta(days=21)),
    "on_cron_when_inputs_ready": lambda: automation.on_cron_when_inputs_ready("0 6 * * *", ZONE),
    "heal_gaps": lambda: automation.heal_gaps(timedelta(days=5)),
    "on_code_change": automation.on_code_change,
    "on_demand": automation.on_demand,
    "on_freshness_failure": automation.on_freshness_failure,
    "eager": dg.AutomationCondition.eager,
}


class World:
    """`parent`, which nobody here builds, and `child` with the condition `name`; `leaf` wants an `on_demand` child.

    Without `partitions`, both have those that the condition is for.
    """

    def __init__(self, name: str, partitions: dg.PartitionsDefinition[Any] | None = None) -> None:
        self.name = name
        self.condition = CONDITIONS[name]()
        of_parent, of_child = {
            "on_any_input_partition": (DAYS, None),
            "on_complete_partition": (DAYS, WEEKS),
            "heal_gaps": (DAYS, DAYS),
        }.get(name, (None, None))
        if partitions is not None and name not in ("on_any_input_partition", "on_complete_partition"):
            of_parent, of_child = (DAYS, WEEKS) if partitions is WEEKS else (partitions, partitions)
        self.of_parent, self.of_child = of_parent, of_child
        self.inputs: tuple[str | None, ...] = (None,)
        if of_parent is DAYS:
            newest = {"on_complete_partition": NEWEST_WEEK, "heal_gaps": (GAP,)}
            self.inputs = newest.get(name, (NEWEST_DAY,))
        self.behind_view = False
        self.partition = NEWEST_WEEK[0] if of_child is WEEKS else self.inputs[-1] if of_child else None
        self.simulation = Simulation(*self.assets(), now=NOW)

    def assets(self, code: str = "1") -> list[Any]:
        @dg.asset(
            key=CHILD,
            deps=[VIEW if self.behind_view else PARENT],
            partitions_def=self.of_child,
            code_version=code,
            automation_condition=self.condition,
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=1)),
        )
        def child() -> None: ...

        found = [dg.AssetSpec(PARENT, partitions_def=self.of_parent), child]
        if self.behind_view:
            found.append(dg.AssetSpec(VIEW, deps=[PARENT], partitions_def=self.of_parent, is_virtual=True))
        if self.name == "on_demand":

            @dg.asset(
                key=LEAF,
                deps=[CHILD],
                partitions_def=self.of_child,
                automation_condition=automation.on_input_change(),
            )
            def leaf() -> None: ...

            found.append(leaf)
        return found

    # --- steps

    def arrive(self, *partitions: str | None) -> None:
        """The input is there, or has changed."""
        for partition in partitions or self.inputs:
            self.simulation.report(PARENT, partition)

    def change(self) -> None:
        """A part of the input has changed."""
        self.arrive(self.inputs[-1])

    def asked(self, looks: int = 1) -> int:
        """How often these looks ask for `child`, or a partition of it."""
        return sum(key == CHILD for _ in range(looks) for key, _ in self.simulation.look())

    def settled(self) -> None:
        """Input and `child` exist, and nothing is to be done."""
        self.arrive()
        self.simulation.look()
        if not self.simulation.under_way:
            self.simulation.start(CHILD, partition=self.partition)
        self.simulation.succeed()
        assert self.asked(2) == 0
        self.simulation.advance(timedelta(minutes=1))

    def unsettle(self) -> None:
        """What this condition waits for happens."""
        if self.name == "on_cron_when_inputs_ready":
            self.simulation.advance(timedelta(days=1))
        elif self.name == "on_code_change":
            self.simulation.load(*self.assets(code="2"))
        elif self.name == "on_freshness_failure":
            self.simulation.report_freshness(CHILD, fresh=False)
        elif self.name == "heal_gaps":
            self.simulation.wipe(CHILD)
            self.simulation.advance(timedelta(days=1))
        else:
            self.change()


@dataclass(frozen=True)
class Scenario:
    """`text` says what happens, and what is counted; `expected` has a cell for each of CONDITIONS."""

    text: str
    expected: tuple[str, ...]
    play: Callable[[World], list[int]]
    partitions: dg.PartitionsDefinition[Any] | None

    def outcome(self, name: str) -> str:
        """The cell of this condition."""
        world = World(name, self.partitions)
        with world.simulation:
            return ", ".join(map(str, self.play(world))) or "-"


SCENARIOS: list[Scenario] = []


def scenario(
    text: str, *expected: str, partitions: dg.PartitionsDefinition[Any] | None = None
) -> Callable[[Callable[[World], list[int]]], Callable[[World], list[int]]]:
    def keep(play: Callable[[World], list[int]]) -> Callable[[World], list[int]]:
        SCENARIOS.append(Scenario(text, tuple(" | ".join(expected).split(" | ")), play, partitions))
        return play

    return keep


@scenario("Cold start, the input is there: the first look", "1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 0")
def cold_start(world: World) -> list[int]:
    world.arrive()
    return [world.asked()]


@scenario(
    "Cold start, nothing is there: two looks; the input comes: the next",
    "0, 1 | 0, 1 | 0, 1 | 0, 1 | 0, 1 | 0, 1 | 0, 1 | 0, 1 | 0, 1",
)
def input_comes(world: World) -> list[int]:
    before = world.asked(2)
    world.arrive()
    return [before, world.asked()]


@scenario("All is built, nothing happens: a day of looks", "0 | 0 | 0 | 1 | 0 | 0 | 0 | 0 | 0")
def idle(world: World) -> list[int]:
    world.settled()
    asked = 0
    for _ in range(8):
        world.simulation.advance(timedelta(hours=3))
        asked += world.asked()
        world.simulation.succeed()
    return [asked]


@scenario(
    "The input changes once; twice between two looks", "1, 1 | 1, 1 | 1, 1 | 0, 0 | 0, 0 | 0, 0 | 1, 1 | 0, 0 | 1, 1"
)
def changes(world: World) -> list[int]:
    world.settled()
    world.change()
    once = world.asked(2)
    world.simulation.succeed()
    world.asked()
    world.change()
    world.change()
    return [once, world.asked(2)]


@scenario(
    "What it waits for happens: the next look; five more while it is built",
    "1, 0 | 1, 0 | 1, 0 | 1, 0 | 1, 0 | 1, 0 | 1, 0 | 1, 0 | 1, 0",
)
def in_flight(world: World) -> list[int]:
    world.settled()
    world.unsettle()
    return [world.asked(), world.asked(5)]


@scenario(
    "The input changes thrice while it is built: meanwhile; after that",
    "0, 1 | 0, 1 | 0, 1 | 0, 0 | 0, 0 | 0, 0 | 0, 1 | 0, 0 | 0, 0",
)
def changes_while_built(world: World) -> list[int]:
    world.settled()
    world.unsettle()
    world.asked()
    meanwhile = 0
    for _ in range(3):
        world.change()
        meanwhile += world.asked()
    world.simulation.succeed()
    after = world.asked(2)
    world.simulation.succeed()
    return [meanwhile, after + world.asked(2)]


@scenario(
    "The input changes right after the request, and the build ends before the next look",
    "1 | 1 | 1 | 0 | 0 | 0 | 1 | 0 | 0",
)
def change_before_the_next_look(world: World) -> list[int]:
    world.settled()
    world.unsettle()
    world.asked()
    world.change()
    world.simulation.succeed()
    return [world.asked(2)]


@scenario(
    "Each build fails: a week of looks; the input changes",
    "1, 1 | 1, 1 | 1, 1 | 8, 0 | 3, 0 | 1, 0 | 1, 1 | 1, 0 | 1, 1",
)
def broken(world: World) -> list[int]:
    world.settled()
    world.unsettle()
    week = 0
    for _ in range(7 * 4):
        week += world.asked()
        world.simulation.fail()
        world.simulation.advance(timedelta(hours=6))
    week += world.asked()
    world.simulation.fail()
    world.change()
    return [week, world.asked()]


@scenario(
    "The build is canceled: five looks; the input changes",
    "0, 1 | 0, 1 | 0, 1 | 0, 0 | 0, 0 | 0, 0 | 0, 1 | 0, 0 | 0, 1",
)
def canceled(world: World) -> list[int]:
    world.settled()
    world.unsettle()
    world.asked()
    world.simulation.cancel()
    after = world.asked(5)
    world.change()
    return [after, world.asked()]


@scenario("Its code version changes", "1 | 1 | 1 | 0 | 0 | 1 | 1 | 0 | 0")
def code_change(world: World) -> list[int]:
    world.settled()
    world.simulation.load(*world.assets(code="2"))
    return [world.asked(2)]


@scenario("The asset is new in a running platform", "1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 0")
def new_asset(world: World) -> list[int]:
    settled = world.assets()
    world.simulation.load(settled[0])
    world.arrive()
    world.asked(2)
    world.simulation.load(*settled)
    return [world.asked(2)]


@scenario(
    "The location is loaded again: two looks; the input changes meanwhile",
    "0, 1 | 0, 1 | 0, 1 | 0, 0 | 0, 0 | 0, 0 | 0, 1 | 0, 0 | 0, 1",
)
def reload(world: World) -> list[int]:
    world.settled()
    world.simulation.load(*world.assets())
    before = world.asked(2)
    world.change()
    world.simulation.load(*world.assets())
    return [before, world.asked(2)]


@scenario("The sensor gets another name, and the input changes at the same time", "0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0")
def forgotten(world: World) -> list[int]:
    world.settled()
    world.change()
    world.simulation.forget()
    return [world.asked(2)]


@scenario("The asset is wiped", "1 | 1 | 1 | 1 | 0 | 1 | 1 | 1 | 1")
def wiped(world: World) -> list[int]:
    world.settled()
    world.simulation.wipe(CHILD)
    return [world.asked(2)]


@scenario(
    "A run by hand builds it, while the input changes: meanwhile; after that",
    "0, 1 | 0, 1 | 0, 1 | 0, 0 | 0, 0 | 0, 0 | 0, 1 | 0, 0 | 0, 0",
)
def built_by_hand(world: World) -> list[int]:
    world.settled()
    world.simulation.start(CHILD, partition=world.partition)
    world.change()
    meanwhile = world.asked()
    world.simulation.succeed()
    asked = world.asked(2)
    world.simulation.succeed()
    return [meanwhile, asked + world.asked(2)]


@scenario("A run by hand builds input and asset", "0 | - | - | 0 | 0 | 0 | 0 | 0 | 0")
def built_together(world: World) -> list[int]:
    if world.of_child is not world.of_parent:
        return []
    world.settled()
    run = world.simulation.start(PARENT, CHILD, partition=world.partition)
    world.simulation.materialize(run, PARENT)
    asked = world.asked()
    world.simulation.materialize(run, CHILD)
    world.simulation.under_way.clear()
    return [asked + world.asked(2)]


@scenario(
    "The input's run goes on; fails; succeeds when it is tried again",
    "0, 0, 1 | 0, 0, 1 | 0, 0, 1 | 0, 0, 0 | 0, 0, 0 | 0, 0, 0 | 0, 0, 1 | 0, 0, 0 | 0, 0, 1",
)
def input_fails(world: World) -> list[int]:
    world.settled()
    found = []
    partition = world.inputs[-1]
    run = world.simulation.start(PARENT, partition=partition)
    found.append(world.asked(2))
    world.simulation.fail(run)
    found.append(world.asked(2))
    run = world.simulation.start(PARENT, partition=partition)
    world.asked()
    world.simulation.succeed(run)
    return [*found, world.asked(2)]


@scenario(
    "The input changes with a red blocking check; with a green one",
    "0, 1 | 0, 1 | 0, 1 | 0, 1 | 0, 1 | 1, 0 | 0, 1 | 0, 1 | 1, 0",
)
def blocking_check(world: World) -> list[int]:
    world.settled()

    @dg.asset_check(asset=PARENT, name=CHECK.name, blocking=True)
    def sound() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    world.simulation.load(*world.assets(), checks=[sound])
    world.simulation.report_check(PARENT, CHECK.name, passed=True, blocking=True)
    world.asked()
    world.simulation.succeed()
    world.unsettle()
    if world.name == "on_code_change":
        world.simulation.load(*world.assets(code="2"), checks=[sound])
    world.change()
    world.simulation.report_check(PARENT, CHECK.name, passed=False, blocking=True)
    red = world.asked(2)
    world.simulation.succeed()
    world.simulation.report_check(PARENT, CHECK.name, passed=True, blocking=True)
    return [red, world.asked(2)]


@scenario(
    "The input, of another location, is only observed; materialized",
    "0, 1 | 0, 1 | 0, 1 | 0, 0 | 0, 0 | 0, 0 | 0, 1 | 0, 0 | 0, 1",
)
def observed(world: World) -> list[int]:
    world.settled()
    world.simulation.observe(PARENT)
    before = world.asked(2)
    world.change()
    return [before, world.asked(2)]


@scenario(
    "The input is a table behind a virtual asset (a view), and changes once; while it is built, counted after that",
    "1, 1 | 1, 1 | 1, 1 | 0, 0 | 0, 0 | 0, 0 | 1, 1 | 0, 0 | 0, 0",
)
def behind_a_view(world: World) -> list[int]:
    world.behind_view = True
    world.simulation.load(*world.assets())
    world.settled()
    world.change()
    once = world.asked(2)
    world.change()
    world.asked()
    world.simulation.succeed()
    return [once, world.asked(2)]


@scenario(
    "The tick of a cron passes (06:00 in New York)", "0, 0 | 0, 0 | 0, 0 | 0, 1 | 0, 0 | 0, 0 | 0, 0 | 0, 0 | 0, 0"
)
def cron_tick(world: World) -> list[int]:
    world.settled()
    world.simulation.advance(timedelta(hours=19, minutes=58))
    before = world.asked()
    world.simulation.advance(timedelta(minutes=2))
    return [before, world.asked(2)]


@scenario(
    "The freshness policy fails: two looks; is met again, and fails",
    "0, 0 | 0, 0 | 0, 0 | 0, 0 | 0, 0 | 0, 0 | 0, 0 | 1, 1 | 0, 0",
)
def stale(world: World) -> list[int]:
    world.settled()
    world.simulation.report_freshness(CHILD, fresh=False)
    first = world.asked(2)
    world.simulation.succeed()
    world.simulation.report_freshness(CHILD, fresh=True)
    world.asked()
    world.simulation.report_freshness(CHILD, fresh=False)
    return [first, world.asked(2)]


@scenario("First look at a history with a hole, and input for it", "4 | - | 1 | 0 | 2 | 4 | 4 | 0 | 0", partitions=DAYS)
def hole(world: World) -> list[int]:
    if world.of_child is None:
        return []
    world.arrive(*(f"2026-02-{day:02}" for day in range(1, 29)), "2026-03-01", "2026-03-02", "2026-03-03")
    for partition in world.of_child.get_partition_keys(current_time=NOW):
        if partition not in ("2026-02-03", "2026-02-08", "2026-02-27", "2026-03-01"):
            world.simulation.succeed(world.simulation.start(CHILD, partition=partition))
    return [world.asked(2)]


@scenario(
    "Input for six days of a week comes; for the seventh; a late change of one",
    "0, 1, 1 | 1, 1, 1 | 0, 1, 1 | 0, 1, 0 | 0, 0, 0 | 0, 1, 0 | 0, 1, 1 | 0, 1, 0 | 0, 1, 1",
    partitions=WEEKS,
)
def week(world: World) -> list[int]:
    world.asked()
    found = []
    for days in (NEWEST_WEEK[:6], NEWEST_WEEK[6:], NEWEST_WEEK[2:3]):
        world.arrive(*days)
        found.append(world.asked(2))
        world.simulation.succeed()
        world.asked(2)
        world.simulation.succeed()
    return found


@scenario(
    "Input for all of 1,000 static partitions comes: one look, in partitions",
    "1000 | - | - | - | - | 1000 | - | - | 1000",
    partitions=NUMBERS,
)
def static(world: World) -> list[int]:
    if world.name not in ("on_input_change", "on_code_change", "eager"):
        return []
    world.asked()
    world.arrive(*NUMBERS.get_partition_keys())
    return [len(world.simulation.tick())]
