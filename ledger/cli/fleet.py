"""The command `fleet`: asks a lake, the Parquet files of many machines' ledgers, and prints what comes."""

import sys
from contextlib import ExitStack
from itertools import chain, islice
from typing import Annotated, Final

import typer

from ledger.cli.console import completion
from ledger.cli.console.options import NoPager
from ledger.cli.console.progress import working
from ledger.cli.console.query_output import FORMAT_HELP, Format, Rows, print_rows
from ledger.errors import InvalidQuery, LedgerError
from ledger.fleet.engines import DEFAULT, days_of
from ledger.fleet.fleet import Fleet
from ledger.fleet.queries import fleet_queries
from ledger.storage.queries import query_title, saved_queries

SERVER_VARIABLE: Final = "COMPILE_LEDGER_FLEET_SERVER"

Since = Annotated[
    str | None, typer.Option(metavar="DAY", help="Only starts from this day on, in UTC: 2026-11-28.")
]
Until = Annotated[str | None, typer.Option(metavar="DAY", help="Only starts until this day, it included.")]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        "-e",
        metavar="NAME",
        help="duckdb, clickhouse, spark, or one that an adapter brings.",
        autocompletion=completion.fleet_engines,
    ),
]
Server = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        envvar=SERVER_VARIABLE,
        help="Where the engine runs, if not in this process: ClickHouse's HTTP address, Spark's master.",
    ),
]


def fleet(
    lake: Annotated[str | None, typer.Argument(help="The folder of Parquet files: a path, s3://…")] = None,
    query: Annotated[
        str | None, typer.Argument(help="One SELECT statement; - reads it from standard input.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--query",
            "-q",
            metavar="NAME",
            help="The name of a fleet query or a saved query.",
            autocompletion=completion.lake_queries,
        ),
    ] = None,
    is_list: Annotated[bool, typer.Option("--list", help="List the queries by name.")] = False,
    engine: Engine = DEFAULT,
    server: Server = None,
    since: Since = None,
    until: Until = None,
    output_format: Annotated[Format, typer.Option("--format", "-f", help=FORMAT_HELP)] = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    no_pager: NoPager = False,
) -> None:
    """Query the ledgers of many machines; or list the saved queries.

    QUERY is SQLite's SQL, as for `compile-ledger sql`, whichever engine runs it: over the same tables,
    and over `starts`, which has a row for each session.

    Example: compile-ledger fleet lake/ --query starts_per_day

    Example: compile-ledger fleet s3://bucket/lake --since 2026-11-01 -q regressions

    Example: compile-ledger fleet lake/ "SELECT host, max(ready_ns) / 1e9 AS worst FROM starts GROUP BY host"
    """
    if query is not None and name is not None:
        raise InvalidQuery("a query and --query NAME were both given; give one of them")
    chosen = Format.JSON if as_json else output_format
    is_asked = query is not None or name is not None
    if is_list or (lake is None and not is_asked):
        print_rows(_listed(), chosen, is_paged=not no_pager)
        return
    if lake is None:
        raise LedgerError(
            "name the folder of Parquet files; `compile-ledger export --format parquet` makes it"
        )
    days = days_of(since, until)
    with ExitStack() as held:
        with working(f"opening {lake}") as now:
            opened = held.enter_context(Fleet.open(lake, engine=engine, days=days, server=server))
            now(f"asking {engine}")
            if not is_asked:
                rows = _listed()
            elif name is not None:
                rows = opened.query(name)
            else:
                rows = opened.rows(sys.stdin.read() if query == "-" else query or "")
            rows = iter(rows)
            first = list(islice(rows, 1))  # what comes before it takes the time
        print_rows(chain(first, rows), chosen, is_paged=not no_pager)


def _listed() -> Rows:
    for queries in (fleet_queries(), saved_queries()):
        for one, text in queries.items():
            yield {"--query": one, "question": query_title(text)}
