"""SQL that converts a text to a declared type, and says whether anything was lost on the way.

DuckDB's casts round what does not fit: '1.005' becomes 1.01 as DECIMAL(12,2), '1.5' becomes 2 as BIGINT, a date forgets
its time of day and a TIMESTAMP its offset. Here such a text does not convert.
"""

import re

from platform_shared.warehouse.sql import literal

_INTEGERS = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")} | {
    "INTEGER",
    "UINTEGER",
}
_DECIMAL = re.compile(r"DECIMAL\(\d+,(\d+)\)")
_INTEGER = r"\s*[+-]?[0-9]+(\.0*)?\s*"
_DATE = r"\s*[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}([T ]00:00(:00(\.0*)?)?Z?)?\s*"
_NANOSECONDS = r"\.[0-9]{6}[0-9]*[1-9]"
_OFFSET = r".*[0-9][Tt ].*([+-]|[A-Za-z]{2}).*"
# A timestamp to the minute has 16 characters, one to the microsecond 26.


def is_text(type_: str) -> bool:
    """Whether any text is a value of this type."""
    return type_ == "VARCHAR"


def is_nested(type_: str) -> bool:
    """Whether values of this type have parts."""
    return type_ == "JSON" or type_.endswith("]") or type_.startswith(("STRUCT", "MAP", "UNION"))


def is_exact(type_: str) -> bool:
    """Whether each digit of a value of this type counts."""
    return type_ in _INTEGERS or _DECIMAL.fullmatch(type_) is not None


def convert(text: str, type_: str) -> str:
    """SQL for the value of the SQL expression `text`, NULL where it is none of `type_` (as DuckDB spells it)."""
    if is_text(type_):
        return text
    if is_nested(type_) and type_ != "JSON":
        return f"TRY_CAST(TRY_CAST({text} AS JSON) AS {type_})"
    return f"TRY_CAST({text} AS {type_})"


def is_lost(text: str, value: str, type_: str) -> str:
    """SQL that is true where `value`, the conversion of `text`, is not all that the text says."""
    if is_text(type_):
        return "false"
    failed = f"({value} IS NULL AND {text} IS NOT NULL)"
    changed = _changed(text, value, type_)
    return f"({failed} OR {changed})" if changed else failed


def _changed(text: str, value: str, type_: str) -> str | None:
    """Mostly a value that is written back is the text; the slow look is for the others."""
    if type_ in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        changed = [f"NOT isfinite({value})", _if_longer(text, 26, f"regexp_matches({text}, {literal(_NANOSECONDS)})")]
        if type_ == "TIMESTAMP":
            changed.append(_if_longer(text, 16, f"regexp_full_match({text}, {literal(_OFFSET)})"))
        return f"({' OR '.join(changed)})"
    if type_ in _INTEGERS:
        pattern = _INTEGER
    elif type_ == "DATE":
        pattern = _DATE
    elif decimal := _DECIMAL.fullmatch(type_):
        scale = int(decimal[1])
        pattern = rf"\s*[+-]?([0-9]+(\.[0-9]{{0,{scale}}}0*)?|\.[0-9]{{1,{max(scale, 1)}}}0*)\s*"
    else:
        return None
    matches = f"regexp_full_match({text}, {literal(pattern)})"
    return f"CASE WHEN CAST({value} AS VARCHAR) = {text} THEN false ELSE NOT {matches} END"


def _if_longer(text: str, length: int, condition: str) -> str:
    return f"CASE WHEN length({text}) > {length} THEN {condition} ELSE false END"
