"""The commands that look after a ledger: `collect`, `rebuild`, `verify`, `migrate`, `doctor`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ledger import doctor as examination
from ledger.cli.progress import reading
from ledger.cli.tables import printer, table
from ledger.errors import LedgerError, LedgerMissing
from ledger.recording.journal import journal_folder, journals
from ledger.storage import collector, projections, verification
from ledger.storage.store import Store

File = Annotated[Path, typer.Argument(help="The ledger.")]
FAILED_CHECK = 1


def collect(
    path: Annotated[Path, typer.Argument(help="A ledger, or a folder that holds journals.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The ledger to collect into; the journals stay.")
    ] = None,
) -> None:
    """Move what processes have recorded from their journals into the ledger.

    Example: compile-ledger collect startup.db

    Example: compile-ledger collect /shared/runs -o all.db
    """
    if path.is_dir():
        if output is None:
            raise LedgerError(f"{path}: a folder; name the ledger to collect into with -o")
        folders = [path, *sorted(path.glob("**/*.journal"))]
    else:
        folders = [journal_folder(path)]
        if not path.exists() and not folders[0].exists():
            raise LedgerMissing(f"{path}: there is no ledger here, and no journals that wait for one")
    store = Store.open(output or path)
    total = collector.Collected()
    try:
        waiting = (journal.stat().st_size for folder in folders for journal in journals(folder))
        with reading("collecting", sum(waiting)) as progress:
            for folder in folders:
                total = total.plus(collector.collect(store, folder, remove=output is None, progress=progress))
        projections.bring_up_to_date(store)
    finally:
        store.close()
    if total.is_waiting:
        typer.echo("another process is collecting already")
    typer.echo(
        f"{total.events} new events, {total.known} known ones, {total.rejected} rejected lines; "
        f"{total.removed} journals finished, {total.left} left"
    )


def rebuild(file: File) -> None:
    """Throw away all that is derived from the events, and derive it anew.

    Example: compile-ledger rebuild startup.db
    """
    store = _existing(file)
    console = Console(stderr=True)
    try:
        with console.status("reducing") as status:
            sessions = projections.rebuild(store, lambda session: status.update(f"reducing {session}"))
    finally:
        store.close()
    typer.echo(f"{len(sessions)} sessions derived anew")


def verify(file: File) -> None:
    """Check pages, triggers, numbering, journals and projections. The exit code is 1 where there is a fault.

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


def migrate(file: File) -> None:
    """Bring an older ledger to this version's schema. Everything that opens a ledger does so by itself.

    Example: compile-ledger migrate startup.db
    """
    store = _existing(file)
    try:
        typer.echo(f"{file}: schema {store.schema_version}")
    finally:
        store.close()


def doctor() -> None:
    """Say what would be recorded in this environment, and what not. Exit code 1 where something is bad.

    Example: compile-ledger doctor
    """
    with Console(stderr=True).status("examining"):
        checks = examination.examine()
    rows = [["ok" if check.is_good else "BAD", check.name, check.found] for check in checks]
    printer().print(table(["", "what", "found"], rows))
    if not all(check.is_good for check in checks):
        raise typer.Exit(FAILED_CHECK)


def _existing(file: Path) -> Store:
    if not file.exists():
        raise LedgerMissing(f"{file}: there is no ledger here; `compile-ledger record` makes one")
    return Store.open(file)
