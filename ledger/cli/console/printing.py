"""Where commands print to: the terminal, or what takes its place."""

from typing import Final

from rich.console import Console
from rich.text import Text

from ledger.reports.terminal_table import table, table_of
from ledger.storage.ledger import Ledger

__all__ = ["print_warning", "printer", "table", "table_of"]

_NO_TERMINAL_WIDTH: Final = 1_000


def printer(*, stderr: bool = False) -> Console:
    """Return the console to print to. What is read by a program is not folded at a terminal's width."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_NO_TERMINAL_WIDTH)


def print_warning(ledger: Ledger) -> None:
    """Say on stderr how a ledger was opened, where that is not as usual."""
    if ledger.warning:
        Console(stderr=True, soft_wrap=True).print(Text(f"compile-ledger: {ledger.warning}"))
