"""Real starts that are equal but for the cache, as `tests.take.starts` recorded them, and slower ones."""

import gzip
import statistics
from collections import defaultdict
from collections.abc import Sequence
from functools import cache

from ledger import Event, StageStarted, StageStopped, Timeline, parse_event, reduce
from tests.support.paths import DATA

FOLDER = DATA / "starts"
Start = tuple[Event, ...]


@cache
def kept(label: str) -> tuple[Start, ...]:
    """Return the events of each start that was kept under a label, `cold` or `warm`, the oldest first."""
    starts: defaultdict[str, list[Event]] = defaultdict(list)
    for line in gzip.decompress((FOLDER / f"{label}.jsonl.gz").read_bytes()).splitlines():
        event = parse_event(line)
        starts[event.session].append(event)
    return tuple(tuple(starts[session]) for session in sorted(starts))


@cache
def warm() -> tuple[Timeline, ...]:
    """Return the warm starts, reduced."""
    return tuple(reduce(start) for start in kept("warm"))


def spread_ns(component: str) -> int:
    """Return the range of the middle half of a component's compile over the warm starts."""
    times = [
        interval.duration_ns or 0
        for timeline in warm()
        for interval in timeline.intervals
        if (interval.component, interval.stage) == (component, "torch_compile")
    ]
    first, _, third = statistics.quantiles(times, n=4)
    return round(third - first)


def slowed(start: Sequence[Event], component: str, ns: int) -> Start:
    """Return a start whose compile of a component takes so much longer, as if it had been recorded so.

    The time is put in just before the compile ends: so what encloses it takes longer as well, and whatever
    comes after it comes later, in all processes.
    """
    [began] = [e for e in start if isinstance(e, StageStarted) and _is_compile(e, component)]
    [ended] = [
        e
        for e in start
        if isinstance(e, StageStopped) and (e.process, e.interval) == (began.process, began.interval)
    ]
    return tuple(
        event.model_copy(update={"at_ns": event.at_ns + ns})
        if (event.process == ended.process and event.seq >= ended.seq) or event.at_ns > ended.at_ns
        else event
        for event in start
    )


def _is_compile(event: StageStarted, component: str) -> bool:
    return event.stage == "torch_compile" and event.component == component
