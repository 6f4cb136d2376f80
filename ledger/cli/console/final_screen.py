"""The screen that a recording and the watching of one end with: the session's report."""

from pathlib import Path

from rich.console import Console

from ledger.cli.console.printing import print_warning
from ledger.reports.first_screen import print_first_screen
from ledger.reports.from_ledger import read_first_screen
from ledger.storage.ledger import Ledger


def print_final_screen(ledger_file: Path, session: str, console: Console) -> None:
    """Print what `report` prints of a session. Raises LedgerError."""
    with Ledger.open(ledger_file) as ledger:
        print_warning(ledger)
        print_first_screen(read_first_screen(ledger, session), console)
