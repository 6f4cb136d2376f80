"""The command `collect`: moves recorded events from journals into a ledger."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json, telling_of_wait
from ledger.cli.console.progress import reading
from ledger.cli.console.terminal import echo, print_line
from ledger.errors import LedgerError, LedgerMissing
from ledger.recording.journal import journal_folder, journals, size_of
from ledger.storage import collector, projections
from ledger.storage.store import Store


def collect(
    path: Annotated[Path, typer.Argument(help="A ledger, or a folder of journals.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The ledger to collect into; journals are then kept."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Move events from the processes' journals into the ledger.

    Example: compile-ledger collect startup.db

    Example: compile-ledger collect /shared/runs -o all.db
    """
    if os.path.isdir(path):  # which, unlike Path.is_dir, raises nothing
        if output is None:
            raise LedgerError(f"{path}: is a folder; name the ledger to collect into with -o")
        folders = [path, *sorted(path.glob("**/*.journal"))]
    else:
        folders = [journal_folder(path)]
        if not os.path.exists(path) and not os.path.exists(folders[0]):
            raise LedgerMissing(f"{path}: there is no ledger here, and no journals waiting for one")
    with telling_of_wait(output or path):
        store = Store.open(output or path)
    total = collector.Collected()
    try:
        waiting = (size_of(journal) for folder in folders for journal in journals(folder))
        with reading("collecting", sum(waiting)) as progress:
            for folder in folders:
                total = total.plus(collector.collect(store, folder, remove=output is None, progress=progress))
        projections.bring_up_to_date(store)
    finally:
        store.close()
    if as_json:
        print_json({"ledger": str(output or path), **total._asdict()})
        return
    for line in total.passed_over:
        print_line(f"compile-ledger: {line}")
    if total.is_waiting:
        echo("another process is already collecting; some journals may still be waiting")
    echo(
        f"{total.events} new events, {total.duplicates} already in the ledger, "
        f"{total.rejected} rejected lines; {total.removed} journals finished, {total.left} left"
    )
