"""The command `import`: logs and traces that exist already, into a ledger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ledger import importing, projections
from ledger.store import Store


def import_files(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE …", help="Logs of vLLM's, folders of TORCH_TRACE.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="LEDGER", help="The ledger to import into; it may exist."),
    ] = Path("startup.db"),
) -> None:
    """Read what was written without us into a ledger; the same file twice changes nothing.

    Example: compile-ledger import vllm.log -o startup.db
    """
    # All of them are looked at before anything is written.
    chosen = [(file, importing.importer_of(file)) for file in files]
    store = Store.open(output)
    try:
        for file, importer in chosen:
            done = _imported(store, file, importer)
            typer.echo(_told(file, done))
        projections.bring_up_to_date(store)
    finally:
        store.close()


def _imported(store: Store, file: Path, importer: importing.Importer) -> importing.Imported:
    columns = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(file.name, total=importer.size(file))
        return importing.import_into(store, file, importer, lambda read: progress.advance(task, read))


def _told(file: Path, done: importing.Imported) -> str:
    parts: Sequence[str] = (
        f"{done.events} new events",
        f"{done.known} known ones",
        f"{done.unread} lines that could not be read" + (": see rejected_lines" if done.unread else ""),
    )
    sessions = ", ".join(done.sessions) or "no session"
    return f"{file}: {done.importer}: {sessions}: {', '.join(parts)}"
