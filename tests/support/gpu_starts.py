"""Real starts of vLLM on NVIDIA H200s, redacted: `tests/data/gpu`."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from ledger import Event, Ledger, Timeline, parse_event, reduce
from ledger.events.models import SessionStarted
from ledger.storage.queries import saved_query
from ledger.testing import MemoryLedger
from tests.support.paths import DATA

FOLDER: Final = DATA / "gpu"
_END_OF_EXPORT: Final = b'{"kind":"end_of_export"'

LOGS: Final = {
    "big-killed-engine": "killed",
    "dp2-serve-cold": "dp2",
    "fails-kv-cache": "fails",
    "llama-cold": "llama",
    "serve-cold": "serve",
    "tp2-cold": "tp2",
    "tp2-warm": "tp2",
    "tp2-worker-killed": "tp2killed",
    "vl-cold": "vl",
}
"""The starts whose output is kept beside the recording, and the recording that has them."""

FROM_BIRTH: Final = (
    *("text-cold", "text-warm", "vl-cold", "vl-warm", "eagle-cold", "eagle-warm"),
    *("tp2-cold", "tp2-warm", "pp2-cold", "pp2-warm", "v020-cold", "v020-warm"),
    *("fails-cold", "killed-cold"),
)
"""The recordings that begin with the birth of each process: one start each, whose label is their name."""

NEVER_ENDED: Final = {
    "big-killed-all", "big-killed-engine", "dp2-serve-cold", "killed-cold", "plain-warm-2",
    "tp2-worker-killed",
}  # fmt: skip
"""The starts in which some stage has no stop: what it counts at least is in other tests."""


def gpu_lines(name: str) -> list[bytes]:
    """Return the lines of a recording, each an event."""
    lines = gzip.decompress((FOLDER / f"{name}.jsonl.gz").read_bytes()).splitlines()
    return [line for line in lines if not line.startswith(_END_OF_EXPORT)]


def gpu_log(label: str) -> str:
    """Return what a start printed, folders replaced; at its end, the report of that time."""
    return gzip.decompress((FOLDER / "logs" / f"{label}.log.gz").read_bytes()).decode()


@cache
def gpu_objects(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the events of each start of a recording as they stand in its lines, by the start's label."""
    sessions: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in gpu_lines(name):
        one = json.loads(line)
        sessions[one["session"]].append(one)
    return {
        next(one["label"] for one in ones if one["kind"] == "session_started" and "label" in one): ones
        for ones in sessions.values()
    }


@cache
def gpu_events(name: str) -> dict[str, tuple[Event, ...]]:
    """Return the events of each start of a recording, by its label."""
    sessions: defaultdict[str, list[Event]] = defaultdict(list)
    for line in gpu_lines(name):
        event = parse_event(line)
        sessions[event.session].append(event)
    return {_label(events): tuple(events) for events in sessions.values()}


def recording(name: str, *labels: str) -> list[Event]:
    """Return the events of a recording's starts; of all of them where no label is given."""
    starts = gpu_events(name)
    return [event for label in labels or starts for event in starts[label]]


@cache
def gpu_ledger(name: str, *labels: str) -> Ledger:
    """Return a ledger of a recording's starts; of all of them where no label is given."""
    return MemoryLedger(recording(name, *labels))


def answer(of: Ledger | Iterable[Event], query: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return the rows of a saved query, to the millisecond; without names of columns, whole ones."""
    return selected(of, saved_query(query), *columns)


def selected(of: Ledger | Iterable[Event], sql: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return the rows that SQL selects, to the millisecond; without names of columns, whole ones."""
    if not isinstance(of, Ledger):
        with MemoryLedger(of) as ledger:
            return selected(ledger, sql, *columns)
    return [tuple(_rounded(row[column]) for column in columns or row) for row in of.sql(sql)]


def union_ns(spans: Iterable[tuple[int, int]]) -> int:
    """Return the length of the union of spans, counted by a rule of the tests' own."""
    total, end = 0, 0
    for start, stop in sorted(spans):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


@cache
def gpu_starts(name: str) -> dict[str, Timeline]:
    """Return each start of a recording, reduced, by its label."""
    return {label: reduce(events) for label, events in gpu_events(name).items()}


def _label(events: list[Event]) -> str:
    return next(event.label for event in events if isinstance(event, SessionStarted) and event.label)
