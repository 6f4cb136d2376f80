"""Keeps in the ledger where the reducing of a session can go on, for the next projection alone."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from ledger.storage.store import Store
from ledger.timeline.checkpoints import (
    BEFORE_ALL,
    Checkpoints,
    Cut,
    Moment,
    ProcessCheckpoint,
    Unstopped,
    beginning,
)
from ledger.timeline.stage_events import StageCounts
from ledger.timeline.totals import ProcessTotals

CHECKPOINT_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "checkpoint_sessions": ("session", "state"),
    "checkpoint_processes": ("session", "process", "state"),
    "checkpoint_cuts": ("session", "process", "at_ns", "first_row", "state"),
    "checkpoint_moments": ("session", "at_ns", "unions"),
}
"""With the columns of each. `first_row`, and a process's state, name rows of the table of intervals."""


class StoredCut(NamedTuple):
    """A cut, and where its first interval stands in the table of intervals."""

    cut: Cut
    first_row: int


class StoredProcess(NamedTuple):
    """What is kept of a process."""

    checkpoint: ProcessCheckpoint
    ending: tuple[object, ...]
    """What decides over its open intervals: whether it is over, its last event, its loss."""


def forget(store: Store, session: str | None = None) -> None:
    """Throw away what is kept of a session, or of all of them."""
    for table in CHECKPOINT_TABLES:
        if session is None:
            store.connection.execute(f"DELETE FROM {table}")
        else:
            store.connection.execute(f"DELETE FROM {table} WHERE session = ?", [session])


def keep_session(store: Store, session: str, state: object) -> None:
    """Keep what is to be known of a session as a whole."""
    store.connection.execute(
        "INSERT OR REPLACE INTO checkpoint_sessions (session, state) VALUES (?, ?)",
        [session, json.dumps(state)],
    )


def kept_session(store: Store, session: str) -> Any:
    """Return what is kept of a session as a whole, as JSON has it; None where nothing is."""
    rows = store.select("SELECT state FROM checkpoint_sessions WHERE session = ?", [session])
    return json.loads(str(rows[0][0])) if rows else None


def keep_process(store: Store, session: str, process: str, kept: StoredProcess) -> None:
    """Keep what is to be known of a process."""
    store.connection.execute(
        "INSERT OR REPLACE INTO checkpoint_processes (session, process, state) VALUES (?, ?, ?)",
        [session, process, json.dumps(kept)],
    )


def kept_processes(store: Store, session: str) -> dict[str, StoredProcess]:
    """Return what is kept of a session's processes."""
    rows = store.select("SELECT process, state FROM checkpoint_processes WHERE session = ?", [session])
    found: dict[str, StoredProcess] = {}
    for process, text in rows:
        (intervals, counts, unstopped, is_plain), ending = json.loads(str(text))
        found[str(process)] = StoredProcess(
            ProcessCheckpoint(
                intervals, StageCounts(*counts), [Unstopped(*each) for each in unstopped], is_plain
            ),
            _frozen(ending),
        )
    return found


def moved_state(state: str, by: int) -> str:
    """Return what is kept of a process, as the table has it, for intervals that have moved by some rows."""
    (intervals, counts, unstopped, is_plain), ending = json.loads(state)
    moved = [one._replace(place=one.place + by) for one in (Unstopped(*each) for each in unstopped)]
    return json.dumps([[intervals, counts, moved, is_plain], ending])


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, cast("list[Any]", value))) if isinstance(value, list) else value


def keep_cuts(store: Store, session: str, process: str, cuts: Iterable[StoredCut]) -> None:
    """Keep a process's cuts."""
    store.connection.executemany(
        "INSERT INTO checkpoint_cuts (session, process, at_ns, first_row, state) VALUES (?, ?, ?, ?, ?)",
        (
            (
                session,
                process,
                each.cut.at_ns,
                each.first_row,
                json.dumps([*each.cut[1:-1], each.cut.totals.to_json()]),
            )
            for each in cuts
        ),
    )


def cut_before(store: Store, session: str, process: str, at_ns: int) -> StoredCut | None:
    """Return a process's last cut at a time or before it: in front of everything where there is none.

    None where the table of intervals was renumbered since, as VACUUM may.
    """
    rows = store.select(
        """
        SELECT c.at_ns, c.first_row, c.state, i.process, i.start_seq
        FROM checkpoint_cuts c
        LEFT JOIN projected_intervals i ON i.rowid = c.first_row AND i.session = c.session
        WHERE c.session = ? AND c.process = ? AND c.at_ns <= ?
        ORDER BY c.at_ns DESC LIMIT 1
        """,
        [session, process, max(at_ns, -1)],
    )
    if not rows:
        return StoredCut(beginning(), 0)
    cut_ns, first_row, text, there, seq = cast("tuple[Any, ...]", rows[0])
    number, start_seq, least_seq, largest_id, last_start_ns, last_stopped, odd, totals = json.loads(text)
    if (there, seq) != (process, start_seq):
        return None
    cut = Cut(
        cut_ns, number, start_seq, least_seq, largest_id, last_start_ns, last_stopped, tuple(odd),
        ProcessTotals.from_json(totals),
    )  # fmt: skip
    return StoredCut(cut, first_row)


def drop_cuts(store: Store, session: str, process: str, from_ns: int) -> None:
    """Throw a process's cuts away, from a time on."""
    store.connection.execute(
        "DELETE FROM checkpoint_cuts WHERE session = ? AND process = ? AND at_ns >= ?",
        [session, process, max(from_ns, -1)],
    )


def keep_moments(store: Store, session: str, moments: Iterable[Moment]) -> None:
    """Keep a session's moments."""
    store.connection.executemany(
        "INSERT INTO checkpoint_moments (session, at_ns, unions) VALUES (?, ?, ?)",
        (
            (session, moment.at_ns, json.dumps([[*group, length] for group, length in moment.unions.items()]))
            for moment in moments
        ),
    )


def moment_before(store: Store, session: str, at_ns: int) -> Moment:
    """Return a session's last moment at a time or before it: that before everything where there is none."""
    rows = store.select(
        "SELECT at_ns, unions FROM checkpoint_moments WHERE session = ? AND at_ns <= ? "
        "ORDER BY at_ns DESC LIMIT 1",
        [session, max(at_ns, -1)],
    )
    if not rows:
        return Moment(BEFORE_ALL, {})
    [(moment_ns, text)] = cast("list[tuple[Any, ...]]", rows)
    return Moment(moment_ns, {(role, activity): length for role, activity, length in json.loads(text)})


def drop_moments(store: Store, session: str, after_ns: int) -> None:
    """Throw a session's moments away that are later than a time."""
    store.connection.execute(
        "DELETE FROM checkpoint_moments WHERE session = ? AND at_ns > ?", [session, max(after_ns, -1)]
    )


def keep_all(
    store: Store,
    session: str,
    checkpoints: Checkpoints,
    first_rows: Mapping[str, int],
    endings: Mapping[str, tuple[object, ...]],
) -> None:
    """Keep what was taken note of while all of a session was reduced.

    `first_rows` says where each process's first interval stands in the table.
    """
    for process, checkpoint in checkpoints.processes.items():
        first = first_rows[process]
        unstopped = [each._replace(place=first + each.place) for each in checkpoint.unstopped]
        kept = StoredProcess(checkpoint._replace(unstopped=unstopped), endings[process])
        keep_process(store, session, process, kept)
        keep_cuts(
            store, session, process, (StoredCut(cut, first + cut.number) for cut in checkpoints.cuts[process])
        )
    keep_moments(store, session, checkpoints.moments)
