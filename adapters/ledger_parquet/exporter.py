"""Brings sessions into a lake and gives them back, as the entry point names it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from ledger import LedgerError, LedgerNotWritable, UnknownSession
from ledger.adapters import EventRow, FolderExporter, FolderWritten
from ledger_parquet.digest import ComparableEvents, EventsDigest
from ledger_parquet.lake import Lake
from ledger_parquet.ledger_tables import LedgerTables
from ledger_parquet.leftovers import remove_leftovers
from ledger_parquet.manifest import Manifest, PartSession
from ledger_parquet.part_reader import TableReader
from ledger_parquet.part_writer import sha256_of
from ledger_parquet.tables import EVENTS
from ledger_parquet.writing import drop_duplicates, write_sessions

_NAMED: Final = 5


class ParquetExporter:
    """Keeps sessions in a lake."""

    def write(
        self, ledger: Path, sessions: Sequence[str], folder: str, progress: Callable[[int], None]
    ) -> FolderWritten:
        """Bring sessions of a ledger's file into a lake; those that are there already stay.

        Raises LedgerError.
        """
        with _errors_translated(folder), closing(LedgerTables(ledger)) as tables:
            lake = Lake.open_if_there(folder)
            if lake.duplicates():
                drop_duplicates(lake, tables.versions())
                lake = Lake.open_if_there(folder)
            done = write_sessions(tables, sessions, lake, progress)
            # Somebody else may have brought the same sessions in meanwhile.
            lake = Lake.open_if_there(folder)
            drop_duplicates(lake, tables.versions())
            remove_leftovers(lake.filesystem, lake.root)
        return FolderWritten(done.written, done.unchanged, done.events, done.refused)

    def find(self, folder: str, name: str) -> str:
        """Return the id of the session of that id, or of the only one whose id begins so.

        Raises UnknownSession.
        """
        sessions = [each.session for each in Lake.open(folder).sessions()]
        found = [each for each in sessions if each == name] or [
            each for each in sessions if each.startswith(name)
        ]
        if len(found) != 1:
            some = ", ".join(sorted(found or sessions)[-_NAMED:])
            problem = "several sessions begin with" if found else "no session"
            raise UnknownSession(f"{folder}: {problem} {name!r}; the last ones are {some}")
        return found[0]

    def events(self, folder: str, sessions: Sequence[str]) -> Iterator[tuple[str, Iterator[EventRow]]]:
        """Yield sessions, each with its events by process and seq. Raises UnknownSession, LedgerError.

        After the last event of a session all were as they were written, or LedgerError is raised.
        """
        lake = Lake.open(folder)
        for part, of_part in _by_part(lake, sessions):
            with _errors_translated(folder), closing(_reader(lake, part, of_part)) as reader:
                for there in of_part:
                    yield there.session, _event_rows(folder, there, reader)

    def check(self, folder: str, sessions: Sequence[str]) -> None:
        """Read every file of these sessions, and raise LedgerError where one is not as it was written."""
        lake = Lake.open(folder)
        with _errors_translated(folder):
            for part, _ in _by_part(lake, sessions):
                for table, file in part.files.items():
                    path = lake.checked_path(part, table)
                    if sha256_of(path, lake.filesystem) != file.sha256:
                        raise LedgerError(f"{path}: damaged; export its sessions again")


def exporter() -> FolderExporter:
    """Return the exporter, for the entry point."""
    return ParquetExporter()


def _by_part(lake: Lake, sessions: Sequence[str]) -> Iterator[tuple[Manifest, list[PartSession]]]:
    """Yield the parts that have these sessions, each with those of them that it has, by id."""
    wanted = set(sessions)
    found = [(part, [each for each in part.sessions if each.session in wanted]) for part in lake.parts]
    if missing := wanted - {each.session for _, of_part in found for each in of_part}:
        raise UnknownSession(f"{lake.url}: no session {min(missing)!r}")
    yield from ((part, of_part) for part, of_part in found if of_part)


def _reader(lake: Lake, part: Manifest, of_part: Sequence[PartSession]) -> TableReader:
    return TableReader(lake, part, EVENTS, [each.session for each in of_part])


def _event_rows(folder: str, there: PartSession, reader: TableReader) -> Iterator[EventRow]:
    digest = EventsDigest()
    for batch in reader.take(there.session):
        digest.add(ComparableEvents(batch), 0, batch.num_rows)
        columns: list[list[Any]] = [batch.column(name).to_pylist() for name in EventRow._fields]
        yield from map(EventRow._make, zip(*columns, strict=True))
    if digest.hexdigest() != there.digest:
        raise LedgerError(f"{folder}: session {there.session} is not as it was written; export it again")


@contextmanager
def _errors_translated(folder: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0] or type(error).__name__
        raise LedgerNotWritable(f"{folder}: can't be read or written: {reason}") from error
