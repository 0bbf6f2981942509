"""Makes of a packed or oddly written file one that DuckDB reads right, or says why it cannot be read.

DuckDB takes a gzip or zstd stream that was cut off for its beginning, without a word, and tears rows at carriage
returns that meet the edge of a buffer (both tried with 1.5.5). So gzip is unpacked here, zstd is checked for its end,
and texts with carriage returns are rewritten.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from platform_shared.ingestion.reading.shapes import ReadLimits

_CHUNK = 1024**2

NEWLINE, RETURN, INVALID = "\U000ffffe", "\U000fffff", "\U0010ffff"
"""Noncharacters that stand in a rewritten text for a line end and a carriage return inside of quotes, and for bytes
that are not UTF-8."""


class UnreadableError(Exception):
    """The object cannot be read; the message says where and why, to follow the object's name."""


def packing(object_id: str) -> str:
    """`gzip`, `zstd` or `none`, by the end of the name."""
    lower = object_id.lower()
    return "gzip" if lower.endswith(".gz") else "zstd" if lower.endswith(".zst") else "none"


def check_size(size: int, packed: int, limits: ReadLimits) -> None:
    """Raises UnreadableError for an unpacked size that is over the limits."""
    if size > limits.max_object_bytes:
        raise UnreadableError(f"more than {limits.max_object_bytes} bytes unpacked; send it in parts")
    if size > limits.free_expansion_bytes and size > packed * limits.max_expansion:
        raise UnreadableError(
            f"{packed} bytes unpack to more than {limits.max_expansion} times as much: it looks like a compression bomb"
        )


def unpack_gzip(path: Path, target: Path, limits: ReadLimits) -> None:
    """Unpacks all members. Raises UnreadableError for a damaged or cut-off file, and before it gets too large."""
    packed = path.stat().st_size
    size = 0
    try:
        with gzip.open(path) as source, target.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                check_size(size, packed, limits)
                sink.write(chunk)
    except EOFError:
        raise UnreadableError("the gzip stream ends early: the file is cut off; send it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableError(f"not readable as gzip ({error}); send it again") from None
    if not packed:
        raise UnreadableError("the file is empty (0 bytes); expected a gzip stream")


def check_zstd(path: Path, limits: ReadLimits) -> None:
    """Walks over the frames and blocks without unpacking them. Raises UnreadableError.

    Blocks do not tell their unpacked size; each counts as the most it can hold.
    """
    packed = path.stat().st_size
    if not packed:
        raise UnreadableError("the file is empty (0 bytes); expected a zstd stream")
    size = 0
    with path.open("rb") as file:
        while file.tell() < packed:
            size += _zstd_frame(file, packed)
            check_size(size, packed, limits)


def _zstd_frame(file: BinaryIO, end: int) -> int:
    """Skips one frame (RFC 8878, section 3); returns how much it unpacks to at most."""
    magic = int.from_bytes(_exactly(file, 4), "little")
    if magic & 0xFFFFFFF0 == 0x184D2A50:
        _skip(file, int.from_bytes(_exactly(file, 4), "little"), end)
        return 0
    if magic != 0xFD2FB528:
        raise UnreadableError("not readable as zstd (no frame where one must begin); send it again")
    descriptor = _exactly(file, 1)[0]
    single, checksum = descriptor >> 5 & 1, descriptor >> 2 & 1
    _exactly(file, (1 - single) + (0, 1, 2, 4)[descriptor & 3])
    width = (single, 2, 4, 8)[descriptor >> 6]
    declared = int.from_bytes(_exactly(file, width), "little") + (256 if width == 2 else 0)
    most = 0
    while True:
        block = int.from_bytes(_exactly(file, 3), "little")
        kind, length = block >> 1 & 3, block >> 3
        most += 128 * 1024 if kind == 2 else length
        _skip(file, 1 if kind == 1 else length, end)
        if block & 1:
            break
    _skip(file, 4 * checksum, end)
    return declared if width else most


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise UnreadableError("the zstd stream ends early: the file is cut off; send it again")
    return data


def _skip(file: BinaryIO, length: int, end: int) -> None:
    if file.tell() + length > end:
        raise UnreadableError("the zstd stream ends early: the file is cut off; send it again")
    file.seek(length, 1)


def has_returns(path: Path) -> bool:
    """Whether there is a carriage return anywhere."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            if b"\r" in chunk:
                return True
    return False


def rewrite_lines(path: Path, target: Path, limits: ReadLimits, delimiter: str | None) -> None:
    """Writes the text with one record a line, `\\n` at its end, in valid UTF-8.

    With a delimiter the text is CSV: line ends inside of quotes become NEWLINE and RETURN, and belong to their record.
    Raises UnreadableError for a record or line that is longer than the limit.
    """
    join = _quoted_joiner(delimiter, limits) if delimiter else _plain_lines
    with path.open("rb") as source, target.open("w", encoding="utf-8", newline="") as sink:
        for piece in join(_texts(source)):
            sink.write(piece)


def first_long_line(path: Path, limit: int) -> int | None:
    """The number, from 1, of the first line longer than `limit` bytes."""
    with path.open("rb") as file:
        number = 1
        while line := file.readline(limit + 2):
            if len(line.rstrip(b"\r\n")) > limit:
                return number
            number += 1
    return None


def _mark_invalid(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return INVALID, error.end


codecs.register_error("platform.mark", _mark_invalid)


def _texts(source: BinaryIO) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("platform.mark")
    held = ""
    while True:
        chunk = source.read(_CHUNK)
        text = held + decoder.decode(chunk, final=not chunk)
        if not text.isascii():
            # Such characters mean nothing in any text; here they would mean something else.
            text = text.replace(NEWLINE, INVALID).replace(RETURN, INVALID)
        if not chunk:
            yield text
            return
        # A pair of carriage return and line feed stays together.
        held = "\r" if text.endswith("\r") else ""
        yield text.removesuffix("\r") if held else text


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _plain_lines(texts: Iterator[str]) -> Iterator[str]:
    return map(_unix, texts)


def _quoted_joiner(delimiter: str, limits: ReadLimits) -> Callable[[Iterator[str]], Iterator[str]]:
    # The quote comes first in the pattern: `re` looks for it fast, and back to what is before it afterwards.
    start = rf'"(?<![^\n\r{re.escape(delimiter)}]")'
    # What follows must not be a quote: the text may end in the middle of a doubled one.
    quoted = re.compile(rf'{start}[^"]*(?:""[^"]*)*"(?!")')
    opening = re.compile(start)

    def marked(match: re.Match[str] | str) -> str:
        text = match if isinstance(match, str) else match[0]
        return text.replace("\r", RETURN).replace("\n", NEWLINE)

    def join(texts: Iterator[str]) -> Iterator[str]:
        rest, line = "", 1
        for text in texts:
            rest += text
            done = 0
            pieces = []
            # At the very end, a quote may be the first half of a doubled one.
            while (begin := opening.search(rest, done)) and (match := quoted.match(rest, begin.start())):
                if match.end() == len(rest):
                    break
                pieces += [_unix(rest[done : match.start()]), marked(match)]
                done = match.end()
            stop = begin.start() if begin else max(done, rest.rfind("\n") + 1)
            pieces.append(_unix(rest[done:stop]))
            piece = "".join(pieces)
            line += piece.count("\n") + piece.count(NEWLINE)
            yield piece
            rest = rest[stop:]
            if len(rest) > limits.max_line_bytes:
                what = "the quoted field that begins here" if begin else "the line"
                raise UnreadableError(
                    f"line {line}: {what} does not end within {limits.max_line_bytes} bytes; "
                    "close the quote, or double it where it is part of a value"
                )
        yield _last(rest, quoted, marked)

    return join


def _last(rest: str, quoted: re.Pattern[str], marked: Callable[[str], str]) -> str:
    """What is left at the end: a closed field, a last line, or a field that is never closed."""
    if quoted.match(rest) is None and rest.startswith('"'):
        # A line end at the very end is the file's, not the field's.
        body = rest.rstrip("\r\n")
        return marked(body) + "\n"
    match = quoted.match(rest)
    return marked(match[0]) + _unix(rest[match.end() :]) if match else _unix(rest)
