"""A writer in whose commit the whole Postgres dies: `catalog_killer.py HOME VALUE MOMENT`.

MOMENT is a named point, or a number: so many milliseconds after the point before COMMIT.
"""

import sys
import threading
import time
from pathlib import Path

import psutil

from platform_shared import faults
from platform_shared.settings import Home
from platform_shared.warehouse import TableName, Warehouse, replace_objects, write_parquet


def main(home: Home, value: int, moment: str) -> None:
    def server() -> list[psutil.Process]:
        every = psutil.process_iter(["name", "cwd"])
        return [each for each in every if each.info["name"] == "postgres" and each.info["cwd"] == str(home.postgres)]

    def kill(processes: list[psutil.Process], after_milliseconds: int) -> None:
        time.sleep(after_milliseconds / 1000)
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=30)

    def hook(name: str) -> None:
        if name == moment:
            kill(server(), 0)
        elif name == "warehouse.before_commit" and moment.isdigit():
            threading.Thread(target=kill, args=(server(), int(moment))).start()

    faults.install(hook)
    warehouse, table = Warehouse.of(home, memory_limit="256MB", threads=1), TableName("raw", "orders")
    with warehouse.connect() as connection:
        # Half of the objects of each file: DuckLake writes files of deleted rows.
        names = ["a", "b"] if value % 2 else ["b", "c"]
        rows = " UNION ALL ".join(f"SELECT '{name}' AS _source_object, {value} AS value" for name in names)
        written = write_parquet(warehouse, connection, table, f"batch {value}", rows)
        replace_objects(warehouse, connection, table, names, written, message="m", details={})


if __name__ == "__main__":
    main(Home(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3])
