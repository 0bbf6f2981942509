"""The usual way of tutorials to load a file: pandas, and an IO manager that inserts the data frame.

Runs in an environment of its own: the platform's has no pandas. Prints one line of JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd

INSTANT = "transaction_timestamp"


def main(order: dict[str, str]) -> None:
    connection = duckdb.connect(config={"extension_directory": order["extensions"], "threads": "2"})
    for name in ("postgres_scanner", "ducklake"):
        connection.load_extension(name)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(order["attach"])
    began, worked = time.monotonic(), time.process_time()
    frame = order_lines(order["path"], order["format"])
    handle_output(connection, order["table"], frame)
    took = {"seconds": time.monotonic() - began, "cpu": time.process_time() - worked}
    print(json.dumps({**took, "rows": len(frame), "megabytes": peak_megabytes()}))


def order_lines(path: str, form: str) -> pd.DataFrame:
    """The asset."""
    if form == "csv":
        return pd.read_csv(path, parse_dates=[INSTANT])
    if form == "json_lines":
        frame = pd.read_json(path, lines=True)
        frame[INSTANT] = pd.to_datetime(frame[INSTANT])
        return frame
    return pd.read_parquet(path)


def handle_output(connection: duckdb.DuckDBPyConnection, table: str, frame: pd.DataFrame) -> None:
    """The IO manager. DuckDB takes the digits of a DECIMAL from 1,000 rows of a frame, and fails at a longer one."""
    connection.execute(f"SET pandas_analyze_sample = {len(frame)}")
    connection.register("frame", frame)
    connection.execute(f"INSERT INTO {table} SELECT * FROM frame")


def peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
