"""The demo world at work: past days quickly, then today's files a few a minute."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from demo_world.calendar import business_day, closing_instant, data_day
from demo_world.dropping import Manners, Outcome, drop, shuffled
from demo_world.reporting import report, tell
from demo_world.source import StoreDayFile, store_day_files

FEED = "order_lines"

_SLOW_PAUSE_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 60.0  # so that a laptop that slept through midnight notices soon


@dataclass(frozen=True)
class Player:
    """Drops store-day files into a landing folder until `wait` says stop.

    Each day that is complete in the folder is reported on stdout, as a line of JSON; live files are told on stderr.
    """

    landing: Path  # the feed's folder
    manners: Manners
    seed: int  # of the order, where the sender shuffles
    clock: Callable[[], datetime]  # the time, with its zone
    wait: Callable[[float], bool]  # waits for seconds, or less if asked to stop; true if asked

    def play_past(self, days: Sequence[date]) -> bool:
        """Drop the files of these days at once; false if stopped on the way."""
        for day in shuffled(days, f"{self.seed}") if self.manners.shuffled else days:
            files = self._files(day)
            for file in self._sendings(files):
                if self.wait(0):
                    return False
                self._drop(file)
            _report_day(day, files)
        return True

    def play_live(self, per_minute: float) -> None:
        """Drop today's files one by one, then those of the days that follow, until stopped."""
        day = business_day(self.clock())
        while self._play_today(day, timedelta(minutes=1 / per_minute)):
            day += timedelta(days=1)

    def _play_today(self, day: date, interval: timedelta) -> bool:
        """Play a day until it closes; false if stopped before. What is left at its midnight follows at once."""
        closes = closing_instant(day)
        files = self._files(day)
        sendings = self._sendings(files)
        due = self.clock()
        for number, file in enumerate(sendings, start=1):
            if not self._wait_until(min(due, closes)):
                return False
            outcome = self._drop(file)
            if outcome is not Outcome.UNCHANGED:
                due = self.clock() + interval
                tell(f"{file.name} {outcome.value}: {file.rows} lines, {file.sales} ({number} of {len(sendings)})")
        _report_day(day, files)
        return self._wait_until(closes)

    def _files(self, day: date) -> list[StoreDayFile]:
        files = list(store_day_files(day))
        return shuffled(files, f"{self.seed} {day}") if self.manners.shuffled else files

    def _sendings(self, files: list[StoreDayFile]) -> list[StoreDayFile]:
        # The second time comes late, so that the platform has had time to see the first.
        return [*files, *files] if self.manners.duplicates else files

    def _drop(self, file: StoreDayFile) -> Outcome:
        return drop(file, self.landing, how=self.manners, pause=lambda: self.wait(_SLOW_PAUSE_SECONDS))

    def _wait_until(self, instant: datetime) -> bool:
        """Wait for the clock to reach the instant; false if asked to stop."""
        while not self.wait(min(max((instant - self.clock()).total_seconds(), 0), _LONGEST_WAIT_SECONDS)):
            if self.clock() >= instant:
                return True
        return False


def _report_day(day: date, files: Sequence[StoreDayFile]) -> None:
    summary = {
        "feed": FEED,
        "day": f"{day}",
        "objects": len(files),
        "rows": sum(file.rows for file in files),
        "sales": f"{sum((file.sales for file in files), Decimal('0.00'))}",
        "data_day": f"{data_day(day)}",
    }
    report(summary)
