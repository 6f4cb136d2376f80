"""Checks a ledger against everything that it promises: pages, triggers, numbering, journals, projections."""

import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from ledger_migrations.migrations import protect_events
from sqlite_utils import Database

from ledger.collector import writer_is_gone
from ledger.errors import LedgerDamaged
from ledger.journal import journal_folder, journals
from ledger.process_writer import NOT_WRITTEN
from ledger.projections import differences, stale_sessions
from ledger.store import Store

_FAULTS_SHOWN: Final = 20


class Finding(NamedTuple):
    """One thing that was found: a fault, or something that is as it may be but should be known."""

    is_fault: bool
    what: str
    detail: str


def verify(path: Path) -> list[Finding]:
    """Return what is to be said about a ledger as it is; nothing is collected, projected or mended.

    Raises LedgerMissing, NotALedger, NewerLedger, LedgerLocked or SQLiteTooOld; a damaged file is a finding.
    """
    try:
        store = Store.open_to_read(path)
    except LedgerDamaged as error:
        return [Finding(True, "damaged_file", str(error))]
    try:
        pages = _pages(store)
        if pages:
            return pages
        return [
            *_triggers(store),
            *_numbering(store),
            *_projections(store),
            *_rejected(store),
            *_journals(path),
        ]
    except LedgerDamaged as error:
        return [Finding(True, "damaged_file", str(error))]
    finally:
        store.close()


def _pages(store: Store) -> list[Finding]:
    rows = store.select(f"PRAGMA integrity_check({_FAULTS_SHOWN})")
    return [Finding(True, "damaged_page", str(text)) for (text,) in rows if text != "ok"]


def _triggers(store: Store) -> list[Finding]:
    """The triggers that keep events append-only must stand in the file as a new ledger has them."""
    fresh = sqlite3.connect(":memory:")
    try:
        fresh.execute("CREATE TABLE events (id, session, process, seq)")
        protect_events(Database(fresh, execute_plugins=False))
        expected = fresh.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    finally:
        fresh.close()
    rows = store.select("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
    found = {str(name): sql for name, sql in rows}
    return [
        Finding(
            True,
            "missing_trigger" if name not in found else "changed_trigger",
            f"{name}: events may have been changed or removed since",
        )
        for name, sql in expected
        if found.get(name) != sql
    ]


def _numbering(store: Store) -> list[Finding]:
    """A hole in `seq` is a lost event; one that the recorder itself reported is known, and no fault."""
    rows = store.select(
        """
        SELECT p.session, p.process, p.lost_events, coalesce(sum(g.count), 0)
        FROM processes p
        LEFT JOIN gaps g ON g.session = p.session AND g.process = p.process AND g.what = ?
        WHERE p.lost_events > 0
        GROUP BY p.session, p.process
        ORDER BY p.session, p.process
        """,
        [NOT_WRITTEN],
    )
    findings: list[Finding] = []
    for session, process, lost, reported in rows:
        where = f"process {process} of session {session}"
        if int(str(lost)) <= int(str(reported)):
            findings.append(Finding(False, "reported_gap", f"{where}: {lost} events could not be written"))
        else:
            findings.append(
                Finding(True, "lost_events", f"{where}: {lost} events were numbered and are not here")
            )
    return findings


def _projections(store: Store) -> list[Finding]:
    stale = stale_sessions(store)
    findings = [
        Finding(False, "not_projected", f"session {session}: has events that its totals do not know yet")
        for session in stale
    ]
    for (session,) in store.select("SELECT session FROM projected_sessions ORDER BY session"):
        if session not in stale:
            findings += [
                Finding(True, "wrong_projection", f"session {session}: {table} is not what its events give")
                for table in differences(store, str(session))
            ]
    return findings


def _rejected(store: Store) -> list[Finding]:
    rows = store.select("SELECT file, count(*), min(reason) FROM rejected_lines GROUP BY file ORDER BY file")
    return [
        Finding(False, "rejected_lines", f"{file}: {number} kept in rejected_lines, the first since {reason}")
        for file, number, reason in rows
    ]


def _journals(path: Path) -> list[Finding]:
    return [
        Finding(
            True, "journal_left_behind", f"{journal}: its process is gone; `compile-ledger collect {path}`"
        )
        if writer_is_gone(journal)
        else Finding(False, "journal", f"{journal}: its process runs, or can't be judged from here")
        for journal in journals(journal_folder(path))
    ]
