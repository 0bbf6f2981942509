"""Keeps the bytes of what could not be loaded beside the reason, and words the message to the owner."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from platform_shared.files import write_atomically
from platform_shared.ledger import Message, Outcome, UnitState

_NAMED_IN_A_MESSAGE = 20


def kept_name(object_id: str, version: str) -> str:
    """The name under which the bytes of a version are kept: a hash, whatever characters and length the object's has."""
    return hashlib.sha256(f"{object_id}\0{version}".encode()).hexdigest()[:24]


def set_aside(folder: Path, feed: str, source: Path, unit: Outcome, now: datetime) -> Path:
    """Copies the file to `folder/<feed>/`, writes `<name>.reason.json` beside it, and returns the copy's path.

    The note names object and version. The original stays where it is: input is never moved or deleted. A repeated call
    changes nothing.
    """
    name = kept_name(unit.object_id, unit.version)
    target = folder / feed / name
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{name}.tmp")
    try:
        shutil.copyfile(source, fresh)
        fresh.replace(target)
    finally:
        # Half of a copy would only make a full disk fuller.
        fresh.unlink(missing_ok=True)
    note = {
        "feed": feed,
        "object": unit.object_id,
        "version": unit.version,
        "reason": unit.reason,
        "set_aside_at": now.isoformat(),
    }
    write_atomically(target.with_name(f"{name}.reason.json"), json.dumps(note, indent=2, ensure_ascii=False) + "\n")
    return target


def quarantine_message(feed: str, owner: str, ended: Sequence[Outcome], now: datetime) -> Message | None:
    """One message about all units of a batch that were set aside at `now`; None if none was. Set aside again after a
    replay, they are told of again."""
    units = sorted(
        (unit for unit in ended if unit.state is UnitState.QUARANTINED), key=lambda u: (u.object_id, u.version)
    )
    if not units:
        return None
    named = [now.isoformat(), *((unit.object_id, unit.version) for unit in units)]
    digest = hashlib.sha256(repr(named).encode()).hexdigest()[:24]
    what = units[0].object_id if len(units) == 1 else f"{len(units)} objects"
    lines = [f"- {unit.reason} (kept as {kept_name(unit.object_id, unit.version)})" for unit in units]
    if len(lines) > _NAMED_IN_A_MESSAGE:
        lines = [*lines[:_NAMED_IN_A_MESSAGE], f"- … and {len(lines) - _NAMED_IN_A_MESSAGE} more"]
    body = "\n".join(
        [
            *lines,
            f"What could be read of them is kept in the quarantine folder of {feed}, the reason beside it.",
            "A corrected delivery under the same name is picked up by itself. To try the same bytes again:",
            f"platform replay --feed {feed} --quarantined",
        ]
    )
    return Message(f"quarantine/{feed}/{digest}", owner, f"{feed}: {what} set aside", body)
