"""The command `verify`: checks a ledger's integrity."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ledger.storage import verification

FAILED_CHECK = 1


def verify(file: Annotated[Path, typer.Argument(help="The ledger.")]) -> None:
    """Check a ledger's pages, triggers, numbering, journals and projections. Exits with code 1 on a fault.

    Example: compile-ledger verify startup.db
    """
    with Console(stderr=True).status("verifying"):
        findings = verification.verify(file)
    for finding in findings:
        kind = "FAULT" if finding.is_fault else "note"
        Console(soft_wrap=True).print(Text(f"{kind} {finding.what}: {finding.detail}"))
    if any(finding.is_fault for finding in findings):
        raise typer.Exit(FAILED_CHECK)
    typer.echo(f"{file}: no fault found")
