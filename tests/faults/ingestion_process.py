"""A process of the ingestion's fault tests: `ingestion_process.py look|load ORDER` does one look, or one batch.

It says on standard output what it does, one JSON object a line. At the named points `at` it says so and stands still
until a line comes on standard input: meanwhile the test kills it, or something that it needs.
"""

import json
import os
import sys
import traceback
from datetime import datetime
from typing import Any

from ingestion_world import FEEDS, looker, open_source

from platform_shared import faults
from platform_shared.ingestion.loading import BatchLoader
from platform_shared.ledger import Ledger, Outbox
from platform_shared.postgres import postgres
from platform_shared.settings import platform_home
from platform_shared.warehouse import Warehouse


def say(**what: Any) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def main(role: str, order: dict[str, Any]) -> None:
    def hook(point: str) -> None:
        if point in order["at"]:
            say(reached=point)
            sys.stdin.readline()

    faults.install(hook)
    now, feed, home = datetime.fromisoformat(order["now"]), FEEDS[order["feed"]], platform_home()
    ledger, outbox = Ledger(postgres(home)), Outbox(postgres(home))
    if role == "look":
        looking = looker(feed, home, ledger, outbox, set(order["ended"]), lambda day: say(announced=[day]))
        looked = looking.look(order["cursor"], now)
        say(cursor=looked.memory.cursor(), batches=[batch.lease.batch_id for batch in looked.batches])
        return
    warehouse = Warehouse.of(home, threads=1)
    source = open_source(feed, home)
    loader = BatchLoader(
        feed.name,
        feed.contract,
        feed.shape(now),
        source,
        home.quarantine,
        warehouse,
        ledger,
        lambda: now,
        feed.limits,
    )
    result = loader.load(
        order["batch"],
        order["holder"],
        lambda result: say(announced=[partition.key for partition in result.partitions]),
    )
    say(loaded=None if result is None else result.loaded)


if __name__ == "__main__":
    try:
        main(sys.argv[1], json.loads(sys.argv[2]))
    except Exception as error:
        # Not on standard error, which is a file: the disk may be full.
        say(error=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
        sys.exit(1)
