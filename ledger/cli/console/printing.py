"""The console that commands print to."""

from typing import Final

from rich.console import Console
from rich.text import Text

from ledger.reports.terminal_table import table, table_of
from ledger.storage.ledger import Ledger

__all__ = ["print_warning", "printer", "table", "table_of"]

_NO_TERMINAL_WIDTH: Final = 1_000


def printer(*, stderr: bool = False) -> Console:
    """Return the console to print to. Output that is not a terminal is not wrapped at 80 columns."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_NO_TERMINAL_WIDTH)


def print_warning(ledger: Ledger) -> None:
    """Print on stderr if a ledger could not be opened in the usual way."""
    if ledger.warning:
        Console(stderr=True, soft_wrap=True).print(Text(f"compile-ledger: {ledger.warning}"))
