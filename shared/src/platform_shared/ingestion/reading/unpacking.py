"""Makes of a packed or oddly written file one that DuckDB reads right, or says why it cannot be read.

DuckDB takes a gzip or zstd stream that was cut off for its beginning, without a word, and tears rows at carriage
returns that meet the edge of a buffer (both tried with 1.5.5). So both are unpacked here, and texts with carriage
returns are rewritten.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from backports import zstd

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


def unpack(path: Path, target: Path, packed_as: str, limits: ReadLimits) -> None:
    """Unpacks all members or frames of a gzip or zstd file. Raises UnreadableError for a damaged or cut-off one, and
    before the result gets too large."""
    packed = path.stat().st_size
    if not packed:
        raise UnreadableError(f"the file is empty (0 bytes); expected a {packed_as} stream")
    opened = gzip.open if packed_as == "gzip" else zstd.open
    size = 0
    try:
        with opened(path, "rb") as source, target.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                check_size(size, packed, limits)
                sink.write(chunk)
    except EOFError:
        raise UnreadableError(f"the {packed_as} stream ends early: the file is cut off; send it again") from None
    except (gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
        raise UnreadableError(f"not readable as {packed_as} ({error}); send it again") from None


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
