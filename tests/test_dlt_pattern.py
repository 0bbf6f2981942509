"""A dlt pipeline as assets: what `@dlt_assets` makes of it, and that loading twice does not double the rows.

dlt writes into a DuckDB file of its own here. A feed (`FileFeedComponent`) is for files and objects that
arrive; dlt is for what must be fetched from somebody's API, page by page.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import dlt
import duckdb
import pytest
from dagster_dlt import DagsterDltResource, DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

STORES = [{"store_id": 31, "city": "Cincinnati"}, {"store_id": 32, "city": "Dayton"}]


class RawTranslator(DagsterDltTranslator):
    """Keys as the rest of the workspace has them, in place of `dlt_<source>_<resource>`."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        return super().get_asset_spec(data).replace_attributes(key=dg.AssetKey(["raw", data.resource.name]), deps=[])


def store_pages(folder: Path) -> dg.AssetsDefinition:
    """As the process of a run loads it: dlt cannot run one source object twice."""

    @dlt.source
    def retailer() -> Any:
        @dlt.resource(name="stores", primary_key="store_id", write_disposition="merge")
        def pages() -> Iterator[list[dict[str, object]]]:
            yield STORES[:1]
            yield STORES[1:]

        return pages

    pipeline = dlt.pipeline(
        "stores",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "stores.duckdb")),
        dataset_name="raw",
    )

    @dlt_assets(
        dlt_source=retailer(), dlt_pipeline=pipeline, dagster_dlt_translator=RawTranslator(), name="store_pages"
    )
    def assets(context: dg.AssetExecutionContext, dlt: DagsterDltResource) -> Iterator[Any]:
        yield from dlt.run(context=context)

    return assets


def test_a_dlt_pipeline_is_an_asset_and_loads_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            assets = store_pages(tmp_path)
            assert assets.keys == {dg.AssetKey(["raw", "stores"])}
            assert dg.materialize([assets], resources={"dlt": DagsterDltResource()}, instance=instance).success
    with duckdb.connect(str(tmp_path / "stores.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT store_id, city FROM raw.stores ORDER BY 1").fetchall()
    assert rows == [(31, "Cincinnati"), (32, "Dayton")]
