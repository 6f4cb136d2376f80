"""The command `doctor`: checks what would be recorded in this environment."""

import typer
from rich.console import Console

from ledger import doctor as examination
from ledger.cli.console.printing import printer, table

FAILED_CHECK = 1


def doctor() -> None:
    """Check what would be recorded in this environment. Exits with code 1 if a check fails.

    Example: compile-ledger doctor
    """
    with Console(stderr=True).status("examining"):
        checks = examination.examine()
    rows = [["ok" if check.is_good else "BAD", check.name, check.found] for check in checks]
    printer().print(table(["", "check", "found"], rows))
    if not all(check.is_good for check in checks):
        raise typer.Exit(FAILED_CHECK)
