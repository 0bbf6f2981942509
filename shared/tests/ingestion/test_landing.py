"""A landing folder as a source: which files are objects, in which order, and which version."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platform_shared.ingestion.landing import LandingFolder
from platform_shared.ingestion.objects import Refused, SourceError, SourceMissingError, SourceObject, VersionGoneError


def put(folder: Path, name: str, content: str = "x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def names(folder: Path, after: str | None = None) -> list[str]:
    return [entry.object_id for entry in LandingFolder(folder).walk(after) if isinstance(entry, SourceObject)]


ODD = ["with space.csv", "quo'te\".csv", "ünïcode.csv", "per%cent.csv", "new\nline.csv", "..csv.csv", "glob*[a]?.csv"]


def test_odd_names_are_objects(tmp_path: Path) -> None:
    for name in ODD:
        put(tmp_path, f"day/{name}")
    assert names(tmp_path) == sorted(f"day/{name}" for name in ODD if not name.startswith("."))


def test_temporary_and_dot_files_empty_folders_and_pipes_are_no_objects(tmp_path: Path) -> None:
    for name in [".hidden", "half.tmp", ".folder/a.csv", "b.tmp/a.csv", "a.csv"]:
        put(tmp_path, name)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    assert names(tmp_path) == ["a.csv"]


def test_an_empty_file_is_an_object(tmp_path: Path) -> None:
    put(tmp_path, "empty.csv", "")
    [entry] = LandingFolder(tmp_path).walk()
    assert isinstance(entry, SourceObject)
    assert entry.size_bytes == 0


@pytest.mark.parametrize("target", ["/etc/hostname", "a.csv", "nowhere", "."])
def test_links_are_refused_wherever_they_lead(tmp_path: Path, target: str) -> None:
    put(tmp_path, "a.csv")
    (tmp_path / "link.csv").symlink_to(target)
    found = list(LandingFolder(tmp_path).walk())
    assert [entry.name for entry in found if isinstance(entry, Refused)] == ["link.csv"]
    assert names(tmp_path) == ["a.csv"]
    assert LandingFolder(tmp_path).current("link.csv") is None
    with pytest.raises(VersionGoneError):
        LandingFolder(tmp_path).fetch("link.csv", "1", tmp_path)


def test_a_name_that_is_not_utf8_is_refused_in_printable_form(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv")).write_text("x")
    [entry] = LandingFolder(tmp_path).walk()
    assert isinstance(entry, Refused)
    assert entry.name == "caf\\xe9.csv"
    entry.name.encode()


def test_a_path_that_is_too_long_is_refused_and_holds_up_nothing(tmp_path: Path) -> None:
    put(tmp_path, "/".join(["d" * 200] * 6) + "/a.csv")
    put(tmp_path, "a.csv")
    assert names(tmp_path) == ["a.csv"]
    (refused,) = [entry for entry in LandingFolder(tmp_path).walk() if isinstance(entry, Refused)]
    assert "longer than 1024 bytes" in refused.reason


def test_a_folder_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    assert names(tmp_path) == []
    with pytest.raises(SourceMissingError, match="does not exist"):
        LandingFolder(tmp_path / "gone").walk()
    assert issubclass(SourceMissingError, SourceError)


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a/1.csv")
    put(tmp_path, "b/1.csv")
    scandir = os.scandir

    def forbidden(path: str) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(PermissionError):
        names(tmp_path)


def test_every_write_is_a_new_version_also_with_the_old_size_and_time(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", "one")
    source = LandingFolder(tmp_path)
    before = source.current("a.csv")
    assert before is not None
    status = path.stat()
    put(tmp_path, ".fresh", "two")
    os.utime(tmp_path / ".fresh", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(tmp_path / ".fresh", path)
    after = source.current("a.csv")
    assert after is not None
    assert (after.size_bytes, after.version == before.version) == (before.size_bytes, False)
    assert [entry for entry in source.walk() if isinstance(entry, SourceObject)] == [after]


def test_fetching_is_of_the_listed_version_only(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", "one")
    source = LandingFolder(tmp_path)
    version = source.current("a.csv")
    assert version is not None
    assert source.fetch("a.csv", version.version, tmp_path / "elsewhere") == path
    path.write_text("other")
    with pytest.raises(VersionGoneError, match="overwritten"):
        source.fetch("a.csv", version.version, tmp_path)
    path.unlink()
    with pytest.raises(VersionGoneError, match="gone"):
        source.fetch("a.csv", version.version, tmp_path)


paths = st.lists(
    st.text("ab. -", min_size=1, max_size=3).map(str.strip).filter(lambda n: n not in ("", ".", "..")),
    min_size=1,
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=st.lists(paths, max_size=12), cut=st.data())
def test_walking_on_gives_the_rest_of_the_walk(
    tmp_path_factory: pytest.TempPathFactory, trees: list[list[str]], cut: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("landing")
    for parts in trees:
        try:
            put(folder, "/".join(parts))
        except (NotADirectoryError, IsADirectoryError, FileExistsError):
            continue  # a name is a file in one path and a folder in another
    whole = names(folder)
    assert whole == sorted(whole)
    assert len(whole) == len(set(whole))
    after = cut.draw(st.sampled_from([*whole, "", "a", "a/", "b/a", "zz"]))
    assert names(folder, after) == [name for name in whole if name > after]
