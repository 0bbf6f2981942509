"""`python -m platform_shared.ingestion.reconcile_now MODULE FEED`: a feed's reconcile job, in this process.

Run by `platform reconcile` with the interpreter of the location that has the feed. Prints what was compared as JSON;
exits with 0 if all agrees, 1 if not, 2 if the comparison itself failed.
"""

import importlib
import json
import sys
from typing import Any

import dagster as dg

from platform_shared.ingestion.feed_check import reconcile_job


def main(module: str, feed: str) -> int:
    """Runs the job on the instance of DAGSTER_HOME, so that the check in the UI has the result too."""
    defs: Any = importlib.import_module(module).defs
    definitions: dg.Definitions = defs if isinstance(defs, dg.Definitions) else defs()
    with dg.DagsterInstance.get() as instance:
        job = definitions.resolve_job_def(reconcile_job(feed))
        # A person waits for the answer: nobody is to try it again behind their back.
        result = job.execute_in_process(instance=instance, raise_on_error=False, tags={"dagster/max_retries": "0"})
    for evaluation in result.get_asset_check_evaluations():
        found = {name: value.value for name, value in evaluation.metadata.items()}
        found["differences"] = [] if evaluation.passed else str(found["differences"]).removeprefix("- ").split("\n- ")
        print(json.dumps(found))
        return 0 if evaluation.passed else 1
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
