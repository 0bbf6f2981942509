"""What the ledger keeps of a feed as a whole: its last look, its days, and when all must be compared anew."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from platform_shared.ledger.tables import DAYS, FEEDS


@dataclass(frozen=True)
class Look:
    """A feed's last look at its source. Seconds are wall time; `listed_objects` is the size of the last whole listing,
    which ended at `listed_whole_at`."""

    looked_at: datetime
    tick_seconds: float
    listing_seconds: float
    listed_objects: int | None = None
    listed_whole_at: datetime | None = None


@dataclass(frozen=True)
class FeedDays:
    """Days of a feed: those that (may) have had rows with the instant of the last, and those announced as empty."""

    delivered: Mapping[date, datetime]
    empty: frozenset[date]


class Feeds:
    """The feeds of the ledger; each method is one transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def open(self, feed: str, owner: str) -> str:
        """Notes which location has the feed, and returns its epoch: a random name that changes whenever a listed object
        may have to be recorded again (`new_epoch`).

        What a sensor remembers of earlier listings counts only as long as it does not.
        """
        statement = insert(FEEDS).values(feed=feed, owner=owner, epoch=uuid.uuid4().hex)
        statement = statement.on_conflict_do_update(
            index_elements=[FEEDS.c.feed],
            set_={"owner": statement.excluded.owner},
            where=FEEDS.c.owner != statement.excluded.owner,
        )
        with self._engine.begin() as connection:
            connection.execute(statement)
            return str(connection.scalar(sa.select(FEEDS.c.epoch).where(FEEDS.c.feed == feed)))

    def owners(self) -> dict[str, str]:
        """The location of every feed that was ever opened."""
        with self._engine.begin() as connection:
            return {row.feed: row.owner for row in connection.execute(sa.select(FEEDS).order_by(FEEDS.c.feed))}

    def forget_listings(self, feed: str) -> None:
        """Makes the next look compare the whole listing with the ledger (a new epoch)."""
        with self._engine.begin() as connection:
            new_epoch(connection, feed)

    def note_look(self, feed: str, look: Look) -> None:
        """Notes a look; without a whole listing the last one's size and end stay."""
        values: dict[str, object] = {
            "looked_at": look.looked_at,
            "tick_seconds": look.tick_seconds,
            "listing_seconds": look.listing_seconds,
        }
        if look.listed_whole_at is not None:
            values |= {"listed_objects": look.listed_objects, "listed_whole_at": look.listed_whole_at}
        with self._engine.begin() as connection:
            connection.execute(sa.update(FEEDS).where(FEEDS.c.feed == feed).values(**values))

    def looks(self) -> dict[str, Look | None]:
        """The last look of every feed that was ever opened; None if it has not ended one yet."""
        with self._engine.begin() as connection:
            rows = connection.execute(sa.select(FEEDS).order_by(FEEDS.c.feed)).all()
        return {
            row.feed: None
            if row.looked_at is None
            else Look(row.looked_at, row.tick_seconds, row.listing_seconds, row.listed_objects, row.listed_whole_at)
            for row in rows
        }

    def note_empty_days(self, feed: str, days: Iterable[date], now: datetime) -> None:
        """Notes days that were announced as empty; a day that has had rows stays one that has."""
        with self._engine.begin() as connection:
            note_days(connection, feed, days, False, now)

    def days(self, feed: str) -> FeedDays:
        """The days of a feed that were loaded (or noted right before it), and those announced as empty."""
        with self._engine.begin() as connection:
            rows = connection.execute(sa.select(DAYS).where(DAYS.c.feed == feed)).all()
        return FeedDays(
            {row.day: row.noted_at for row in rows if row.delivered},
            frozenset(row.day for row in rows if not row.delivered),
        )


def note_days(connection: sa.Connection, feed: str, days: Iterable[date], delivered: bool, now: datetime) -> None:
    """Notes days in the connection's transaction: with rows, or empty."""
    # In order, so that two batches that note the same days do not wait for each other in a circle.
    values = [{"feed": feed, "day": day, "delivered": delivered, "noted_at": now} for day in sorted(days)]
    if values:
        statement = insert(DAYS).values(values)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[DAYS.c.feed, DAYS.c.day],
                set_={"delivered": statement.excluded.delivered, "noted_at": statement.excluded.noted_at},
                where=statement.excluded.delivered,
            )
        )


def new_epoch(connection: sa.Connection, feed: str) -> None:
    """In the connection's transaction: what was listed and recorded once is compared with the ledger again."""
    connection.execute(sa.update(FEEDS).where(FEEDS.c.feed == feed).values(epoch=uuid.uuid4().hex))
