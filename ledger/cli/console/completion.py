"""What a shell completes with the tabulator key: names of sessions, saved queries and formats.

It reads the ledger as it lies there: it neither collects journals nor waits for a lock, and where it can't
read, there is nothing to complete.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import typer

from ledger.errors import LedgerError
from ledger.formatting import one_line
from ledger.storage.ledger_files import SQLITE_HEADER, refuse_no_file

_SESSIONS: Final = """
    SELECT s.session, s.label, s.outcome FROM sessions s JOIN projected_sessions p USING (session)
    ORDER BY s.started_at DESC, p.last_event_id DESC LIMIT 200
"""
_FILE_PARAMETERS: Final = ("file", "ledger")
_LOCK_WAIT_S: Final = 0.1


def sessions(context: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield labels and ids of the sessions of the ledger that the command line names, newest first."""
    # Before an option's value is typed, the arguments ahead of it are not assigned yet.
    files = [*filter(None, map(context.params.get, _FILE_PARAMETERS)), *context.args]
    return _starting_with(incomplete, _sessions(Path(str(files[0])))) if files else iter(())


def queries(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the names of the saved queries, each with its question."""
    # Options name these functions, and most command lines complete nothing.
    from ledger.storage.queries import query_title, saved_queries

    return _starting_with(
        incomplete, ((name, query_title(text)) for name, text in sorted(saved_queries().items()))
    )


def lake_queries(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the names of the queries that a lake answers, each with its question."""
    from ledger.fleet.queries import fleet_queries
    from ledger.storage.queries import query_title, saved_queries

    known = {**fleet_queries(), **saved_queries()}
    return _starting_with(incomplete, ((name, query_title(text)) for name, text in sorted(known.items())))


def fleet_engines(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the names of the installed engines that a lake can be asked with."""
    from ledger.fleet.engines import engine_names

    return _starting_with(incomplete, ((name, "") for name in engine_names()))


def export_formats(incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield the formats that sessions can be exported in."""
    from ledger.interchange.exporters import formats
    from ledger.interchange.folder_exporters import folder_formats

    return _starting_with(incomplete, ((name, "") for name in [*formats(), *folder_formats()]))


def _starting_with(incomplete: str, choices: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((choice, about) for choice, about in choices if choice.startswith(incomplete))


def _sessions(file: Path) -> Iterator[tuple[str, str]]:
    # A shell prints what it completes, and the help beside it.
    rows = [(one_line(one), label and one_line(label), outcome) for one, label, outcome in _rows(file)]
    labels = {label: outcome for _, label, outcome in reversed(rows) if label}
    for label in dict.fromkeys(label for _, label, _ in rows if label):
        yield label, labels[label]
    for session, label, outcome in rows:
        yield session, f"{label}, {outcome}" if label else outcome


def _rows(file: Path) -> list[tuple[str, str | None, str]]:
    try:
        refuse_no_file(file)
        with file.open("rb") as opened:
            if opened.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                return []
        uri = f"file:{quote(str(file.absolute()))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_LOCK_WAIT_S)) as connection:
            return connection.execute(_SESSIONS).fetchall()
    except (LedgerError, OSError, sqlite3.Error):
        return []
