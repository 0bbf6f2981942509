"""The whole Postgres (ledger, catalog of the lake) dies in the middle of a commit, and comes back by itself."""

import os
import signal
from collections.abc import Callable, Iterator

import psutil
import pytest
from ingestion_world import TABLE, TUE, Process, World, wait_until

from platform_shared.ledger import UnitState
from platform_shared.postgres import PostgresServer, postgres
from platform_shared.settings import Home
from platform_shared.warehouse.locks import commit_key, table_lock


@pytest.fixture
def world(own_postgres: Home) -> Iterator[World]:
    world = World(own_postgres)
    world.deliver("changed.csv")
    world.deliver("stays.csv")
    world.load_all()
    world.deliver("changed.csv", 3, TUE)
    world.deliver("new.csv", 4)
    world.deliver_bad("bad.csv")
    yield world
    world.close()


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_postmaster(home: Home, number: signal.Signals) -> None:
    """And waits for all others: without it, they notice a moment later, and answer meanwhile."""
    every = psutil.process_iter(["name", "cwd"])
    server = [each for each in every if each.info["name"] == "postgres" and each.info["cwd"] == str(home.postgres)]
    os.kill(int((home.postgres / "postmaster.pid").read_text().splitlines()[0]), number)
    wait_until(lambda: not any(alive(each) for each in server))


def kill_postmaster(home: Home, _: int) -> None:
    end_postmaster(home, signal.SIGKILL)


def stop_at_once(home: Home, _: int) -> None:
    """As `pg_ctl stop -m immediate`."""
    end_postmaster(home, signal.SIGQUIT)


def kill_backend(_: Home, backend: int) -> None:
    """Postgres then ends all its other processes, too, and starts anew by itself."""
    os.kill(backend, signal.SIGKILL)


def ask(server: PostgresServer, query: str) -> list[int]:
    """The first column of a query's rows."""
    connection = server.connect()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query)
            return [row[0] for row in cursor.fetchall()] if cursor.description else []
    finally:
        connection.close()


def wait_for(server: PostgresServer, query: str) -> int:
    """Asks until there is an answer; the first one."""
    found: list[int] = []

    def look() -> bool:
        found.extend(ask(server, query))
        return bool(found)

    wait_until(look)
    return found[0]


def assert_it_failed(run: Process) -> None:
    """With an error that says why, or by DuckDB, which may end a process whose catalog vanishes."""
    code = run.end()
    assert code == 1 or code < 0, run.errors
    if code == 1:
        assert "server closed the connection" in run.errors or "connection to server" in run.errors, run.errors


@pytest.mark.parametrize("kill", [kill_postmaster, stop_at_once, kill_backend])
def test_postgres_dies_inside_of_the_commit(world: World, kill: Callable[[Home, int], None]) -> None:
    """COMMIT has written to the catalog and waits for the commit's lock, which the test holds: nothing of it counts."""
    before, batch = world.table(), world.ask()
    server = postgres(world.home)
    with table_lock(server, str(TABLE)) as lock:
        key = commit_key(lock.key)
    run = world.start("load", "warehouse.before_commit", batch=batch)
    run.reach("warehouse.before_commit")
    holder = server.connect()
    holder.cursor().execute(f"SELECT pg_advisory_lock({key})")
    run.go_on()
    waiting = (
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objsubid = 1 "
        f"AND ((classid::bigint << 32) | objid::bigint) = {key}"
    )
    kill(world.home, wait_for(server, waiting))
    assert_it_failed(run)
    holder.close()

    # Who comes next starts it again.
    postgres(world.home)
    assert world.table() == before
    world.load_all()
    world.check()


@pytest.mark.parametrize("kill", [kill_postmaster, stop_at_once])
def test_postgres_dies_after_the_commit_and_before_its_answer(world: World, kill: Callable[[Home, int], None]) -> None:
    """COMMIT is durable and waits for a standby that does not exist: it counts, and nobody was told."""
    batch = world.ask()
    server = postgres(world.home)
    run = world.start("load", "warehouse.before_commit", batch=batch)
    run.reach("warehouse.before_commit")
    ask(server, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    ask(server, "SELECT pg_reload_conf()")
    wait_for(server, "SELECT 1 FROM pg_settings WHERE name = 'synchronous_standby_names' AND setting = 'nobody'")
    run.go_on()
    wait_for(server, "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    ask(server, "ALTER SYSTEM RESET synchronous_standby_names")
    kill(world.home, 0)
    assert_it_failed(run)

    postgres(world.home)
    assert world.table() == world.good
    world.load_all()
    world.check()


@pytest.mark.parametrize("point", ["ingestion.before_fetch", "ingestion.before_ledger"])
def test_postgres_dies_between_two_transactions_of_a_run(world: World, point: str) -> None:
    batch = world.ask()
    run = world.start("load", point, batch=batch)
    run.reach(point)
    kill_postmaster(world.home, 0)
    run.go_on()
    assert_it_failed(run)

    postgres(world.home)
    assert [unit.batch_id for unit in world.units(UnitState.REQUESTED)] == [batch] * 3
    world.load_all()
    world.check()


def test_postgres_dies_in_a_look(world: World) -> None:
    look = world.start("look", "looking.before_lease")
    look.reach("looking.before_lease")
    kill_postmaster(world.home, 0)
    look.go_on()
    assert_it_failed(look)
    postgres(world.home)
    world.load_all()
    world.check()
