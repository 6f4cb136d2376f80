"""Imports vLLM logs in tests, checking what holds for every import; and writes lines as its logger does."""

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from ledger import (
    Event,
    ProcessJoined,
    ProcessLeft,
    ProcessLost,
    StageStarted,
    TotalClaimed,
    parse_event,
    reduce,
)
from ledger.adapters import Importer, UnreadLine
from ledger.events.models import to_line
from ledger.timeline.records import Interval
from ledger_vllm_log.importer import importer
from tests.support.paths import DATA

LOGS = DATA / "logs"
S = 1_000_000_000


class Imported(NamedTuple):
    """What an import yields."""

    events: list[Event]
    unread: list[UnreadLine]

    @property
    def claims(self) -> list[TotalClaimed]:
        return [event for event in self.events if isinstance(event, TotalClaimed)]

    @property
    def joined(self) -> dict[str, ProcessJoined]:
        return {event.process: event for event in self.events if isinstance(event, ProcessJoined)}

    @property
    def intervals(self) -> list[Interval]:
        found = (one for events in self.sessions for one in reduce(events).intervals)
        return sorted(found, key=lambda one: (one.process, one.start_seq))

    @property
    def sessions(self) -> list[list[Event]]:
        """The events of each start-up, in the log's order."""
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            found[event.session].append(event)
        return list(found.values())

    def stage(self, stage: str) -> Interval:
        [found] = [one for one in self.intervals if one.stage == stage]
        return found

    def data(self, stage: str) -> dict[str, Any]:
        [found] = [one for one in self.events if isinstance(one, StageStarted) and one.stage == stage]
        return dict(found.data or {})


def read(path: Path, reader: Importer | None = None) -> Imported:
    """Import a file, of vLLM's if not said otherwise, and check what holds for every import."""
    reader = reader or importer()
    read_bytes: list[int] = []
    items = list(reader.read(path, read_bytes.append))
    assert sum(read_bytes) == reader.size(path)
    events = [item for item in items if not isinstance(item, UnreadLine)]
    sessions = list(dict.fromkeys(event.session for event in events))
    assert sessions == [f"{sessions[0]}-{n}" if n > 1 else sessions[0] for n in range(1, len(sessions) + 1)]
    lost = {(e.session, e.lost): e.last_seq for e in events if isinstance(e, ProcessLost)}
    for process in {(e.session, e.process) for e in events if not isinstance(e, ProcessLost)}:
        own = [event for event in events if (event.session, event.process) == process]
        assert sorted(event.seq for event in own) == list(range(len(own)))
        [joined] = [event for event in own if isinstance(event, ProcessJoined)]
        assert (joined.seq, joined.at_ns) == (0, min(event.at_ns for event in own))
        left = [event for event in own if isinstance(event, ProcessLeft)]
        assert all(event.event_count == event.seq + 1 == len(own) for event in left)
        assert all(event.at_ns == max(one.at_ns for one in own) for event in left)
        assert lost.get(process, len(own) - 1) == len(own) - 1
    for event in events:
        assert parse_event(to_line(event)) == event
    return Imported(events, [item for item in items if isinstance(item, UnreadLine)])


def line(message: str, at: str = "09:18:02", who: str = "(Worker_TP0 pid=7) ", place: str = "x.py:1") -> str:
    return f"{who}INFO 11-22 {at} [{place}] {message}"


def import_content(folder: Path, *content: str | bytes) -> Imported:
    """Import lines, or bytes."""
    path = folder / "vllm.log"
    parts = [part if isinstance(part, bytes) else f"{part}\n".encode() for part in content]
    path.write_bytes(b"".join(parts))
    return read(path)
