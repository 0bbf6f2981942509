"""Keeps the bytes of what could not be loaded beside the reason, and words the message to the owner."""

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from platform_shared.files import write_atomically
from platform_shared.ledger import Message, Outcome


def set_aside(folder: Path, feed: str, source: Path, object_id: str, version: str, reason: str, now: datetime) -> Path:
    """Copies the file to `folder/<feed>/`, writes `<name>.reason.json` beside it, and returns the copy's path.

    The copy is named by a hash of object and version, whatever characters and length the object's name has; the note
    names both. The original stays where it is: input is never moved or deleted. A repeated call changes nothing.
    """
    name = hashlib.sha256(f"{object_id}\0{version}".encode()).hexdigest()[:24]
    target = folder / feed / name
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{name}.tmp")
    shutil.copyfile(source, fresh)
    fresh.replace(target)
    note = {"feed": feed, "object": object_id, "version": version, "reason": reason, "set_aside_at": now.isoformat()}
    write_atomically(target.with_name(f"{name}.reason.json"), json.dumps(note, indent=2, ensure_ascii=False) + "\n")
    return target


def quarantined(folder: Path, feed: str, owner: str, landing: Path, unit: Outcome, now: datetime) -> Outcome:
    """Sets one unit aside as well as can be; the outcome with the message for `owner`, which the ledger stores with it.

    The bytes may be gone or unreadable by now: that is said in the message, and holds up nothing.
    """
    reason = unit.reason or "no reason given"
    try:
        kept = set_aside(folder, feed, landing / unit.object_id, unit.object_id, unit.version, reason, now)
        where = f"Its bytes are kept as {kept.name} in the quarantine folder of {feed}."
    except OSError as error:
        where = f"Its bytes could not be kept ({error.strerror or type(error).__name__})."
    message = Message(
        key=f"quarantine/{feed}/{unit.object_id}/{unit.version}",
        route=owner,
        subject=f"{feed}: {unit.object_id} is set aside",
        body=f"{reason}\n{where} Deliver a corrected file under the same name; it is picked up by itself. "
        "To try the same file again, touch it.",
    )
    return replace(unit, message=message)
