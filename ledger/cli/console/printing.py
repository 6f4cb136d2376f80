"""The console that commands print to."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import typer
from rich.console import Console
from rich.text import Text

from ledger.cli.console.progress import working
from ledger.reports.terminal_table import NO_TERMINAL_WIDTH, table, table_of
from ledger.storage.ledger import Ledger

__all__ = ["open_ledger", "print_json", "print_warning", "printer", "table", "table_of"]


Color = Literal["auto", "always", "never"]


def printer(*, stderr: bool = False, color: Color = "auto") -> Console:
    """Return the console to print to. Output that is not a terminal is not wrapped at 80 columns."""
    is_terminal = Console(stderr=stderr).is_terminal
    return Console(
        stderr=stderr,
        width=None if is_terminal else NO_TERMINAL_WIDTH,
        no_color=True if color == "never" else False if color == "always" else None,
        color_system="standard" if color == "always" else "auto",
        force_terminal=True if color == "always" else None,
    )


def print_json(content: Mapping[str, object] | Sequence[object]) -> None:
    """Print a JSON object, or a list of them, for another program to read."""
    typer.echo(json.dumps(content, indent=2))


def open_ledger(file: Path) -> Ledger:
    """Open a ledger, showing that this goes on where it takes long. Raises LedgerError."""
    with working(f"reading {file.name}"):
        ledger = Ledger.open(file)
    print_warning(ledger)
    return ledger


def print_warning(ledger: Ledger) -> None:
    """Print on stderr if a ledger could not be opened in the usual way."""
    if ledger.warning:
        Console(stderr=True, soft_wrap=True).print(Text(f"compile-ledger: {ledger.warning}"))
