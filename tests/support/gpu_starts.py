"""Real starts of vLLM on NVIDIA H200s, redacted: `tests/data/gpu`."""

import gzip
from collections import defaultdict
from functools import cache

from ledger import Event, Timeline, parse_event, reduce
from ledger.events.models import SessionStarted
from tests.support.paths import DATA

_END_OF_EXPORT = b'{"kind":"end_of_export"'


@cache
def gpu_events(name: str) -> dict[str, tuple[Event, ...]]:
    """Return the events of each start of a recording, by its label."""
    sessions: defaultdict[str, list[Event]] = defaultdict(list)
    for line in gzip.decompress((DATA / "gpu" / f"{name}.jsonl.gz").read_bytes()).splitlines():
        if not line.startswith(_END_OF_EXPORT):
            event = parse_event(line)
            sessions[event.session].append(event)
    return {_label(events): tuple(events) for events in sessions.values()}


@cache
def gpu_starts(name: str) -> dict[str, Timeline]:
    """Return each start of a recording, reduced, by its label."""
    return {label: reduce(events) for label, events in gpu_events(name).items()}


def _label(events: list[Event]) -> str:
    return next(event.label for event in events if isinstance(event, SessionStarted) and event.label)
