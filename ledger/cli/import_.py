"""The command `import`: reads exported sessions, logs and traces into a ledger."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from ledger.cli.console.progress import reading
from ledger.interchange import importers
from ledger.storage import projections
from ledger.storage.store import Store

_SESSIONS_SHOWN: Final = 3


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE …", help="Exported sessions (jsonl), vLLM logs and TORCH_TRACE folders, in any mix."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="LEDGER", help="The ledger to import into; created if missing."
        ),
    ] = Path("startup.db"),
    unchecked: Annotated[
        bool,
        typer.Option(
            "--unchecked",
            help="Accept exported sessions that were cut or edited, and copies of journals.",
        ),
    ] = False,
) -> None:
    """Import sessions, logs or traces into a ledger. Importing a file twice changes nothing.

    Example: compile-ledger import vllm.log -o startup.db

    Example: compile-ledger import startup.jsonl -o startup.db
    """
    # All files are recognised and checked before anything is written.
    chosen = [(file, importers.importer_of(file, is_checked=not unchecked)) for file in files]
    for file, importer in chosen:
        if isinstance(importer, importers.LinesImporter):
            with reading(f"checking {file.name}", importer.size(file)) as progress:
                importer.check(file, progress)
    store = Store.open(output)
    try:
        for file, importer in chosen:
            with reading(file.name or str(file), importer.size(file)) as progress:
                done = importers.import_into(store, file, importer, progress)
            typer.echo(_summary(file, done))
        with Console(stderr=True).status("reducing") as status:
            projections.bring_up_to_date(store, lambda session: status.update(Text(f"reducing {session}")))
    finally:
        store.close()


def _summary(file: Path, done: importers.Imported) -> str:
    parts = [f"{done.events} new events", f"{done.duplicates} already in the ledger"]
    if done.conflicting:
        parts.append(
            f"{done.conflicting} left out (another version read them differently: import into a new ledger)"
        )
    parts.append(f"{done.unread} unreadable lines" + (" (see rejected_lines)" if done.unread else ""))
    sessions = ", ".join(done.sessions) or "no session"
    if len(done.sessions) > _SESSIONS_SHOWN:
        sessions = f"{len(done.sessions)} sessions, {done.sessions[0]} to {done.sessions[-1]}"
    return f"{file}: {done.importer}: {sessions}: {', '.join(parts)}"
