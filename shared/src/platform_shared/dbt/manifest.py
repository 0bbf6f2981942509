"""The dbt manifest: prepared once, checked by hash when a location loads, never parsed at load.

As a program: `python -m platform_shared.dbt.manifest DBT_PROJECT` prepares it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from platform_shared.dbt.executable import dbt_executable

MANIFEST = Path("target", "manifest.json")
_INPUTS = Path("target", "manifest.inputs.json")
_NOT_INPUTS = {"target", "logs", "dbt_packages"}


class StaleManifestError(RuntimeError):
    """The manifest is not of the project's present files; the message says which changed and what to run."""


class DbtParseError(RuntimeError):
    """dbt cannot parse the project; the message is dbt's."""


def prepare(project: Path) -> None:
    """Parses the project and puts the manifest, with the hashes of what it was made from, in place at once.

    Raises DbtParseError; the manifest that was there stays then.
    """
    inputs = input_hashes(project)
    (project / "target").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=project / "target", prefix=".prepare-") as scratch:
        command = [dbt_executable(), "--quiet", "--no-use-colors", "parse", "--no-partial-parse"]
        command += ["--project-dir", str(project), "--profiles-dir", str(project)]
        command += ["--target-path", scratch, "--log-path", scratch]
        environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise DbtParseError(f"dbt cannot parse {project.name}:\n{(done.stdout + done.stderr).strip()}")
        (Path(scratch) / _INPUTS.name).write_text(json.dumps(inputs, indent=1, sort_keys=True))
        for name in ("partial_parse.msgpack", MANIFEST.name, _INPUTS.name):
            if (Path(scratch) / name).exists():
                shutil.move(Path(scratch) / name, project / "target" / name)


def prepare_if_stale(project: Path) -> bool:
    """Prepares the manifest unless it is of the present files; whether it did."""
    try:
        checked_manifest(project)
    except StaleManifestError:
        prepare(project)
        return True
    return False


def checked_manifest(project: Path) -> Path:
    """Path of the manifest, if it is of the project's present files. Raises StaleManifestError otherwise."""
    remedy = "Run `make manifest` (`make setup` and `make dev` do it too)."
    try:
        recorded = json.loads((project / _INPUTS).read_text())
    except FileNotFoundError:
        raise StaleManifestError(f"The dbt project {project.name} has no prepared manifest. {remedy}") from None
    present = input_hashes(project)
    changed = sorted(name for name in recorded.keys() | present.keys() if recorded.get(name) != present.get(name))
    if changed or not (project / MANIFEST).exists():
        names = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise StaleManifestError(f"The dbt manifest of {project.name} is stale: {names} changed since. {remedy}")
    return project / MANIFEST


def input_hashes(project: Path) -> dict[str, str]:
    """SHA-256 of every file that dbt may read, by its path in the project."""
    hashes = {}
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(f for f in folders if f not in _NOT_INPUTS and not f.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in {".sql", ".yml", ".yaml", ".csv", ".md", ".py"} and not name.startswith("."):
                hashes[path.relative_to(project).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]).resolve())
    except DbtParseError as error:
        sys.exit(str(error))
