"""A disk is full while a batch is loaded: the load fails, says why, and is done once there is room.

Each case is tried on a small disk of its own, where this process may mount one, and with a limit on the size of files,
which needs no rights and is as if all disks were full.
"""

import gzip
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ingestion_world import BUCKET, TUE, World, csv

from platform_shared.ingestion.quarantine import kept_name
from platform_shared.ledger import UnitState
from platform_shared.testing.s3_server import S3Server

DISK_BYTES = 4 * 1024**2
NO_ROOM = ("No space left on device", "File too large")
NO_LIMIT = resource.RLIM_INFINITY


class Disk:
    """A disk that can be full."""

    def __init__(self, *, may_mount: bool) -> None:
        self._may_mount = may_mount
        self._folder: Path | None = None

    def mount(self, folder: Path) -> None:
        """Everything in the folder, which is empty now, will be on this disk."""
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
        if self._may_mount and os.geteuid() == 0:
            done = subprocess.run(command, capture_output=True, check=False)
            self._folder = None if done.returncode else folder

    def fill(self, process: int) -> None:
        """From now on the process can write nothing."""
        if self._folder is None:
            resource.prlimit(process, resource.RLIMIT_FSIZE, (0, NO_LIMIT))
            return
        with (self._folder / ".ballast").open("wb", buffering=0) as file:
            for size in (64 * 1024, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"\0" * size)

    def make_room(self) -> None:
        if self._folder is not None:
            (self._folder / ".ballast").unlink()

    def unmount(self) -> None:
        if self._folder is not None:
            subprocess.run(["umount", str(self._folder)], check=True)


@pytest.fixture(params=["small disk", "limit"])
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    disk = Disk(may_mount=request.param == "small disk")
    yield disk
    disk.unmount()


def fail_at(world: World, disk: Disk, point: str) -> None:
    """The disk is full from this point of a load on; the load fails and changes nothing."""
    before, batch = world.table(), world.ask()
    run = world.start("load", point, batch=batch)
    run.reach(point)
    disk.fill(run.pid)
    run.go_on()
    assert run.end() == 1, run.errors
    assert any(said in run.error for said in NO_ROOM), run.errors
    assert {(unit.batch_id, unit.reason) for unit in world.waiting()} == {(batch, run.error)}
    assert world.units(UnitState.REQUESTED) == world.units(UnitState.QUARANTINED) == []
    assert world.table() == before


@pytest.mark.parametrize("point", ["ingestion.before_fetch", "warehouse.after_copy", "warehouse.after_fsync"])
def test_the_lake_is_full(world: World, disk: Disk, point: str) -> None:
    """When the rows are written, or after that: the file of the rows that are replaced does not fit."""
    disk.mount(world.home.lake)
    for name in ("changed.csv", "stays.csv"):
        world.deliver(name)
    world.load_all()
    world.deliver("changed.csv", 3, TUE)
    world.deliver("new.csv")
    world.deliver_bad("bad.csv")
    fail_at(world, disk, point)
    disk.make_room()
    world.load_all()
    world.check()


def test_the_copies_of_objects_do_not_fit(
    open_world: Callable[..., World], s3_server: S3Server, disk: Disk, tmp_path: Path
) -> None:
    s3_server.make_bucket(BUCKET)
    world: World = open_world(feed="objects")
    world.deliver("before.csv")
    world.load_all()
    world.environment["TMPDIR"] = str(tmp_path / "scratch")
    disk.mount(tmp_path / "scratch")
    world.deliver("a.csv")
    world.deliver_bad("bad.csv")
    fail_at(world, disk, "ingestion.before_fetch")
    disk.make_room()
    assert [path for path in (tmp_path / "scratch").iterdir() if not path.name.startswith("duckdb")] == []
    world.load_all()
    world.check()


@pytest.mark.parametrize("kind", ["packed", "foreign line ends"])
def test_what_is_made_of_an_object_to_read_it_does_not_fit(world: World, disk: Disk, tmp_path: Path, kind: str) -> None:
    world.deliver("before.csv")
    world.load_all()
    world.environment["TMPDIR"] = str(tmp_path / "scratch")
    disk.mount(tmp_path / "scratch")
    rows = world.rows(1_000)
    if kind == "packed":
        world.good["a.csv.gz"] = rows
        world.put("a.csv.gz", gzip.compress(csv(*rows)))
    else:
        world.good["a.csv"] = rows
        world.put("a.csv", csv(*rows).replace(b"\n", b"\r\n"))
    fail_at(world, disk, "ingestion.before_fetch")
    disk.make_room()
    world.load_all()
    world.check()


def test_the_quarantine_is_full(world: World, disk: Disk) -> None:
    """What is bad is set aside all the same, and its owner is told that it lies where it was only."""
    disk.mount(world.home.quarantine)
    world.deliver("before.csv")
    world.load_all()
    world.deliver_bad("bad.csv")
    run = world.start("load", "ingestion.before_fetch", batch=world.ask())
    run.reach("ingestion.before_fetch")
    disk.fill(run.pid)
    run.go_on()
    assert run.end() == 0, run.errors
    (unit,) = world.ledger.quarantined("files")
    assert any(f"(Its bytes could not be kept: {said}.)" in str(unit.reason) for said in NO_ROOM)
    assert str(unit.reason) in world.messages()[0].body
    assert world.table() == world.good
    assert not (world.home.quarantine / "files" / kept_name(unit.object_id, unit.version)).exists()
    disk.make_room()
    assert [path for path in world.home.quarantine.rglob("*") if path.is_file()] == [], "it makes no full disk fuller"

    assert world.replay() == ["bad.csv"]
    world.load_all()
    world.check()


SENDER = "import sys; sys.stdin.readline(); open(sys.argv[1], 'wb', buffering=0).write(sys.argv[2].encode())"


def test_the_landing_zone_is_full(world: World, disk: Disk) -> None:
    """A sender that writes under the object's own name leaves an empty one; sent again, it is loaded."""
    disk.mount(world.home.landing / "files")
    world.deliver("before.csv")
    world.load_all()
    rows = world.rows(4)
    command = [sys.executable, "-c", SENDER, str(world.home.landing / "files/torn.csv"), csv(*rows).decode()]
    sender = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    disk.fill(sender.pid)
    _, said = sender.communicate(b"\n")
    assert any(each in said.decode() for each in NO_ROOM)
    world.bad.add("torn.csv")
    world.load_all()
    world.check()
    (unit,) = world.ledger.quarantined("files")
    assert "0 bytes" in str(unit.reason)
    disk.make_room()
    world.good["torn.csv"], world.bad = rows, set()
    world.put("torn.csv", csv(*rows))
    world.load_all()
    world.check()
