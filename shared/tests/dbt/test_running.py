"""One dbt at a time, whoever starts it."""

import threading

from platform_shared.dbt.running import dbt_turn
from platform_shared.postgres import postgres
from platform_shared.settings import Home

WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def test_a_second_dbt_waits_for_its_turn(platform_home: Home) -> None:
    order: list[str] = []

    def second() -> None:
        with dbt_turn(platform_home):
            order.append("second")

    connection = postgres(platform_home).connect()
    connection.autocommit = True
    with dbt_turn(platform_home) as variables:
        assert variables["PLATFORM_LAKE_PATH"]
        thread = threading.Thread(target=second)
        thread.start()
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            while cursor.fetchone() is None:
                assert thread.is_alive()
                cursor.execute(WAITING)
        order.append("first")
    thread.join(30)
    connection.close()
    assert order == ["first", "second"]
