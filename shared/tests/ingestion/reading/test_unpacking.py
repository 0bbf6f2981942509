"""Rewriting a text does not depend on where it is cut into chunks."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from platform_shared.ingestion.reading import ReadLimits, unpacking
from platform_shared.ingestion.reading.unpacking import INVALID, NEWLINE, RETURN, UnreadableError

TEXTS = {
    "line ends": (b"a,b\r\nc\rd\n\r\n\re", "a,b\nc\nd\n\n\ne"),
    "quotes": (
        b'"a\r\nb",c\r\nd,"e""\n"",\n"\r\nf"g,"h"\n"i"j\n',
        f'"a{RETURN}{NEWLINE}b",c\nd,"e""{NEWLINE}"",{NEWLINE}"\nf"g,"h"\n"i"j\n',
    ),
    "doubled at the edge": (b'"a""\n""b"\n"c""",""\n', f'"a""{NEWLINE}""b"\n"c""",""\n'),
    "never closed": (b'a\n"b\nc\n', f'a\n"b{NEWLINE}c\n'),
    "not UTF-8": ("é".encode() + b"\xe9\n\xf0\x9f\x98\x80\xff", f"é{INVALID}\n😀{INVALID}"),
    "marks": (f"{NEWLINE}{RETURN}{INVALID}".encode(), INVALID * 3),
}


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 11, 1000])
@pytest.mark.parametrize("name", TEXTS)
def test_chunks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, chunk: int) -> None:
    content, expected = TEXTS[name]
    monkeypatch.setattr(unpacking, "_CHUNK", chunk)
    (tmp_path / "a").write_bytes(content)
    unpacking.rewrite_lines(tmp_path / "a", tmp_path / "b", ReadLimits(), ",")
    assert (tmp_path / "b").read_bytes().decode() == expected
    assert unpacking.has_returns(tmp_path / "a") is (b"\r" in content)


def test_without_a_delimiter_quotes_mean_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'"a\r\nb"\n')
    unpacking.rewrite_lines(tmp_path / "a", tmp_path / "b", ReadLimits(), None)
    assert (tmp_path / "b").read_bytes() == b'"a\nb"\n'


@pytest.mark.parametrize("chunk", [10, 1000])
def test_a_field_that_does_not_end_is_told_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chunk: int
) -> None:
    monkeypatch.setattr(unpacking, "_CHUNK", chunk)
    (tmp_path / "a").write_bytes(b'a\r\n"b\nc"\n\n"d' + b"\ne" * 1000)
    with pytest.raises(
        UnreadableError, match="line 5: the quoted field that begins here does not end within 100 bytes"
    ):
        unpacking.rewrite_lines(tmp_path / "a", tmp_path / "b", ReadLimits(max_line_bytes=100), ",")


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"", None), (b"12345\n", None), (b"123456\n", 1), (b"1\n\n123456", 3), (b"12345\r\n12345", None)],
)
def test_the_first_long_line(tmp_path: Path, content: bytes, line: int | None) -> None:
    (tmp_path / "a").write_bytes(content)
    assert unpacking.first_long_line(tmp_path / "a", 5) == line


@pytest.mark.parametrize(("packed_as", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_a_bomb_is_not_unpacked_to_its_end(tmp_path: Path, packed_as: str, compress: Callable[[bytes], bytes]) -> None:
    (tmp_path / "a").write_bytes(compress(bytes(30_000_000)))
    limits = ReadLimits(free_expansion_bytes=1_000_000, max_expansion=10)
    with pytest.raises(UnreadableError, match="compression bomb"):
        unpacking.unpack(tmp_path / "a", tmp_path / "b", packed_as, limits)
    assert (tmp_path / "b").stat().st_size < 3_000_000


@pytest.mark.parametrize("seed", range(300))
def test_chunks_of_any_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int) -> None:
    """A text that is read in one chunk is right by the tests of reading."""
    choose = random.Random(seed)
    text = "".join(choose.choices('"",\n\rax', k=choose.randrange(40)))
    (tmp_path / "a").write_bytes(text.encode())
    found = set()
    for chunk in (1000, 1, 2, 3, 4, 5):
        monkeypatch.setattr(unpacking, "_CHUNK", chunk)
        unpacking.rewrite_lines(tmp_path / "a", tmp_path / "b", ReadLimits(), ",")
        found.add((tmp_path / "b").read_bytes())
    assert len(found) == 1
