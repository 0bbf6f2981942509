"""`platform why`: why an asset did, or did not, run, what it waits for, and whose that is."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from platform_shared.why.questions import Asker

HELP = "say why an asset did or did not run: what each part of its condition said, what it waits for, whose that is"


def configure(parser: argparse.ArgumentParser) -> None:
    """The asset, and how much is told."""
    parser.add_argument("asset", metavar="ASSET", help="key of the asset, such as marts/daily_sales")
    parser.add_argument("--partition", metavar="P", help="one partition of it, such as 2025-03-03")
    parser.add_argument("--last", type=int, default=5, metavar="N", help="how many evaluations (default 5)")
    parser.add_argument("--depth", type=int, default=3, metavar="N", help="how deep into the condition (default 3)")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="text (default) or json")


def run(arguments: argparse.Namespace) -> int:
    """Asks the webserver of a running `make dev` (or of PLATFORM_WEBSERVER_URL), else loads the workspace."""
    import json

    from platform_shared import clock
    from platform_shared.cli.main import CommandError
    from platform_shared.webserver import WebserverError
    from platform_shared.why.looking import look
    from platform_shared.why.reasons import similar
    from platform_shared.why.words import as_json, lines, report, unknown

    asset = tuple(part for part in arguments.asset.split("/") if part)
    if not asset or arguments.last < 1:
        raise CommandError("Name an asset, such as marts/daily_sales, and at least one evaluation (--last 1).")
    asker, skip = _asker()
    now = clock.utc_now()
    try:
        with asker as ask:
            facts = look(ask, asset, arguments.partition, arguments.last, now, skip)
    except WebserverError as error:
        raise CommandError(str(error)) from None
    if facts.who is None:
        raise CommandError(unknown(facts, similar(asset, facts.known)))
    if arguments.partition and not facts.partitioned:
        raise CommandError(f"{facts.who.name} has no partitions; leave --partition out.")
    told = report(facts, arguments.depth)
    if arguments.format == "json":
        print(json.dumps(as_json(told), indent=2, default=lambda value: value.isoformat()))
    else:
        print("\n".join(lines(told, now)))
    return 0


def _asker() -> "tuple[AbstractContextManager[Asker], list[str]]":
    """Who answers, and which assets the daemon's environment takes out of automation."""
    import sys
    from contextlib import nullcontext

    from platform_shared.cli.main import CommandError
    from platform_shared.cli.webservers import running_webserver, surroundings
    from platform_shared.dev.environment import working_folder
    from platform_shared.why.questions import Webserver, temporary_webserver
    from platform_shared.workspace.projects import WORKSPACE_YAML

    home, root, environment = surroundings()
    skip = [key for key in environment.get("DAGSTER_SKIP_DECLARATIVE_AUTOMATION_KEYS", "").split(",") if key]
    url = running_webserver()
    if url:
        return nullcontext(Webserver(url)), skip
    if not (home.dagster / "dagster.yaml").exists():
        raise CommandError(f"{home.root} is not set up; run `make setup`.")
    print("No `make dev` runs here: loading the code locations, which takes a while …", file=sys.stderr)
    return temporary_webserver(root / WORKSPACE_YAML, working_folder(root), environment), skip
