"""Exports sessions into folders that keep those of many ledgers, in the formats of installed adapters."""

import importlib.metadata
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from ledger.errors import LedgerError
from ledger.events.rows import EventRow
from ledger.interchange.importers import store_of
from ledger.storage.ledger import Ledger

ENTRY_POINTS: Final = "compile_ledger.folder_exporters"
"""Entry point group. An adapter registers, by a format's name, a function that returns a `FolderExporter`."""


class FolderWritten(NamedTuple):
    """What an export into a folder did."""

    written: int
    """Sessions that are new there, or were there with fewer events."""
    unchanged: int
    """Sessions that were there already, with the same events."""
    events: int
    """Of the sessions that were written."""
    refused: tuple[str, ...]
    """Sessions of which the folder has events that the ledger has not: they stay as they are there."""


class FolderExporter(Protocol):
    """Keeps sessions of many ledgers in one folder. A session is there whole, or not at all."""

    def write(
        self, ledger: Path, sessions: Sequence[str], folder: str, progress: Callable[[int], None]
    ) -> FolderWritten:
        """Bring sessions of a ledger's file into a folder, in memory of a constant size.

        The ledger's projections are current. A call that was killed is done again with the same result.
        `folder` is a path or a URL; `progress` is called with numbers of events. Raises LedgerError.
        """
        ...

    def find(self, folder: str, name: str) -> str:
        """Return the id of the folder's session of that id, or of the only one whose id begins so.

        Raises UnknownSession, or LedgerError where there is no such folder.
        """
        ...

    def events(self, folder: str, sessions: Sequence[str]) -> Iterator[tuple[str, Iterator[EventRow]]]:
        """Yield sessions in the folder's order, each with its events by process and seq.

        A session's events are read to the end before the next one is asked for. Raises UnknownSession, and,
        after the last event of a session at the latest, LedgerError where they are not as they were written.
        """
        ...

    def check(self, folder: str, sessions: Sequence[str]) -> None:
        """Read all that the folder has of these sessions. Raises LedgerError where it is not as written."""
        ...


def folder_formats() -> list[str]:
    """Return the names of the formats that are folders."""
    return sorted(entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINTS))


def folder_exporter_of(name: str) -> FolderExporter | None:
    """Return the exporter of a format that is a folder; None for all others."""
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            return entry.load()()
    return None


def the_folder_exporter(name: str) -> FolderExporter:
    """Return the exporter of a format that must be installed. Raises LedgerError."""
    found = folder_exporter_of(name)
    if found is None:
        raise LedgerError(f"the format {name!r} is not installed; available: {', '.join(folder_formats())}")
    return found


def export_to_folder(
    ledger: Ledger,
    sessions: Sequence[str],
    exporter: FolderExporter,
    folder: str,
    *,
    redact: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> FolderWritten:
    """Bring sessions into a folder; with `redact`, without hosts, users, paths, secrets.

    Raises LedgerError.
    """
    if ledger.file is not None and not redact:
        return exporter.write(ledger.file, sessions, folder, progress)
    with tempfile.TemporaryDirectory(prefix="compile-ledger-") as place:
        copy = Path(place) / "copy.db"
        if redact:
            ids: dict[str, None] = {}  # an id may contain a user or a host as well
            events = ledger.redacted(*sessions)
            store_of((event for event in events if ids.setdefault(event.session) is None), copy).close()
            sessions = list(ids)
        else:
            ledger.write_copy(copy)
        return exporter.write(copy, sessions, folder, progress)
