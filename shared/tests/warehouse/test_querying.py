"""`platform sql`: one SELECT over the lake, and nothing else."""

import pytest

from platform_shared.postgres import stop_embedded
from platform_shared.settings import Home
from platform_shared.warehouse import TableName, Warehouse, create_table, replace_objects, write_parquet
from platform_shared.warehouse.querying import RefusedQueryError, query


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("home"))
    warehouse = Warehouse.of(home)
    table = TableName("marts", "daily_sales")
    with warehouse.connect() as connection:
        create_table(warehouse, connection, table, {"store_id": "BIGINT", "_source_object": "VARCHAR"})
        rows = "SELECT range AS store_id, 'a' AS _source_object FROM range(3)"
        written = write_parquet(warehouse, connection, table, "b", rows)
        replace_objects(warehouse, connection, table, ["a"], written, message="m", details={})
    yield warehouse
    stop_embedded(home)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*), sum(store_id) FROM marts.daily_sales", [(3, 3)]),
        ("SELECT count(*) FROM lake.marts.daily_sales", [(3,)]),
        ("WITH s AS (SELECT 1 AS x) SELECT x FROM s", [(1,)]),
        ("SELECT d.store_id FROM marts.daily_sales d JOIN range(1) r ON d.store_id = r.range", [(0,)]),
        ("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'", [("daily_sales",)]),
        ("SELECT ';' AS x; ", [(";",)]),
    ],
)
def test_questions_are_answered(warehouse, sql, rows):
    assert query(warehouse, sql)[1] == rows


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM marts.daily_sales",
        "CREATE TABLE marts.x (a int)",
        "DROP TABLE marts.daily_sales",
        "COPY marts.daily_sales TO '/tmp/x.csv'",
        "ATTACH '/tmp/x.db'",
        "INSTALL spatial",
        "SET memory_limit = '1TB'",
        "CALL ducklake_expire_snapshots('lake')",
        "SELECT 1; DELETE FROM marts.daily_sales",
        "SELECT 1; SELECT 2",
        "SELECT * FROM '/etc/passwd'",
        'SELECT * FROM "x.parquet"',
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT (SELECT content FROM read_text('/etc/passwd'))",
        "WITH s AS (SELECT * FROM glob('/*')) SELECT * FROM s",
        "SELECT * FROM 'https://127.0.0.1/x.parquet'",
        "SELECT * FROM postgres_query('__ducklake_metadata_lake', 'SELECT 1')",
        "SELECT * FROM postgres_scan('', 'dagster', 'runs')",
        "SELECT * FROM __ducklake_metadata_lake.platform.units",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM marts.daily_sales WHERE store_id IN (SELECT 1 FROM query_table('x'))",
        "SELECT getenv('PGPASSWORD')",
        "SELECT current_setting('secret_directory')",
        "SELEC 1",
        "",
    ],
)
def test_all_else_is_refused(warehouse, sql):
    with pytest.raises(RefusedQueryError):
        query(warehouse, sql)
    assert query(warehouse, "SELECT count(*) FROM marts.daily_sales")[1] == [(3,)]


def test_a_file_of_the_lake_itself_cannot_be_named(warehouse):
    with pytest.raises(RefusedQueryError, match="names a file"):
        query(warehouse, f"SELECT * FROM '{warehouse.data_path}**/*.parquet'")


def test_an_unknown_table_is_an_error_that_names_it(warehouse):
    with pytest.raises(Exception, match="nothing_here"):
        query(warehouse, "SELECT * FROM marts.nothing_here")
