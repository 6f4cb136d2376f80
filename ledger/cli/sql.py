"""The command `sql`: runs a read-only query, or a saved one, and prints a table, JSON or CSV."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from ledger.cli.console import completion
from ledger.cli.console.options import NoPager
from ledger.cli.console.printing import open_ledger
from ledger.cli.console.query_output import FORMAT_HELP, Format, Rows, print_rows
from ledger.errors import InvalidQuery
from ledger.storage.queries import query_title, saved_queries, saved_query

_PATIENCE_S: Final = 60.0


def sql(
    file: Annotated[Path, typer.Argument(help="The ledger.")],
    query: Annotated[
        str | None, typer.Argument(help="One SELECT statement; - reads it from standard input.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--query", "-q", help="The name of a saved query.", autocompletion=completion.queries),
    ] = None,
    output_format: Annotated[Format, typer.Option("--format", "-f", help=FORMAT_HELP)] = Format.TABLE,
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
        print_rows(rows, chosen, is_paged=not no_pager)
