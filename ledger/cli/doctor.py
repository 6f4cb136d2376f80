"""The command `doctor`: checks what would be recorded in this environment."""

import typer

from ledger import doctor as examination
from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json, printer, table
from ledger.cli.console.standard_streams import reader_may_leave
from ledger.cli.console.terminal import TerminalConsole

FAILED_CHECK = 1


def doctor(as_json: AsJson = False) -> None:
    """Check what would be recorded in this environment. Exits with code 1 if a check fails.

    Example: compile-ledger doctor
    """
    with TerminalConsole(stderr=True).status("examining"):
        checks = examination.examine()
    is_good = all(check.is_good for check in checks)
    with reader_may_leave():
        if as_json:
            print_json({"is_good": is_good, "checks": [check._asdict() for check in checks]})
        else:
            rows = [["ok" if check.is_good else "BAD", check.name, check.found] for check in checks]
            printer().print(table(["", "check", "found"], rows))
    if not is_good:
        raise typer.Exit(FAILED_CHECK)
