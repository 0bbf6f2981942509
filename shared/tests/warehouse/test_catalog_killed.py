"""The whole Postgres is killed in commits, again and again: after each restart the table is readable and exact."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_shared.postgres import URL_VARIABLE, embedded_is_running, stop_embedded
from platform_shared.settings import Home
from platform_shared.warehouse import TableName, Warehouse, create_table
from platform_shared.warehouse.maintenance import missing_files

WORKER = Path(__file__).with_name("catalog_killer.py")
TABLE = TableName("raw", "orders")
# Milliseconds: COMMIT takes a few.
MOMENTS = ["warehouse.before_commit", "warehouse.after_commit", "1", "2", "4", "8"]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    with tempfile.TemporaryDirectory(prefix="killed-") as folder:
        home = Home(Path(folder).resolve())
        try:
            yield home
        finally:
            stop_embedded(home)


def rows(home: Home) -> dict[str, list[int]]:
    with Warehouse.of(home).connect(read_only=True) as connection:
        assert missing_files(connection, TABLE) == []
        query = f"SELECT _source_object, list(value) FROM {TABLE.sql} GROUP BY ALL"
        return dict(connection.execute(query).fetchall())


def test_no_commit_is_lost_or_doubled_or_makes_the_table_unreadable(home: Home) -> None:
    warehouse = Warehouse.of(home)
    with warehouse.connect() as connection:
        create_table(warehouse, connection, TABLE, {"_source_object": "VARCHAR", "value": "INTEGER"})

    def deliver(value: int, moment: str = "never") -> int:
        command = [sys.executable, str(WORKER), str(home.root), str(value), moment]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode

    assert deliver(0) == 0
    before = rows(home)
    assert before == {"b": [0], "c": [0]}
    for value, moment in enumerate(MOMENTS, start=1):
        code = deliver(value, moment)
        assert not embedded_is_running(home), f"{moment}: the server is meant to be dead"
        after = before | {name: [value] for name in ("ab" if value % 2 else "bc")}
        if moment == "warehouse.before_commit":
            assert code != 0
            allowed = [before]
        elif moment == "warehouse.after_commit":
            allowed = [after]
        else:
            allowed = [before, after]
        # Reading starts it again.
        assert rows(home) in allowed, moment
        assert deliver(value) == 0
        assert rows(home) == after, moment
        before = after
