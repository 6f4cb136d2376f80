"""The command `archive`: moves old sessions out of a ledger into a folder."""

from pathlib import Path
from typing import Annotated, Final

import typer

from ledger.cli.console.folder_export import event_count, export_showing
from ledger.cli.console.printing import open_ledger
from ledger.cli.console.progress import reading, working
from ledger.cli.console.terminal import echo
from ledger.errors import LedgerNotWritable
from ledger.formatting import counted
from ledger.interchange import archiving
from ledger.interchange.folder_exporters import the_folder_exporter

FORMAT: Final = "parquet"
_SOME_REFUSED: Final = 1


def archive(
    file: Annotated[Path, typer.Argument(help="The ledger.")],
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="AGE", help="Sessions that ended longer ago: 90d, 12h or 2w, for example."
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="LAKE", help="The folder: a path, or a URL as s3://…")
    ],
) -> None:
    """Move old sessions out of a ledger into a folder of Parquet files.

    Example: compile-ledger archive startup.db --older-than 90d -o lake/

    The sessions are exported, read back and compared event by event. Only then the ledger is replaced, in one
    step, by one without them. It may be interrupted at any moment, and done again. Sessions whose processes
    run stay. `compile-ledger restore` brings one back.
    """
    age = archiving.age_of(older_than)
    exporter = the_folder_exporter(FORMAT)
    with open_ledger(file) as ledger:
        if ledger.file is None:
            raise LedgerNotWritable(f"{file}: can't be written to, so that nothing can be moved out of it")
        found = archiving.candidates(ledger, age)
        for session in found.live:
            echo(f"stays: {session}: its processes run, or its journals wait to be collected", err=True)
        if found.undated:
            echo(f"stays: {counted(found.undated, 'session')} of which the date is not known", err=True)
        if not found.sessions:
            echo(f"{file}: no session is older than {older_than}")
            return
        done = export_showing(ledger, found.sessions, exporter, output)
        sessions = [session for session in found.sessions if session not in done.refused]
        with reading("comparing", event_count(ledger, sessions)) as progress:
            counts = archiving.check_archived(ledger, sessions, exporter, output, progress)
        before = file.stat().st_size
        with working(f"writing {file.name} without them"):
            archiving.remove_archived(ledger, counts)
    echo(
        f"{counted(len(sessions), 'session')} moved to {output}; {file} has {file.stat().st_size:,} bytes "
        f"instead of {before:,}"
    )
    if done.refused:
        raise typer.Exit(_SOME_REFUSED)
