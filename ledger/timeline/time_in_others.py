"""What a process of a log waited for in processes that it started is no work of its own.

An engine's line covers what its workers did meanwhile, and a log has no intervals of waiting. So what the
engine's own interval does not account for is the time in which neither it nor a worker has another one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ledger.timeline.log_neighbours import LOG
from ledger.timeline.process_events import ProcessEvents
from ledger.timeline.process_lives import lives_of, parents_of
from ledger.timeline.records import Interval
from ledger.timeline.spans import merged, union_ns


def without_time_in_others(
    parts: Mapping[str, ProcessEvents], intervals: Mapping[str, Sequence[Interval]]
) -> dict[str, list[Interval]]:
    """Return those processes' intervals of a log that change, with what workers did in them taken off."""
    logged = {process for process, own in intervals.items() if own and own[0].source == LOG}
    if len(logged) < 2:
        return {}
    lives = lives_of(parts)
    parent_of = parents_of(lives.processes)
    workers: dict[str, list[tuple[int, int]]] = {}
    for process in logged:
        offset_ns = lives.offset_ns[process]
        spans = [
            (one.start_ns + offset_ns, one.stop_ns + offset_ns)
            for one in intervals[process]
            if one.stop_ns is not None
        ]
        for ancestor in _line(process, parent_of):
            workers.setdefault(ancestor, []).extend(spans)
    return {
        process: list(_less(intervals[process], spans, lives.offset_ns[process]))
        for process, spans in workers.items()
        if process in logged
    }


def _line(process: str, parent_of: Mapping[str, str]) -> Sequence[str]:
    line: list[str] = []
    while (parent := parent_of.get(process)) is not None and parent not in line:
        line.append(parent)
        process = parent
    return line


def _less(
    intervals: Sequence[Interval], others: Iterable[tuple[int, int]], offset_ns: int
) -> Iterator[Interval]:
    spans = merged((start_ns - offset_ns, stop_ns - offset_ns) for start_ns, stop_ns in others)
    own = [(one.start_ns, one.stop_ns, one) for one in intervals if one.stop_ns is not None]
    for one in intervals:
        start_ns, stop_ns = one.start_ns, one.stop_ns
        if stop_ns is None:
            yield one
            continue
        inside = [(max(a, start_ns), min(b, stop_ns)) for a, b in spans if a < stop_ns and b > start_ns]
        if not inside:
            yield one
            continue
        inside += [
            (a, b) for a, b, other in own if start_ns <= a and b <= stop_ns and other.depth > one.depth
        ]
        left_ns = stop_ns - start_ns - union_ns(inside)
        yield one._replace(self_ns=left_ns, unattributed_ns=left_ns)
