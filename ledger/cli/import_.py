"""The command `import`: reads exported sessions, logs and traces into a ledger."""

import os
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.text import Text

from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json, telling_of_wait
from ledger.cli.console.progress import reading, working
from ledger.cli.console.terminal import TerminalConsole, echo
from ledger.errors import LedgerError
from ledger.formatting import cut
from ledger.interchange import importers
from ledger.interchange.unwrapping import unwrapped
from ledger.storage import projections
from ledger.storage.store import Store

_SESSIONS_SHOWN: Final = 3
_TEXT_SHOWN: Final = 120
_SERVICES_SHOWN: Final = 5
_STANDARD_INPUT: Final = "standard input"


class _Source(NamedTuple):
    """A log, trace or session that is imported, and what it is called."""

    path: Path
    name: str
    label: str | None
    importer: importers.Importer

    @contextmanager
    def named(self) -> Generator[None]:
        """Call it by its name in errors, where it was unwrapped to be read."""
        with _named(self.path, self.name):
            yield


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE …",
            help="Exported sessions (jsonl), logs of vLLM, SGLang and torch, results of vllm bench startup, "
            "TORCH_TRACE folders, in any mix; - is standard input.",
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
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # All files are recognised and checked before anything is written.
        sources: list[_Source] = []
        left_out: dict[str, list[str]] = {}
        for file in files:
            found, others = _sources(file, label, folder, is_checked=not unchecked)
            sources += found
            if others:
                left_out[_name_of(file)] = others
        finished: list[dict[str, object]] = []
        with telling_of_wait(output):
            store = Store.open(output)
        stack.callback(store.close)
        for source in sources:
            importer = source.importer
            with source.named(), reading(_last_part(source.name), importer.size(source.path)) as progress:
                done = importers.import_into(
                    store, source.path, importer, progress, name=source.name, label=source.label
                )
            first_unread = [line._asdict() for line in done.first_unread]
            finished.append({"source": source.name, **done._asdict(), "first_unread": first_unread})
            if not as_json:
                echo(_summary(source, done, is_label_given=label is not None))
        if not as_json:
            for name, services in left_out.items():
                echo(_summary_of_left_out(name, services))
        with TerminalConsole(stderr=True).status("reducing") as status:
            projections.bring_up_to_date(store, lambda session: status.update(Text(f"reducing {session}")))
    if as_json:
        print_json({"ledger": str(output), "imported": finished, "left_out": left_out})


def _name_of(file: Path) -> str:
    return _STANDARD_INPUT if str(file) == "-" else str(file)


def _sources(
    file: Path, label: str | None, folder: Path, *, is_checked: bool
) -> tuple[list[_Source], list[str]]:
    """Return what is in a file, a log for each service that wrote to it, and the services without one."""
    is_stream = str(file) == "-"
    name = _name_of(file)
    with working(f"unwrapping {_last_part(name)}"):
        parts = unwrapped(sys.stdin.buffer if is_stream else file, name, folder)
    own_label = label if is_stream else label or os.path.basename(os.path.realpath(file)) or None
    with _named([part.path for part in parts], name):
        as_it_is = None if is_stream else file
        chosen = importers.importers_of(parts, folder, as_it_is, is_checked=is_checked)
    sources: list[_Source] = []
    for part, importer in chosen:
        service = part.service
        source = _Source(
            part.path,
            name if service is None else f"{name} ({service})",
            own_label if service is None else f"{own_label} {service}" if own_label else service,
            importer,
        )
        if isinstance(importer, importers.LinesImporter):
            size = importer.size(source.path)
            with source.named(), reading(f"checking {_last_part(name)}", size) as progress:
                importer.check(source.path, progress)
        sources.append(source)
    read = {part.service for part, _ in chosen}
    return sources, [part.service for part in parts if part.service and part.service not in read]


@contextmanager
def _named(paths: Path | Sequence[Path], name: str) -> Generator[None]:
    try:
        yield
    except LedgerError as error:
        text = str(error)
        for path in [paths] if isinstance(paths, Path) else paths:
            text = text.replace(f"{path}-plain", name).replace(str(path), name)
        raise type(error)(text) from None


def _last_part(name: str) -> str:
    return Path(name).name or name


def _summary_of_left_out(name: str, services: Sequence[str]) -> str:
    shown = ", ".join(services[:_SERVICES_SHOWN])
    more = f" and {len(services) - _SERVICES_SHOWN:,} more" if len(services) > _SERVICES_SHOWN else ""
    return f"{name}: left out, with no line that is known: {shown}{more}"


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
    summary += [
        f"  line {line.line}: {line.reason}: {cut(line.text, _TEXT_SHOWN)}" for line in done.first_unread
    ]
    if is_label_given and done.kept_labels:
        labels = ", ".join("none" if label is None else f"“{label}”" for label in done.kept_labels)
        summary.append(f"  in the ledger already, and keeps its label: {labels}")
    return "\n".join(summary)
