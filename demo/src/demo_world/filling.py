"""The demo world at work in S3: it keeps the retailer's bucket filled, whatever the server forgets."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from demo_world import households, products, promotions
from demo_world.bucket import Bucket
from demo_world.calendar import business_day
from demo_world.reporting import report, tell

LOOK_EVERY_SECONDS = 3.0
SEND_AGAIN_EVERY = timedelta(minutes=5)


class Filler:
    """Puts into the bucket what should be there by now and is not, until `wait` says stop.

    That is all households, the product master, and the promotions of each week that has begun and ended on the day
    `first` or later. Each of the three, of promotions each week, is reported on stdout, as a line of JSON, once it is
    there for the first time. What S3 does not do is told on stderr once, and tried again.
    """

    def __init__(
        self, bucket: Bucket, first: date, clock: Callable[[], datetime], wait: Callable[[float], bool]
    ) -> None:
        self._bucket = bucket
        self._first = first
        self._clock = clock  # the time, with its zone
        self._wait = wait  # waits for seconds, or less if asked to stop; true if asked
        self._households = households.household_objects()
        self._was_there: set[str] = set()
        self._sent_again = 0
        self._failing = False

    def play_past(self, patience_seconds: float) -> bool:
        """Fill the bucket; false if asked to stop before it is full, or if S3 has not taken all in that time."""
        until = self._clock() + timedelta(seconds=patience_seconds)
        while not self._try(self._fill):
            if self._clock() >= until or self._wait(LOOK_EVERY_SECONDS):
                return False
        return True

    def play_live(self) -> None:
        """Keep the bucket filled, now and then send an object of the households again, and the product master with each
        new business day, until stopped."""
        due, day = self._clock() + SEND_AGAIN_EVERY, business_day(self._clock())
        seconds = 0.0
        while not self._wait(seconds):
            if self._try(self._fill):
                if self._clock() >= due and self._try(self._send_again):
                    due = self._clock() + SEND_AGAIN_EVERY
                if (today := business_day(self._clock())) > day and self._try(self._send_products):
                    day = today
            seconds = LOOK_EVERY_SECONDS

    def _try(self, work: Callable[[], bool]) -> bool:
        """Whether the work is done; false if S3 does not do it."""
        try:
            done = work()
        except (BotoCoreError, ClientError) as error:
            if not self._failing:
                tell(f"S3 does not answer as it should, tried again every {LOOK_EVERY_SECONDS:.0f} s: {error}")
            self._failing = True
            return False
        if self._failing:
            tell("S3 answers again")
        self._failing = False
        return done

    def _fill(self) -> bool:
        """Put what is missing; false if asked to stop on the way."""
        there = self._bucket.keys()
        gone = self._was_there - there
        for thing in self._households:
            if thing.key not in there:
                if self._wait(0):
                    return False
                self._bucket.put(thing)
        self._note_households()
        if products.KEY not in there & self._was_there:
            if self._wait(0):
                return False
            master = products.products_object()
            if products.KEY not in there:
                self._bucket.put(master)
            self._note_products(master.rows)
        for monday in promotions.begun_weeks(self._first, self._clock()):
            key = promotions.promotions_key(monday)
            if key in there and key in self._was_there:
                continue
            if self._wait(0):
                return False
            thing = promotions.promotions_object(monday)
            if key not in there:
                self._bucket.put(thing)
            self._note_promotions(monday, thing.rows)
        if gone:
            tell(f"{len(gone)} objects were gone from S3 and are there again")
        return True

    def _note_households(self) -> None:
        keys = {thing.key for thing in self._households}
        if not keys <= self._was_there:
            rows = sum(thing.rows for thing in self._households)
            report({"feed": households.FEED, "objects": len(keys), "rows": rows})
        self._was_there |= keys

    def _note_products(self, rows: int) -> None:
        if products.KEY not in self._was_there:
            report({"feed": products.FEED, "objects": 1, "rows": rows})
        self._was_there.add(products.KEY)

    def _note_promotions(self, monday: date, rows: int) -> None:
        key = promotions.promotions_key(monday)
        if key not in self._was_there:
            week = promotions.source_week(monday)
            summary = {"feed": promotions.FEED, "week": f"{monday}", "objects": 1, "rows": rows, "source_week": week}
            report(summary)
        self._was_there.add(key)

    def _send_again(self) -> bool:
        thing = self._households[self._sent_again % len(self._households)]
        self._bucket.put(households.in_another_order(thing, f"{self._sent_again}"))
        self._sent_again += 1
        tell(f"{thing.key} sent again, the same {thing.rows} rows in another order")
        return True

    def _send_products(self) -> bool:
        master = products.products_object()
        self._bucket.put(master)
        tell(f"{master.key} sent again, the same {master.rows} rows: a snapshot comes with each day")
        return True
