"""`platform sql`: a question to the warehouse."""

import argparse

HELP = 'ask the warehouse, e.g. `platform sql "SELECT * FROM marts.daily_sales LIMIT 5"` (read-only)'


def configure(parser: argparse.ArgumentParser) -> None:
    """The query, and how the answer looks."""
    parser.add_argument("query", help="one SELECT statement")
    parser.add_argument("--format", choices=["table", "csv", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    """Prints the rows; a query that is refused or fails is one clear line. Writers are not disturbed."""
    import sys

    import duckdb

    from platform_shared.cli.formats import write_rows
    from platform_shared.cli.homes import current_home
    from platform_shared.cli.main import CommandError
    from platform_shared.warehouse import Warehouse
    from platform_shared.warehouse.querying import RefusedQueryError, query

    try:
        names, rows = query(Warehouse.of(current_home()), arguments.query)
    except (RefusedQueryError, duckdb.Error) as error:
        raise CommandError(str(error)) from None
    write_rows(sys.stdout, names, rows, arguments.format)
    return 0
