"""What is in the journals beside a ledger, and journals written by hand."""

from collections.abc import Iterable
from pathlib import Path

from ledger import Event, ProcessJoined, SessionStarted, StageStarted, StageStopped, parse_event
from ledger.events.models import to_line
from ledger.recording.journal import journal_folder, journals, read_lines


def events_in(path: Path) -> list[Event]:
    """Return the events in the journals beside a ledger, each journal's in the order of its lines."""
    texts = [text for journal in journals(journal_folder(path)) for text in read_lines(journal)[0]]
    return [parse_event(text) for text in texts]


def one_journal(path: Path) -> Path:
    """Return the only journal beside a ledger."""
    [journal] = journals(journal_folder(path))
    return journal


def write(path: Path, process: str, events: Iterable[Event], tail: bytes = b"") -> Path:
    """Write a journal for the ledger at a path."""
    journal_folder(path).mkdir(exist_ok=True)
    journal = journal_folder(path) / f"{process}.jsonl"
    journal.write_bytes(b"".join(map(to_line, events)) + tail)
    return journal


def recorded(path: Path) -> list[Event]:
    """Return the events so far, after the two with which a process joins; none may be missing."""
    events = events_in(path)
    assert [event.seq for event in events] == list(range(len(events)))
    assert [type(event) for event in events[:2]] in ([], [SessionStarted, ProcessJoined])
    return events[2:]


def intervals(path: Path) -> list[tuple[StageStarted, StageStopped]]:
    """Return each interval's two events; every one must have both."""
    starts = {event.interval: event for event in recorded(path) if isinstance(event, StageStarted)}
    stops = {event.interval: event for event in recorded(path) if isinstance(event, StageStopped)}
    assert starts.keys() == stops.keys()
    return [(start, stops[interval]) for interval, start in starts.items()]
