"""Which of some intervals encloses another one in time, in its process."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from ledger.timeline.findings.evidence import key_of
from ledger.timeline.records import Interval, IntervalKey


def innermost_around(outer: Iterable[Interval], inner: Iterable[Interval]) -> Mapping[IntervalKey, Interval]:
    """Return, for each of `inner` that lies within one of `outer`, the one of them that began last.

    What has not stopped encloses nothing; it lies within what encloses its start. An interval does not lie
    within itself.
    """
    outer_of: defaultdict[str, list[Interval]] = defaultdict(list)
    for one in outer:
        if one.stop_ns is not None:
            outer_of[one.process].append(one)
    inner_of: defaultdict[str, list[Interval]] = defaultdict(list)
    for one in inner:
        if one.process in outer_of:
            inner_of[one.process].append(one)
    found: dict[IntervalKey, Interval] = {}
    for process, own in inner_of.items():
        coming = sorted(outer_of[process], key=_outermost_first, reverse=True)
        began: list[Interval] = []
        for one in sorted(own, key=_outermost_first):
            while coming and _outermost_first(coming[-1]) < _outermost_first(one):
                _drop_stopped(began, coming[-1].start_ns)
                began.append(coming.pop())
            _drop_stopped(began, one.start_ns)
            stop_ns = one.start_ns if one.stop_ns is None else one.stop_ns
            around = next((each for each in reversed(began) if (each.stop_ns or 0) >= stop_ns), None)
            if around is not None:
                found[key_of(one)] = around
    return found


def _outermost_first(interval: Interval) -> tuple[int, int, int, int]:
    stop_ns = interval.start_ns if interval.stop_ns is None else interval.stop_ns
    return interval.start_ns, -stop_ns, interval.depth, interval.start_seq


def _drop_stopped(began: list[Interval], at_ns: int) -> None:
    while began and (began[-1].stop_ns or 0) < at_ns:
        began.pop()
