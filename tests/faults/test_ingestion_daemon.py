"""The daemon is killed (kill -9) between a tick's result and Dagster's commit of it, and started again.

A real daemon and a real code server: what counts is what Dagster has on record when its process is gone, and what a new
one makes of that, which a simulated daemon in the test's process cannot show. The daemon is caught where it writes to
its storage, by a trigger that holds up the write: nothing of Dagster is changed for that.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest
from ingestion_world import CONTRACT, MON, TUE, World, wait_until

from platform_shared.clock import utc_now
from platform_shared.ingestion.tags import BATCH_TAG
from platform_shared.instance_home import prepare_home
from platform_shared.ledger import UnitState
from platform_shared.postgres import PostgresServer, postgres

ROOT = Path(__file__).parents[2]
LOCATION = Path(__file__).with_name("ingestion_location.py")
KEY = 4711
MOMENTS = {
    "run requests and cursor": "UPDATE ON dagster.job_ticks FOR EACH ROW "
    "WHEN (NEW.status = 'STARTED' AND NEW.tick_body LIKE '%\"run_key\"%')",
    "the run": "INSERT ON dagster.runs FOR EACH ROW",
    "the tick's success": "UPDATE ON dagster.job_ticks FOR EACH ROW WHEN (NEW.status = 'SUCCESS')",
}
"""What the daemon is about to write, in the order in which it does, and the trigger that sees it."""


class Storage:
    """Dagster's storage, in which a write can be held up."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def ask(self, *statements: str) -> list[int]:
        """The first column of the last statement's rows."""
        connection = self._server.connect()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return [row[0] for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    @contextmanager
    def holding_up(self, moment: str) -> Iterator[None]:
        """Meanwhile the write waits, if it comes; at the end the session that waits is ended, as its process was."""
        holder = self._server.connect()
        holder.autocommit = True
        holder.cursor().execute(f"SELECT pg_advisory_lock({KEY})")
        self.ask(
            "CREATE FUNCTION public.hold_up() RETURNS trigger LANGUAGE plpgsql AS $function$ "
            f"BEGIN PERFORM pg_advisory_xact_lock({KEY}); RETURN NEW; END $function$",
            f"CREATE TRIGGER hold_up BEFORE {MOMENTS[moment]} EXECUTE FUNCTION public.hold_up()",
        )
        try:
            yield
        finally:
            waiting = self.waiting()
            self.ask(*(f"SELECT pg_terminate_backend({session}, 10000)" for session in waiting))
            self.ask("DROP FUNCTION public.hold_up() CASCADE")
            holder.close()

    def waiting(self) -> list[int]:
        """Sessions that are held up."""
        return self.ask(f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = {KEY}")


class Platform:
    """A code server and a daemon; the server's socket is in `folder`."""

    def __init__(self, world: World, folder: Path) -> None:
        self._home = world.home.root
        self._log = (world.home.root / "dagster.log").open("ab")
        self._socket = folder / "location"
        options = ["--python-file", str(LOCATION), "--working-directory", str(LOCATION.parent)]
        server = ["api", "grpc", "--socket", str(self._socket), "--use-python-environment-entry-point", *options]
        self._server = self._start("dagster", *server)
        self._daemon: subprocess.Popen[bytes] | None = None
        wait_until(self._socket.exists)

    def start_daemon(self) -> None:
        self._daemon = self._start("dagster._daemon", "run", "--grpc-socket", str(self._socket))

    def kill_daemon(self) -> None:
        assert self._daemon is not None
        assert self._daemon.poll() is None
        self._daemon.kill()
        self._daemon.wait()
        self._daemon = None

    def close(self) -> None:
        if self._daemon is not None:
            self.kill_daemon()
        runs = psutil.Process(self._server.pid).children(recursive=True)
        for process in (self._server, *runs):
            process.kill()
        self._server.wait()
        psutil.wait_procs(runs)
        self._log.close()

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module, *arguments]
        environment = {**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1"}
        # Not in the repository, whose .env names a platform of its own.
        return subprocess.Popen(
            command,
            cwd=self._home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture
def platform(world: World) -> Iterator[Platform]:
    prepare_home(world.home, ROOT)
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        platform = Platform(world, Path(folder))
        try:
            yield platform
        finally:
            platform.close()


def test_the_daemon_is_killed_before_it_has_written(world: World, platform: Platform) -> None:
    storage = Storage(postgres(world.home))
    world.deliver("changed.csv")
    platform.start_daemon()
    with dg.DagsterInstance.get() as instance:

        def wait_for_rest() -> None:
            """Everything has ended: what was delivered, and the runs."""
            wait_until(lambda: world.states()["loaded"] == delivered and not world.waiting())
            wait_until(lambda: all(run.is_finished for run in instance.get_runs()))

        delivered = 1
        wait_for_rest()
        for number, moment in enumerate(MOMENTS):
            before = {run.run_id for run in instance.get_runs()}
            with storage.holding_up(moment):
                world.deliver("changed.csv", 3 + number, TUE)
                world.deliver(f"new {number}.csv", 2)
                delivered += 2
                wait_until(lambda: bool(storage.waiting()))
                platform.kill_daemon()
            requested = world.units(UnitState.REQUESTED)
            after = [run for run in instance.get_runs() if run.run_id not in before]
            if moment == "the tick's success":
                assert len(after) == 1
            else:
                assert after == []
                assert {unit.object_id for unit in requested} <= {"changed.csv", f"new {number}.csv"}
                assert requested
            if moment == "run requests and cursor":
                # Nobody knows of the batch: it is asked for anew once its lease has run out.
                storage.ask("UPDATE platform.units SET lease_expires_at = now() WHERE state = 'requested'")
            platform.start_daemon()
            wait_for_rest()

        runs = instance.get_runs()
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
        assert len({run.tags[BATCH_TAG] for run in runs}) == len(runs)
        assert {unit.attempts for unit in world.units()} == {1}
        world.announced |= set(instance.get_materialized_partitions(CONTRACT.key))
    assert world.announced == {MON, TUE}
    world.now = utc_now()
    world.check()
