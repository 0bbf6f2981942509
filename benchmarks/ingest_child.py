"""What `benchmarks.ingest` measures in a process of its own, so that the peak of memory is its own, too.

`python -m benchmarks.ingest_child <what> <order as JSON>` prints one line of JSON.
"""

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.watching import Watch, peak_megabytes
from platform_shared import clock
from platform_shared.contracts import RAW_ORDER_LINES, Contract
from platform_shared.ingestion.feed import Landing, ObjectFeed
from platform_shared.ingestion.landing import LandingFolder
from platform_shared.ingestion.loading import BatchLoader, BatchResult
from platform_shared.ingestion.looking import Looked, Looker, RunState
from platform_shared.ingestion.objects import ObjectSource
from platform_shared.ingestion.planning import Limits
from platform_shared.ingestion.reading import Format
from platform_shared.ledger import Ledger, Outbox
from platform_shared.postgres import postgres
from platform_shared.settings import Home, platform_home
from platform_shared.warehouse import TableName, Warehouse, create_table, literal
from platform_shared.warehouse.sql import literals

Order = dict[str, Any]
BUCKET, PREFIX = "bench", "lines"
PERIOD = "transaction_timestamp AT TIME ZONE 'America/New_York'"


def load(order: Order) -> Order:
    """Whole batches of a feed's files, from the lease to the ledger's commit, one batch after the other."""
    home = platform_home()
    feed = _feed(order["feed"], Format(order["format"]))
    ledger = Ledger(postgres(home))
    looked = _looker(feed, feed_source(home, feed), ledger, home).look(None, clock.utc_now())
    loader = BatchLoader(
        feed.name,
        feed.contract,
        feed.shape(clock.utc_now()),
        feed_source(home, feed),
        home.quarantine,
        Warehouse.of(home),
        ledger,
        clock.utc_now,
        feed.limits,
    )
    watch = Watch()
    results = [loader.load(batch.lease.batch_id, "bench", lambda _: None) for batch in looked.batches]
    took = watch.read()
    done = [result for result in results if isinstance(result, BatchResult)]
    return {**took, "rows": sum(result.rows for result in done), "batches": len(done)}


def insert(order: Order) -> Order:
    """The limit: one statement with declared types, into a table of the same lake, which has to be opened for it, too.
    `day`: with the day of each row."""
    contract = _contract(order["table"])
    table = TableName(contract.schema, contract.table)
    warehouse = Warehouse.of(platform_home())
    extra = {"business_date": "DATE"} if order["day"] else {}
    columns = f"*, CAST({PERIOD} AS DATE)" if order["day"] else "*"
    watch = Watch()
    with warehouse.connect() as connection:
        create_table(warehouse, connection, table, {**contract.types, **extra})
        inserted = connection.execute(f"INSERT INTO {table.sql} SELECT {columns} FROM {_read(order, contract)}")
        return {"rows": _changed(inserted), **watch.read()}


def write(order: Order) -> Order:
    """The limit below the limit: the Parquet file alone, from a table in memory."""
    with duckdb.connect(config={"threads": "2"}) as connection:
        connection.execute(f"CREATE TABLE lines AS SELECT * FROM {_read(order, RAW_ORDER_LINES)}")
        target = Path(order["paths"][0]).with_name("written.parquet")
        watch = Watch()
        copied = connection.execute(f"COPY lines TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)")
        took = watch.read()
        target.unlink()
        return {"rows": _changed(copied), **took}


def bare_listing(order: Order) -> Order:
    """The limit of a look: every object's name, size and time, and nothing done with them."""
    each = _bare_bucket() if order["s3"] else lambda: _bare_folder(str(platform_home().landing / order["feed"]))
    return _timed(each, order["rounds"])


def quiet_look(order: Order) -> Order:
    """Looks at a feed of which everything is known and loaded, with the cursor of the look before."""
    look, cursor = _look_of(order), Path(order["cursor"])
    took = _timed(lambda: look(cursor.read_text()), order["rounds"])
    return {**took, "bytes": cursor.stat().st_size}


def new_object_look(order: Order) -> Order:
    """A look that finds one new object and leases a batch for it."""
    look, cursor = _look_of(order), Path(order["cursor"]).read_text()
    look(cursor)
    _add_object(order)
    watch = Watch()
    looked = look(cursor)
    took = watch.read()
    assert (len(looked.new), len(looked.batches)) == (1, 1)
    return took


def recovery(order: Order) -> Order:
    """Looks without a cursor until all was listed. `settle`: then all of it counts as loaded."""
    look, cursor, looks = _look_of(order), None, 0
    watch = Watch()
    while True:
        looked = look(cursor)
        cursor, looks = looked.memory.cursor(), looks + 1
        if looked.objects is not None:
            break
    took = watch.read()
    if order.get("settle"):
        _call_all_loaded(order["feed"])
        Path(order["cursor"]).write_text(cursor)
    return {**took, "looks": looks}


def feed_source(home: Home, feed: ObjectFeed) -> LandingFolder:
    return LandingFolder(home.landing / feed.name)


def _feed(name: str, form: Format = Format.CSV) -> ObjectFeed:
    """`order_lines` under another name, with a table of its own. All batches at once, and files need no rest."""
    return ObjectFeed(
        name,
        _contract(name),
        Landing(name),
        form,
        period=PERIOD,
        limits=Limits(batches_in_flight=100, settle=timedelta(0)),
    )


def _contract(table: str) -> Contract:
    return replace(RAW_ORDER_LINES, table=table)


def _looker(feed: ObjectFeed, source: ObjectSource, ledger: Ledger, home: Home) -> Looker:
    return Looker(
        feed,
        source,
        ledger,
        Outbox(postgres(home)),
        home.quarantine,
        lambda *_: (RunState.UNKNOWN, "no run"),
        lambda *_: None,
    )


def _look_of(order: Order) -> Callable[[str | None], Looked]:
    home = platform_home()
    feed = _feed(order["feed"])
    source: ObjectSource = feed_source(home, feed)
    if order["s3"]:
        from platform_shared.ingestion.bucket import Bucket
        from platform_shared.object_storage import ObjectStorage

        source = Bucket(ObjectStorage().get_client(), BUCKET, PREFIX)
    looker = _looker(feed, source, Ledger(postgres(home)), home)
    return lambda cursor: looker.look(cursor, clock.utc_now())


def _timed(each: Callable[[], object], rounds: int) -> Order:
    """Medians of rounds, after one that opens connections."""
    each()
    took = []
    for _ in range(rounds):
        watch = Watch()
        each()
        took.append(watch.read())
    return {name: statistics.median(one[name] for one in took) for name in took[0]}


def _bare_folder(folder: str) -> int:
    def walk(path: str) -> Iterator[os.stat_result]:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from walk(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False)

    return sum(1 for _ in walk(folder))


def _bare_bucket() -> Callable[[], int]:
    from platform_shared.object_storage import ObjectStorage

    paginator = ObjectStorage().get_client().get_paginator("list_objects_v2")
    return lambda: sum(len(page.get("Contents", [])) for page in paginator.paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/"))


def _add_object(order: Order) -> None:
    if order["s3"]:
        from platform_shared.object_storage import ObjectStorage

        ObjectStorage().get_client().put_object(Bucket=BUCKET, Key=f"{PREFIX}/00000/{order['feed']}.csv", Body=b"new")
    else:
        (platform_home().landing / order["feed"] / "00000" / f"{order['feed']}.csv").write_bytes(b"new")


def _call_all_loaded(feed: str) -> None:
    """In one statement, where the ledger would write 100,000 ends one by one."""
    import sqlalchemy as sa

    from platform_shared.ledger import UnitState
    from platform_shared.ledger.tables import UNITS

    engine = sa.create_engine(postgres(platform_home()).sqlalchemy_url("platform"))
    with engine.begin() as connection:
        connection.execute(
            sa.update(UNITS).where(UNITS.c.feed == feed).values(state=UnitState.LOADED, finished_at=clock.utc_now())
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # As the server itself does, a minute later.
        connection.execute(sa.text(f"VACUUM ANALYZE {UNITS}"))
    engine.dispose()


def _read(order: Order, contract: Contract) -> str:
    """The table function that reads the files of the order with the contract's types."""
    paths = f"[{literals(order['paths'])}]"
    columns = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in contract.types.items())
    if order["format"] == Format.PARQUET:
        return f"read_parquet({paths})"
    if order["format"] == Format.CSV:
        return f"read_csv({paths}, auto_detect = false, header = true, delim = ',', columns = {{{columns}}})"
    return f"read_json({paths}, format = 'newline_delimited', columns = {{{columns}}})"


def _changed(result: duckdb.DuckDBPyConnection) -> int:
    row = result.fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    what: Callable[[Order], Order] = globals()[sys.argv[1]]
    answer = what(json.loads(sys.argv[2]))
    print(json.dumps({**answer, "megabytes": peak_megabytes()}))
