"""The command `import`: reads exported sessions, logs and traces into a ledger."""

import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json
from ledger.cli.console.progress import reading
from ledger.errors import LedgerError
from ledger.interchange import importers
from ledger.storage import projections
from ledger.storage.store import Store

_SESSIONS_SHOWN: Final = 3
_STANDARD_INPUT: Final = "standard input"


class _Source(NamedTuple):
    """What is imported, and what it is called."""

    path: Path
    name: str
    label: str | None

    @contextmanager
    def named(self) -> Generator[None]:
        """Call it by its name in errors, where it was copied to be read."""
        try:
            yield
        except LedgerError as error:
            raise type(error)(str(error).replace(str(self.path), self.name)) from None


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE …",
            help="Exported sessions (jsonl), vLLM logs and TORCH_TRACE folders, in any mix; "
            "- is standard input.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="LEDGER", help="The ledger to import into; created if missing."
        ),
    ] = Path("startup.db"),
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            "-l",
            help="A name by which to find the sessions of logs and traces.",
            show_default="the file's name",
        ),
    ] = None,
    unchecked: Annotated[
        bool,
        typer.Option(
            "--unchecked",
            help="Accept exported sessions that were cut or edited, and copies of journals.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import sessions, logs or traces into a ledger. Importing a file twice changes nothing.

    Example: compile-ledger import vllm.log -o startup.db

    Example: compile-ledger import startup.jsonl -o startup.db

    Example: kubectl logs --timestamps my-pod | compile-ledger import -
    """
    with ExitStack() as stack:
        sources = [_source(file, label, stack) for file in files]
        # All files are recognised and checked before anything is written.
        chosen = [(source, _importer_of(source, is_checked=not unchecked)) for source in sources]
        finished: list[dict[str, object]] = []
        store = Store.open(output)
        stack.callback(store.close)
        for source, importer in chosen:
            with source.named(), reading(_last_part(source), importer.size(source.path)) as progress:
                done = importers.import_into(
                    store, source.path, importer, progress, name=source.name, label=source.label
                )
            finished.append({"source": source.name, **done._asdict()})
            if not as_json:
                typer.echo(_summary(source, done, is_label_given=label is not None))
        with Console(stderr=True).status("reducing") as status:
            projections.bring_up_to_date(store, lambda session: status.update(Text(f"reducing {session}")))
    if as_json:
        print_json({"ledger": str(output), "imported": finished})


def _source(file: Path, label: str | None, stack: ExitStack) -> _Source:
    if str(file) != "-":
        return _Source(file, str(file), label or file.resolve().name or None)
    # Importers read twice, first for the ids that come from the content.
    copy = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "input"
    with copy.open("wb") as opened:
        shutil.copyfileobj(sys.stdin.buffer, opened)
    return _Source(copy, _STANDARD_INPUT, label)


def _importer_of(source: _Source, *, is_checked: bool) -> importers.Importer:
    with source.named():
        importer = importers.importer_of(source.path, is_checked=is_checked)
        if isinstance(importer, importers.LinesImporter):
            size = importer.size(source.path)
            with reading(f"checking {_last_part(source)}", size) as progress:
                importer.check(source.path, progress)
        return importer


def _last_part(source: _Source) -> str:
    return Path(source.name).name or source.name


def _summary(source: _Source, done: importers.Imported, *, is_label_given: bool) -> str:
    sessions = ", ".join(done.sessions)
    if not done.sessions:
        sessions = "no session: none of its lines is known to be about a start-up"
    elif len(done.sessions) > _SESSIONS_SHOWN:
        sessions = f"{len(done.sessions)} sessions, {done.sessions[0]} to {done.sessions[-1]}"
    parts = [f"{done.events} new events", f"{done.duplicates} already in the ledger"]
    if done.conflicting:
        parts.append(
            f"{done.conflicting} not included (another version read them otherwise: import into a new ledger)"
        )
    parts.append(f"{done.unread} unreadable lines" + (" (see rejected_lines)" if done.unread else ""))
    summary = [f"{source.name}: {done.importer}: {sessions}", f"  {', '.join(parts)}"]
    if is_label_given and done.kept_labels:
        labels = ", ".join("none" if label is None else f"“{label}”" for label in done.kept_labels)
        summary.append(f"  in the ledger already, and keeps its label: {labels}")
    return "\n".join(summary)
