"""The command `sql`: runs a read-only query, or a saved one, and prints a table, JSON or CSV."""

import sys
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from ledger.cli.console import completion
from ledger.cli.console.options import NoPager
from ledger.cli.console.pager import paged
from ledger.cli.console.printing import open_ledger, table_of
from ledger.cli.console.row_output import print_csv, print_json_rows
from ledger.cli.console.terminal import echo, print_line
from ledger.errors import InvalidQuery
from ledger.storage.queries import query_title, saved_queries, saved_query

Rows: TypeAlias = Iterable[Mapping[str, object]]

_MOST_IN_TABLE: Final = 10_000
"""Rows of a table: its columns are as wide as the widest of them, so all are read before one is printed."""
_PATIENCE_S: Final = 60.0


class Format(str, Enum):
    """Output format of the rows."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def sql(
    file: Annotated[Path, typer.Argument(help="The ledger.")],
    query: Annotated[
        str | None, typer.Argument(help="One SELECT statement; - reads it from standard input.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--query", "-q", help="The name of a saved query.", autocompletion=completion.queries),
    ] = None,
    output_format: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="How to print the rows. In csv, a text that a spreadsheet would run as a formula "
            "begins with an apostrophe.",
        ),
    ] = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Give up when no row came for S seconds; 0: never.")
    ] = _PATIENCE_S,
    no_pager: NoPager = False,
) -> None:
    """Run a query on a ledger; without a query, list the saved ones.

    Example: compile-ledger sql startup.db "SELECT role, activity, total_s FROM role_totals"
    """
    if query is not None and name is not None:
        raise InvalidQuery("a query and --query NAME were both given; give one of them")
    chosen = Format.JSON if as_json else output_format
    with open_ledger(file) as ledger:
        if query is None and name is None:
            saved = saved_queries().items()
            rows: Rows = [{"--query": one, "question": query_title(text)} for one, text in saved]
        else:
            text = saved_query(name) if name is not None else query or ""
            rows = ledger.rows(sys.stdin.read() if text == "-" else text, patience_s=timeout or None)
        _print(rows, chosen, is_paged=not no_pager)


def _print(rows: Rows, output_format: Format, *, is_paged: bool) -> None:
    if output_format is Format.JSON:
        print_json_rows(rows)
        return
    if output_format is Format.CSV:
        print_csv(rows)
        return
    shown = list(islice(rows, _MOST_IN_TABLE + 1))
    if not shown:
        echo("no rows")
        return
    with paged(is_wanted=is_paged) as console:
        console.print(table_of(shown[:_MOST_IN_TABLE]))
    if len(shown) > _MOST_IN_TABLE:
        print_line(f"compile-ledger: these are the first {_MOST_IN_TABLE:,} rows; --format csv prints all")
