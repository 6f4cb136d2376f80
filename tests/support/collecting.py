"""Ledgers that journals are collected into, and the events with which processes join and leave."""

from collections.abc import Iterable
from pathlib import Path

from ledger import Event, Ledger, MilestoneReached, ProcessJoined, ProcessLeft
from ledger.recording.journal import journal_folder
from ledger.recording.process_identity import this_process
from ledger.storage.collector import Collected, collect
from ledger.storage.store import Store
from ledger.storage.verification import verify

GONE = {"pid": 2**22 + 1, "pid_start": 1}
"""No process has it: the kernel's highest pid is 2**22."""
KEYS = "SELECT session, process, seq FROM events ORDER BY session, process, seq"


def joined(process: str, **identity: object) -> Event:
    """Return how a process of this host joins: by default the one that runs the test."""
    fields = {**this_process()._asdict(), "name": "Worker", "wall_ns": 1_000_000, **identity}
    return ProcessJoined(session="s", process=process, seq=0, at_ns=0, **fields)


def milestones(process: str, seqs: Iterable[int]) -> list[Event]:
    return [MilestoneReached(session="s", process=process, seq=n, at_ns=n, name=f"m{n}") for n in seqs]


def left(process: str, seq: int) -> Event:
    return ProcessLeft(
        session="s", process=process, seq=seq, at_ns=seq, outcome="completed", event_count=seq + 1
    )


def collect_at(path: Path, **options: object) -> Collected:
    """Collect into the ledger at a path."""
    store = Store.open(path)
    try:
        return collect(store, journal_folder(path), **options)  # type: ignore[arg-type]
    finally:
        store.close()


def rows(path: Path, sql: str = KEYS) -> list[tuple[object, ...]]:
    store = Store.open_to_read(path)
    try:
        return store.select(sql)
    finally:
        store.close()


def keys(process: str, number: int) -> list[tuple[object, ...]]:
    return [("s", process, seq) for seq in range(number)]


def collected(path: Path) -> dict[str, dict[str, object]]:
    """Return the processes of the ledger by name, after what holds for every ledger."""
    with Ledger.open(path) as ledger:
        rows = ledger.sql("SELECT * FROM processes")
        assert {row["lost_events"] for row in rows} <= {0}
        assert ledger.sql("SELECT * FROM rejected_lines") == []
        assert ledger.sql("SELECT * FROM anomalies") == []
    assert [finding for finding in verify(path) if finding.is_fault] == []
    return {str(row["name"]): row for row in rows}
