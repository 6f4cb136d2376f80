"""The command `verify`: checks a ledger's integrity."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json
from ledger.cli.console.standard_streams import reader_may_leave
from ledger.cli.console.terminal import TerminalConsole, echo, print_line
from ledger.storage import verification

FAILED_CHECK = 1


def verify(file: Annotated[Path, typer.Argument(help="The ledger.")], as_json: AsJson = False) -> None:
    """Check that a ledger is whole and that its numbers follow from it.

    Its pages, triggers, numbering, journals and derived tables. Exits with code 1 on a fault.

    Example: compile-ledger verify startup.db
    """
    with TerminalConsole(stderr=True).status("verifying"):
        findings = verification.verify(file)
    is_good = not any(finding.is_fault for finding in findings)
    with reader_may_leave():
        if as_json:
            print_json({"is_good": is_good, "findings": [finding._asdict() for finding in findings]})
        else:
            _print(file, findings, is_good=is_good)
    if not is_good:
        raise typer.Exit(FAILED_CHECK)


def _print(file: Path, findings: Sequence[verification.Finding], *, is_good: bool) -> None:
    for finding in findings:
        kind = "FAULT" if finding.is_fault else "note"
        print_line(f"{kind} {finding.what}: {finding.detail}", stderr=False)
    if is_good:
        echo(f"{file}: no fault found")
