"""Verifies a ledger: its pages, triggers, numbering, journals and projections."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from sqlite_utils import Database

from ledger.errors import LedgerDamaged
from ledger.recording.journal import journal_folder, look_into, shown
from ledger.storage.journal_writers import writer_is_gone
from ledger.storage.projections import differences, reduced_timeline, stale_sessions
from ledger.storage.store import Store
from ledger.storage.whole_rows import NOT_WHOLE
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import EVENTS_NOT_WRITTEN
from ledger_migrations.migrations import protect_events

_FAULTS_SHOWN: Final = 20


class Finding(NamedTuple):
    """One finding: a fault, or a fact worth knowing that is not a fault."""

    is_fault: bool
    what: str
    detail: str


def verify(path: Path) -> list[Finding]:
    """Check a ledger as it is and return the findings; nothing is collected, projected or repaired.

    Raises LedgerMissing, NotALedger, NewerLedger, LedgerLocked or SQLiteTooOld; a damaged file is a finding.
    """
    try:
        with closing(Store.open_to_read(path)) as store:
            if findings := _pages(store):
                return findings
            findings = [*_triggers(store), *_versions(store), *_edited(store)]
        with closing(Store.open_to_read_migrated(path)) as store:
            return [*findings, *_sessions(store), *_rejected(store), *_journals(path)]
    except LedgerDamaged as error:
        return [Finding(True, "damaged_file", str(error))]


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


def _versions(store: Store) -> list[Finding]:
    """The table that says which format the events have holds one row."""
    [(number,)] = store.select("SELECT count(*) FROM versions")
    if number == 1:
        return []
    return [Finding(True, "wrong_versions", f"the table `versions` has {number} rows and not one")]


def _edited(store: Store) -> list[Finding]:
    """Rows of stages without what an event needs are left out wherever the ledger is read."""
    [(number, first)] = store.select(f"SELECT count(*), min(id) FROM events WHERE {NOT_WHOLE}")
    if not number:
        return []
    return [
        Finding(True, "invalid_event", f"{number} rows of `events` are none, the first with the id {first}")
    ]


def _sessions(store: Store) -> Iterator[Finding]:
    """Each session's numbering must have no hole, and its projections must be what its events give."""
    stale = stale_sessions(store)
    for (name,) in store.select("SELECT DISTINCT session FROM events ORDER BY session"):
        # In a function, so that no two timelines are in memory at a time.
        yield from _session(store, str(name), is_stale=name in stale)


def _session(store: Store, session: str, *, is_stale: bool) -> list[Finding]:
    timeline = reduced_timeline(store, session)
    findings = _numbering(session, timeline)
    if is_stale:
        text = f"session {session}: has events that are not in its projections yet"
        return [*findings, Finding(False, "not_projected", text)]
    wrong = differences(store, session, timeline)
    return findings + [
        Finding(True, "wrong_projection", f"session {session}: {table} is not what its events give")
        for table in wrong
    ]


def _numbering(session: str, timeline: Timeline) -> list[Finding]:
    """A hole in `seq` is a lost event; one that the recorder itself reported is no fault."""
    findings: list[Finding] = []
    for process in timeline.processes:
        if not process.lost_events:
            continue
        own = (gap for gap in timeline.gaps if gap.process == process.process)
        reported = sum(gap.count for gap in own if gap.what == EVENTS_NOT_WRITTEN)
        where = f"process {process.process} of session {session}: {process.lost_events} events"
        if process.lost_events <= reported:
            findings.append(Finding(False, "reported_gap", f"{where} could not be written"))
        else:
            findings.append(Finding(True, "lost_events", f"{where} were numbered and are not here"))
    return findings


def _rejected(store: Store) -> list[Finding]:
    rows = store.select("SELECT file, count(*), min(reason) FROM rejected_lines GROUP BY file ORDER BY file")
    return [
        Finding(False, "rejected_lines", f"{file}: {number} kept in rejected_lines, the first since {reason}")
        for file, number, reason in rows
    ]


def _journals(path: Path) -> list[Finding]:
    found, not_journals = look_into(journal_folder(path))
    findings = [
        Finding(True, "not_a_journal", f"{shown(entry)}: {why}")
        for entry, why in sorted(not_journals.items())
    ]
    for journal in found:
        try:
            is_gone = writer_is_gone(journal)
        except FileNotFoundError:
            continue  # a collector has just removed it
        except OSError as error:
            text = f"{shown(journal)}: can't be read ({error.strerror or error})"
            findings.append(Finding(True, "unreadable_journal", text))
            continue
        if is_gone:
            text = f"{shown(journal)}: its process is gone; `compile-ledger collect {path}`"
            findings.append(Finding(True, "journal_left_behind", text))
        else:
            text = f"{shown(journal)}: its process runs, or can't be judged from here"
            findings.append(Finding(False, "journal", text))
    return findings
