"""Takes whole sessions out of a ledger, by writing another without them and putting that in its place.

Events are append-only: none is ever deleted from a ledger. A copy is made beside it, without the sessions,
and checked. Then its pages replace those of the ledger in one transaction of SQLite's: whoever has the file
open goes on with what is in it then, and a process that is killed leaves the one or the other. (A file that
was renamed over an open one would lose what its other users write, or be damaged by their journal.)
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from ledger.errors import LedgerDamaged, LedgerLocked
from ledger.events.rows import EventRow
from ledger.storage import verification
from ledger.storage.merging import attached
from ledger.storage.schema_docs import schema
from ledger.storage.sqlite_errors import sqlite_errors_translated
from ledger.storage.store import Store
from ledger_migrations.migrations import protect_events

_UNFINISHED: Final = ".{name}.archive-"
_TRIGGERS: Final = ("events_no_update", "events_no_delete", "events_no_replace")
_SAME: Final = " AND ".join(f"e.{name} IS s.{name}" for name in EventRow._fields)


def remove_sessions(path: Path, counts: Mapping[str, int]) -> None:
    """Replace a ledger by one without some of its sessions, each given with the number of its events.

    Raises LedgerLocked where a session has another number, or where somebody writes to the ledger meanwhile,
    and LedgerError; it then stays as it is.
    """
    _remove_abandoned(path)
    with closing(Store.open_existing(path)) as store:
        before = _data_version(store)
        _refuse_changed(store, counts)
        unfinished = path.with_name(f"{_UNFINISHED.format(name=path.name)}{os.getpid()}")
        try:
            _write_without(store, unfinished, list(counts))
            _check(path, unfinished, list(counts))
            _replace_content(store, unfinished, before)
        finally:
            unfinished.unlink(missing_ok=True)


def _refuse_changed(store: Store, counts: Mapping[str, int]) -> None:
    for session, count in counts.items():
        [(found,)] = store.select("SELECT count(*) FROM events WHERE session = ?", [session])
        if found != count:
            raise LedgerLocked(
                f"{store.path}: session {session} had {count} events, and has {found} by now; archive again"
            )


def _write_without(store: Store, unfinished: Path, sessions: Sequence[str]) -> None:
    """Write a copy, and take the sessions out of that."""
    with closing(Store.open(unfinished)) as copy, sqlite_errors_translated(unfinished):
        store.connection.backup(copy.connection)
        # What is lost with a copy that nobody has seen yet is made again.
        copy.connection.execute("PRAGMA synchronous = off")
        with copy.transaction():
            copy.connection.execute("CREATE TEMP TABLE archived (session TEXT PRIMARY KEY) WITHOUT ROWID")
            copy.connection.executemany("INSERT INTO archived VALUES (?)", [(one,) for one in sessions])
            for trigger in _TRIGGERS:
                copy.connection.execute(f"DROP TRIGGER {trigger}")
            for table in _tables_of_sessions(copy):
                copy.connection.execute(
                    f"DELETE FROM {table} WHERE session IN (SELECT session FROM archived)"
                )
            protect_events(copy.db)
        copy.connection.execute("VACUUM")


def _tables_of_sessions(store: Store) -> list[str]:
    """Return our tables whose rows belong to a session: also what the ledger keeps for its own upkeep."""
    named = [name for name, relation in schema().items() if "session" in relation.columns]
    tables = {str(name) for (name,) in store.select("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return [name for name in named if name in tables]


def _check(path: Path, unfinished: Path, sessions: Sequence[str]) -> None:
    """Raise LedgerDamaged unless the copy is a faultless ledger with every event of the other sessions."""
    faults = [finding for finding in verification.verify(unfinished) if finding.is_fault]
    # What was wrong before is no reason to keep all.
    before = {finding.detail for finding in verification.verify(path)} if faults else set[str]()
    faults = [finding for finding in faults if finding.detail not in before]
    if faults:
        raise LedgerDamaged(
            f"{path}: nothing was changed, since what would be left has a fault: {faults[0].detail}"
        )
    with closing(Store.open(unfinished)) as copy, attached(copy, path):
        copy.connection.execute("CREATE TEMP TABLE archived (session TEXT PRIMARY KEY) WITHOUT ROWID")
        copy.connection.executemany("INSERT INTO archived VALUES (?)", [(one,) for one in sessions])
        [(missing,)] = copy.select(
            f"""
            SELECT count(*) FROM source.events s
            WHERE s.session NOT IN (SELECT session FROM archived)
                AND NOT EXISTS (SELECT 1 FROM main.events e WHERE e.id = s.id AND {_SAME})
            """
        )
    if missing:
        raise LedgerLocked(
            f"{path}: {missing} events came in meanwhile; archive when nothing is being recorded into it"
        )


def _replace_content(store: Store, unfinished: Path, before: int) -> None:
    with closing(Store.open_to_read(unfinished)) as copy, sqlite_errors_translated(store.path):
        # In this mode the lock stays when the transaction ends: nothing comes in until the copy is in place.
        store.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        store.connection.execute("BEGIN EXCLUSIVE")
        has_changed = _data_version(store) != before
        store.connection.execute("COMMIT")
        if has_changed:
            raise LedgerLocked(
                f"{store.path}: was written to meanwhile; archive when nothing is being recorded into it"
            )
        copy.connection.backup(store.connection)


def _data_version(store: Store) -> int:
    """Return a number that is another one once another connection has written to the file."""
    return int(str(store.select("PRAGMA data_version")[0][0]))


def _remove_abandoned(path: Path) -> None:
    """Remove the copies that killed processes have left."""
    prefix = _UNFINISHED.format(name=path.name)
    for file in path.parent.glob(f"{prefix}*"):
        pid = file.name.removeprefix(prefix).removesuffix("-journal")
        if pid.isdigit() and not _is_running(int(pid)):
            file.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
