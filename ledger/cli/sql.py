"""The command `sql`: runs a read-only query, or a saved one, and prints a table, JSON or CSV."""

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from ledger.cli.console import completion
from ledger.cli.console.options import NoPager
from ledger.cli.console.pager import paged
from ledger.cli.console.printing import open_ledger, print_json, table_of
from ledger.errors import InvalidQuery
from ledger.storage.queries import query_title, saved_queries, saved_query

Rows: TypeAlias = Sequence[Mapping[str, object]]


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
        Format, typer.Option("--format", "-f", help="How to print the rows.")
    ] = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    no_pager: NoPager = False,
) -> None:
    """Run a query on a ledger; without a query, list the saved ones.

    Example: compile-ledger sql startup.db "SELECT role, activity, total_s FROM role_totals"
    """
    if query is not None and name is not None:
        raise InvalidQuery("a query and --query NAME were both given; give one of them")
    with open_ledger(file) as ledger:
        if query is None and name is None:
            saved = saved_queries().items()
            rows: Rows = [{"--query": one, "question": query_title(text)} for one, text in saved]
        else:
            text = saved_query(name) if name is not None else query or ""
            rows = ledger.sql(sys.stdin.read() if text == "-" else text)
    _print(rows, Format.JSON if as_json else output_format, is_paged=not no_pager)


def _print(rows: Rows, output_format: Format, *, is_paged: bool) -> None:
    if output_format is Format.JSON:
        print_json(rows)
    elif output_format is Format.CSV:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if rows:
            writer.writerow(rows[0])
        writer.writerows(row.values() for row in rows)
        typer.echo(text.getvalue(), nl=False)
    elif rows:
        with paged(is_wanted=is_paged) as console:
            console.print(table_of(rows))
    else:
        typer.echo("no rows")
