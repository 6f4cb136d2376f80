"""Moves whole sessions out of a ledger into a folder, and back."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import islice, zip_longest
from pathlib import Path
from typing import Final, NamedTuple

from ledger.errors import ConflictingEvents, LedgerDamaged, LedgerError, LedgerNotWritable
from ledger.events.rows import EventRow
from ledger.gc_pause import gc_paused
from ledger.interchange.folder_exporters import FolderExporter
from ledger.recording.journal import journal_folder, journals
from ledger.storage.archiving import remove_sessions
from ledger.storage.ledger import Ledger
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store

_AGE: Final = re.compile(r"(\d{1,6})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
_BATCH: Final = 5_000
_RUNNING: Final = "running"

Progress = Callable[[int], None]
"""Called with numbers of events."""


class Candidates(NamedTuple):
    """Which sessions of a ledger are old enough, and why others are not taken."""

    sessions: tuple[str, ...]
    live: tuple[str, ...]
    """Old enough, but their processes run, or their journals wait to be collected."""
    undated: int
    """Of which no time on the wall is known."""


def age_of(text: str) -> timedelta:
    """Return an age as `90d`, `12h` or `2w` says. Raises LedgerError."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise LedgerError(f"{text!r} is no age; write a number and h, d or w, as 90d for 90 days")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def candidates(ledger: Ledger, age: timedelta, now: datetime | None = None) -> Candidates:
    """Return the sessions that ended longer ago than `age`; of one without an end its start counts."""
    try:
        before = (now or datetime.now(timezone.utc)) - age
    except OverflowError:
        return Candidates((), (), 0)
    waiting = {journal.stem for journal in journals(journal_folder(ledger.path))}
    live_sessions = {
        str(session)
        for session, process in ledger.select("SELECT session, process FROM processes")
        if process in waiting
    }
    old: list[str] = []
    live: list[str] = []
    undated = 0
    for session, at, outcome in ledger.select(
        "SELECT session, coalesce(ended_at, started_at), outcome FROM sessions ORDER BY session"
    ):
        if at is None:
            undated += 1
        elif datetime.fromisoformat(str(at).replace("Z", "+00:00")) < before:
            is_live = outcome == _RUNNING or session in live_sessions
            (live if is_live else old).append(str(session))
    return Candidates(tuple(old), tuple(live), undated)


def check_archived(
    ledger: Ledger,
    sessions: Sequence[str],
    exporter: FolderExporter,
    folder: str,
    progress: Progress = lambda _: None,
) -> dict[str, int]:
    """Read sessions back from a folder, and compare them event by event with the ledger.

    Returns how many events each has. `progress` is called with numbers of events. Raises LedgerDamaged where
    one differs, and LedgerError.
    """
    exporter.check(folder, sessions)
    counts = dict.fromkeys(sessions, 0)
    for session, there_rows in exporter.events(folder, sessions):
        pairs = zip_longest(ledger.rows_by_key(session), there_rows)
        while some := list(islice(pairs, _BATCH)):
            for here, there in some:
                # The time on the wall is derived: a ledger that came first may have known it or not.
                if here is None or there is None or there._replace(wall_ns=here.wall_ns) != here:
                    raise LedgerDamaged(
                        f"{folder}: session {session} is not there as it is in {ledger.path}; nothing was "
                        "removed from the ledger"
                    )
            counts[session] += len(some)
            progress(len(some))
    return counts


def remove_archived(ledger: Ledger, counts: Mapping[str, int]) -> None:
    """Close a ledger, and replace it by one without these sessions.

    Raises LedgerLocked where one has another number of events by now, and LedgerError.
    """
    if ledger.file is None:
        raise LedgerNotWritable(f"{ledger.path}: can't be written to; nothing was removed from it")
    ledger.close()
    remove_sessions(ledger.file, counts)


def restore(
    exporter: FolderExporter, folder: str, session: str, path: Path, progress: Progress = lambda _: None
) -> int:
    """Bring a session back from a folder into the ledger at a path; return how many events are new there.

    All or nothing: it is one transaction. Raises ConflictingEvents, and LedgerError.
    """
    store = Store.open(path)
    try:
        new = 0
        with gc_paused(), store.transaction():
            for _, events in exporter.events(folder, [session]):
                for rows in _batches(events):
                    appended = store.append(rows)
                    if appended.conflicting:
                        key = appended.conflicting[0][:3]
                        raise ConflictingEvents(
                            f"{path}: another event has the key {key}; nothing was restored"
                        )
                    new += appended.new
                    progress(len(rows))
        bring_up_to_date(store)
        return new
    finally:
        store.close()


def _batches(rows: Iterator[EventRow]) -> Iterator[list[EventRow]]:
    while some := list(islice(rows, _BATCH)):
        yield some
