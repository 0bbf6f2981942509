"""Keeps the bytes of what could not be loaded beside the reason."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from platform_shared.ledger import Message, Outbox, Outcome


def set_aside(folder: Path, feed: str, source: Path, object_id: str, version: str, reason: str, now: datetime) -> Path:
    """Copies the file to `folder/<feed>/`, writes `<name>.reason.json` beside it, and returns the copy's path.

    The original stays where it is: input is never moved or deleted. A repeated call changes nothing.
    """
    target = folder / feed / f"{quote(object_id, safe='')}@{version}"
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, fresh)
    fresh.replace(target)
    note = {"feed": feed, "object": object_id, "version": version, "reason": reason, "set_aside_at": now.isoformat()}
    target.with_name(f"{target.name}.reason.json").write_text(json.dumps(note, indent=2, ensure_ascii=False) + "\n")
    return target


def quarantine(
    folder: Path, outbox: Outbox, feed: str, owner: str, landing: Path, unit: Outcome, now: datetime
) -> None:
    """Sets one unit aside and leaves one message for `owner`, once a version.

    The bytes can be gone by now (the sensor ends a unit whose tries are used up); the message says so then.
    """
    reason = unit.reason or "no reason given"
    try:
        kept = set_aside(folder, feed, landing / unit.object_id, unit.object_id, unit.version, reason, now)
        where = f"Its bytes are kept as {kept.name} in the quarantine folder of {feed}."
    except FileNotFoundError:
        where = "The file is gone from the landing folder, so its bytes could not be kept."
    outbox.put(
        Message(
            key=f"quarantine/{feed}/{unit.object_id}/{unit.version}",
            route=owner,
            subject=f"{feed}: {unit.object_id} is set aside",
            body=f"{reason}\n{where} Deliver a corrected file under the same name; it is picked up by itself.",
        ),
        now,
    )
