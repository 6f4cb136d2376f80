"""Merges ledgers: what one has of events, rejected lines and waiting journals is added to another.

SQLite copies the rows from file to file, in steps that are each one transaction: done again, a merge that was
killed goes on where it was, and memory does not grow with the ledgers.
"""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ledger.errors import LedgerError, LedgerMissing, NotALedger
from ledger.events.rows import EventRow
from ledger.recording.journal import journal_folder
from ledger.storage.collector import collect
from ledger.storage.ledger_files import SQLITE_HEADER, refuse_no_file
from ledger.storage.store import Store, sqlite_errors_translated
from ledger_birth.journal_writer import FOLDER_SUFFIX

_IDS_A_STEP: Final = 50_000
_COLUMNS: Final = EventRow._fields
_KEY: Final = ("session", "process", "seq")
_IN_STEP: Final = "s.id > ? AND s.id <= ?"
_SAME_KEY: Final = " AND ".join(f"e.{name} = s.{name}" for name in _KEY)
# The time on the wall is derived, and may be known to one of the two only.
_SAME_CONTENT: Final = " AND ".join(
    f"e.{name} IS s.{name}" for name in _COLUMNS if name not in (*_KEY, "wall_ns")
)
_CONFLICTING: Final = f"""
    SELECT {", ".join(f"s.{name}" for name in _COLUMNS)}
    FROM source.events s JOIN main.events e ON {_SAME_KEY}
    WHERE {_IN_STEP} AND NOT ({_SAME_CONTENT})
    ORDER BY s.id
"""
_COPY: Final = f"""
    INSERT INTO main.events ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS)} FROM source.events s
    WHERE {_IN_STEP} AND NOT EXISTS (SELECT 1 FROM main.events e WHERE {_SAME_KEY})
    ORDER BY s.id
"""
_COPY_REJECTED: Final = """
    INSERT OR IGNORE INTO main.rejected_lines (file, line, reason, text)
    SELECT file, line, reason, text FROM source.rejected_lines ORDER BY id
"""


class Merged(NamedTuple):
    """What a merge did."""

    events: int = 0
    """New ones."""
    duplicates: int = 0
    """Events that were there already, with the same content."""
    conflicting: tuple[EventRow, ...] = ()
    """Events under whose key there is another event: refused."""
    rejected: int = 0
    """New lines that are no event."""

    def plus(self, other: "Merged") -> "Merged":
        """Return the sum of two merges."""
        return Merged(
            self.events + other.events,
            self.duplicates + other.duplicates,
            self.conflicting + other.conflicting,
            self.rejected + other.rejected,
        )


def ledgers_in(paths: list[Path]) -> list[Path]:
    """Return the ledgers among files and in folders, those included that are journals alone so far.

    Raises LedgerMissing where a path is not there, or a folder has no ledger.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [each for each in sorted(path.rglob("*")) if _is_ledger(each)]
            alone = [
                each.with_name(each.name.removesuffix(FOLDER_SUFFIX))
                for each in sorted(path.rglob(f"*{FOLDER_SUFFIX}"))
            ]
            if not inside and not alone:
                raise LedgerMissing(f"{path}: there is no ledger in this folder")
            found += [*inside, *alone]
        elif path.exists() or journal_folder(path).is_dir():
            refuse_no_file(path)
            found.append(path)
        else:
            raise LedgerMissing(f"{path}: there is no ledger here")
    return list(dict.fromkeys(found))


def merge(store: Store, source: Path, progress: Callable[[int], None] | None = None) -> Merged:
    """Add to a store what the ledger at a path has, and its journals; both stay as they are.

    `progress` is called with numbers of events that were looked at. Raises LedgerError.
    """
    merged = Merged()
    if source.exists():
        with attached(store, source):
            last_id = int(str(store.select("SELECT coalesce(max(id), 0) FROM source.events")[0][0]))
            for first_id in range(0, last_id, _IDS_A_STEP):
                merged = merged.plus(_copied(store, first_id, first_id + _IDS_A_STEP))
                if progress:
                    progress(min(_IDS_A_STEP, last_id - first_id))
            with store.transaction():
                rejected = store.connection.execute(_COPY_REJECTED).rowcount
            merged = merged.plus(Merged(rejected=rejected))
    waiting = collect(store, journal_folder(source), remove=False)
    return merged.plus(Merged(waiting.events, waiting.duplicates, rejected=waiting.rejected))


def number_of_events(source: Path) -> int:
    """Return how many events the ledger at a path has, its journals aside. Raises LedgerError."""
    if not source.exists():
        return 0
    store = Store.open_to_read(source)
    try:
        return int(str(store.select("SELECT coalesce(max(id), 0) FROM events")[0][0]))
    finally:
        store.close()


def _copied(store: Store, after_id: int, last_id: int) -> Merged:
    with store.transaction():
        step = (after_id, last_id)
        conflicting = [EventRow._make(row) for row in store.connection.execute(_CONFLICTING, step)]
        copied = store.connection.execute(_COPY, step).rowcount
        [(number,)] = store.connection.execute(f"SELECT count(*) FROM source.events s WHERE {_IN_STEP}", step)
    return Merged(copied, number - copied - len(conflicting), tuple(conflicting))


@contextmanager
def attached(store: Store, source: Path) -> Generator[None]:
    """Let statements of a store name another ledger's tables with `source.`, to read them."""
    if store.path is not None and os.path.samefile(store.path, source):
        raise LedgerError(f"{source}: is what is merged into; name another file with -o")
    Store.open_to_read(source).close()  # raises where it is no ledger, or a newer one
    with sqlite_errors_translated(source):
        store.connection.execute("ATTACH ? AS source", [f"{source.absolute().as_uri()}?mode=ro"])
        try:
            yield
        finally:
            store.connection.execute("DETACH source")


def _is_ledger(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            if file.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                return False
        Store.open_to_read(path).close()
    except (OSError, NotALedger):
        return False
    return True
