"""The command `python -m demo_world`. The only place here that reads the clock."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from demo_world.calendar import CYCLE_DAYS, business_day, data_day, last_complete_trading_days
from demo_world.dropping import Manners, remove_stale_temporaries
from demo_world.playing import FEED, Player
from demo_world.stopping import StopSignal

if TYPE_CHECKING:
    from demo_world.filling import Filler

MOST_DAYS = CYCLE_DAYS - 2  # with today and a closed day between them, no day of the data plays twice
S3_PATIENCE_SECONDS = 60.0
SECONDS_TO_END = 1.0


def main(arguments: list[str]) -> int:
    """Play until done or asked to stop; 0 either way, 1 if S3 did not take what is to be played once."""
    stop = StopSignal()
    parser = _parser()
    options = parser.parse_args(arguments)
    clock = _clock(options.now)
    try:
        today = business_day(clock())
        data_day(today)
        past = last_complete_trading_days(clock(), options.days)
        filler = _filler(options.s3_endpoint, past[0] if past else today, clock, stop)
    except ValueError as error:
        parser.error(str(error))
    landing: Path = options.landing / FEED
    remove_stale_temporaries(landing)
    player = Player(
        landing=landing,
        manners=Manners(slow=options.slow_writes, shuffled=options.shuffle, duplicates=options.duplicates),
        seed=options.seed,
        clock=clock,
        wait=stop.wait,
    )
    if not player.play_past(past):
        return 0
    if options.today:
        with _beside(filler):
            player.play_live(options.per_minute)
        return 0
    return 0 if filler is None or filler.play_past(S3_PATIENCE_SECONDS) or stop.wait(0) else 1


def _filler(endpoint_url: str | None, first: date, clock: Callable[[], datetime], stop: StopSignal) -> "Filler | None":
    if endpoint_url is None:
        return None
    # Imported where it is needed: boto3 takes as long as all else together.
    from demo_world.bucket import bucket_at
    from demo_world.filling import Filler

    return Filler(bucket_at(endpoint_url), first, clock, stop.wait)


@contextmanager
def _beside(filler: "Filler | None") -> Iterator[None]:
    """Keep S3 filled meanwhile, in a thread that hears of the same stop."""
    if filler is None:
        yield
        return
    filling = Thread(target=filler.play_live, name="s3", daemon=True)
    filling.start()
    yield
    # A server that hangs does not hold up the end.
    filling.join(SECONDS_TO_END)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo_world", description="Play the retailer's upstream systems.")
    parser.add_argument("--landing", type=Path, required=True, help=f"files go to the folder {FEED}/ in this one")
    parser.add_argument(
        "--s3-endpoint", metavar="URL", help="fill the bucket there, too; credentials as for any client"
    )
    parser.add_argument("--days", type=_days, default=14, help="complete trading days to play at once (default 14)")
    parser.add_argument("--today", action="store_true", help="then drop today's files, and go on day after day")
    parser.add_argument("--per-minute", type=_rate, default=6.0, help="files a minute with --today (default 6)")
    parser.add_argument("--slow-writes", action="store_true", help="write in place, piece by piece")
    parser.add_argument("--shuffle", action="store_true", help="days and stores out of order")
    parser.add_argument("--duplicates", action="store_true", help="send each file twice")
    parser.add_argument("--seed", type=int, default=0, help="of the order with --shuffle (default 0)")
    parser.add_argument("--now", type=_instant, help="start the clock here (ISO 8601 with an offset), not at the time")
    return parser


def _days(text: str) -> int:
    days = int(text)
    if not 0 <= days <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"from 0 to {MOST_DAYS}: ids repeat after {CYCLE_DAYS} days")
    return days


def _rate(text: str) -> float:
    rate = float(text)
    if not rate >= 0.01:
        raise argparse.ArgumentTypeError("at least 0.01")
    return rate


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError("an offset is missing, such as Z or -05:00")
    return instant.astimezone(UTC)


def _clock(start: datetime | None) -> Callable[[], datetime]:
    """The time in UTC; or, from a given start, the time as it would go on from there."""
    if start is None:
        return lambda: datetime.now(UTC)
    began = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
