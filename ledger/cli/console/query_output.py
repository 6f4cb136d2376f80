"""Prints the rows of a query: as a table, as JSON or as CSV."""

from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import islice
from typing import Final, TypeAlias

from ledger.cli.console.pager import paged
from ledger.cli.console.printing import table_of
from ledger.cli.console.row_output import print_csv, print_json_rows
from ledger.cli.console.terminal import echo, print_line

Rows: TypeAlias = Iterable[Mapping[str, object]]

_MOST_IN_TABLE: Final = 10_000
"""Rows of a table: its columns are as wide as the widest of them, so all are read before one is printed."""
FORMAT_HELP: Final = (
    "How to print the rows. In csv, a text that a spreadsheet would run as a formula "
    "begins with an apostrophe."
)


class Format(str, Enum):
    """Output format of the rows."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def print_rows(rows: Rows, output_format: Format, *, is_paged: bool) -> None:
    """Print rows; those of JSON and CSV one by one, as they come."""
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
