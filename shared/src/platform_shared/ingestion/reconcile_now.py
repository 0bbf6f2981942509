"""`python -m platform_shared.ingestion.reconcile_now MODULE FEED`: a feed's reconcile job, in this process.

Run by `platform reconcile` with the interpreter of the location that has the feed. Prints the check's metadata as JSON;
exits with 0 if all agrees, 1 if not, 2 if the comparison itself failed.
"""

import importlib
import json
import sys

import dagster as dg

from platform_shared.ingestion.feed_check import reconcile_job


def main(module: str, feed: str) -> int:
    """Runs the job on the instance of DAGSTER_HOME, so that the check in the UI has the result too."""
    definitions: dg.Definitions = importlib.import_module(module).defs()
    with dg.DagsterInstance.get() as instance:
        job = definitions.resolve_job_def(reconcile_job(feed))
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    for evaluation in result.get_asset_check_evaluations():
        print(json.dumps({name: value.value for name, value in evaluation.metadata.items()}))
        return 0 if evaluation.passed else 1
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
