"""The console that commands print to."""

import json
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from rich.console import Console

from ledger.cli.console.progress import working
from ledger.cli.console.row_output import plain_value
from ledger.cli.console.terminal import TerminalConsole, echo, print_line
from ledger.reports.terminal_table import NO_TERMINAL_WIDTH, table, table_of
from ledger.storage.ledger import Ledger

__all__ = ["open_ledger", "print_json", "print_warning", "printer", "table", "table_of"]


_TELL_AFTER_S: Final = 3.0
Color = Literal["auto", "always", "never"]


def printer(*, stderr: bool = False, color: Color = "auto") -> Console:
    """Return the console to print to. Output that is not a terminal is not wrapped at 80 columns."""
    is_terminal = TerminalConsole(stderr=stderr).is_terminal
    return TerminalConsole(
        stderr=stderr,
        width=None if is_terminal else NO_TERMINAL_WIDTH,
        no_color=True if color == "never" else False if color == "always" else None,
        color_system="standard" if color == "always" else "auto",
        force_terminal=True if color == "always" else None,
    )


def print_json(content: Mapping[str, object] | Sequence[object]) -> None:
    """Print a JSON object, or a list of them, for another program to read."""
    echo(json.dumps(content, indent=2, default=plain_value))


def open_ledger(file: Path) -> Ledger:
    """Open a ledger, showing that this goes on where it takes long. Raises LedgerError."""
    with working(f"reading {file.name}"):
        ledger = Ledger.open(file)
    print_warning(ledger)
    return ledger


@contextmanager
def telling_of_wait(file: Path) -> Generator[None]:
    """Say, where opening a ledger takes long, what it may wait for."""
    line = f"compile-ledger: {file}: waiting for it; another process may be writing to it"
    timer = threading.Timer(_TELL_AFTER_S, print_line, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def print_warning(ledger: Ledger) -> None:
    """Print on stderr if a ledger could not be opened in the usual way."""
    if ledger.warning:
        print_line(f"compile-ledger: {ledger.warning}")
