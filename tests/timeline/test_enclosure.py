"""Every way of asking what encloses what agrees with comparing each interval with every other one."""

import random

from hypothesis import given
from hypothesis import strategies as st

from ledger import reduce
from ledger.testing import SessionBuilder
from ledger.timeline.enclosure import (
    EnclosingSpan,
    Enclosure,
    Outermost,
    by_enclosure,
    encloses,
    in_order,
    outermost,
)
from ledger.timeline.records import Interval
from ledger.timeline.spans import union_ns

TIMES = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
SPANS = st.lists(TIMES, min_size=1, max_size=12)


def intervals_of(spans: list[tuple[int, int]]) -> list[Interval]:
    """Return intervals with such times, in the order of their ids, and so of their seqs."""
    builder = SessionBuilder()
    ids = [builder.start(start_ns, "dynamo") for start_ns, _ in spans]
    for interval, (_, stop_ns) in zip(ids, spans, strict=True):
        builder.stop(stop_ns, interval)
    return list(reduce(builder.events).intervals)


def does_enclose(outer: Interval, inner: Interval) -> bool:
    assert outer.stop_ns is not None
    assert inner.stop_ns is not None
    if (outer.start_ns, outer.stop_ns) == (inner.start_ns, inner.stop_ns):
        return outer.start_seq < inner.start_seq
    return outer.start_ns <= inner.start_ns and inner.stop_ns <= outer.stop_ns


def enclosure_of(intervals: list[Interval]) -> tuple[list[Interval], Enclosure]:
    by_start = sorted(intervals, key=lambda one: (one.start_ns, one.start_seq))
    starts, stops = [one.start_ns for one in by_start], [one.stop_ns or 0 for one in by_start]
    order = in_order(range(len(by_start)), starts, stops)
    return [by_start[i] for i in order], Enclosure([starts[i] for i in order], [stops[i] for i in order])


@given(SPANS)
def test_two_intervals(spans: list[tuple[int, int]]) -> None:
    intervals = intervals_of(spans)
    for one in intervals:
        for other in intervals:
            assert encloses(one, other) == (one != other and does_enclose(one, other))


@given(SPANS)
def test_the_order_has_each_after_all_that_enclose_it(spans: list[tuple[int, int]]) -> None:
    intervals = intervals_of(spans)
    ordered, _ = enclosure_of(intervals)
    assert ordered == sorted(intervals, key=by_enclosure)
    for place, one in enumerate(ordered):
        assert not any(does_enclose(later, one) for later in ordered[place + 1 :])


@given(SPANS)
def test_innermost_depth_and_what_lies_inside(spans: list[tuple[int, int]]) -> None:
    ordered, enclosure = enclosure_of(intervals_of(spans))
    lengths = enclosure.lengths
    for place, one in enumerate(ordered):
        around = [at for at, other in enumerate(ordered[:place]) if does_enclose(other, one)]
        innermost = max(around, default=None)
        assert enclosure.around[place] == innermost
        inside = [
            (other.start_ns, other.stop_ns or 0) for other in ordered[place + 1 :] if does_enclose(one, other)
        ]
        assert lengths[place] == (union_ns(inside) if inside else None)
        assert union_ns(enclosure.pieces(place)) == union_ns(inside)


@given(SPANS, st.randoms(use_true_random=False))
def test_the_outermost_at_once_and_one_by_one(spans: list[tuple[int, int]], chance: random.Random) -> None:
    intervals = intervals_of(spans)
    expected = [
        one
        for one in sorted(intervals, key=by_enclosure)
        if not any(does_enclose(other, one) for other in intervals if other != one)
    ]
    assert list(outermost(intervals)) == expected
    kept = Outermost()
    chance.shuffle(intervals)
    for one in intervals:
        kept.add(EnclosingSpan(one.start_ns, one.stop_ns or 0, one.start_seq))
    assert list(kept) == [(one.start_ns, one.stop_ns) for one in expected]
    assert kept.length_ns == union_ns(spans)


@given(SPANS, TIMES, st.booleans())
def test_what_a_span_encloses_can_be_removed(
    spans: list[tuple[int, int]], removed: tuple[int, int], is_first: bool
) -> None:
    kept = Outermost()
    for seq, span in enumerate(spans):
        kept.add(EnclosingSpan(*span, seq))
    before = kept.copy()
    kept.remove_inside(EnclosingSpan(*removed, -1 if is_first else len(spans)))
    start_ns, stop_ns = removed
    assert list(kept) == [
        (start, stop)
        for start, stop in before
        if not (start_ns <= start and stop <= stop_ns) or ((start, stop) == removed and not is_first)
    ]
    assert kept.length_ns == union_ns(kept)


def test_what_is_open_is_no_outermost() -> None:
    builder = SessionBuilder()
    builder.start(0, "dynamo")
    inner = builder.start(1, "dynamo")
    builder.stop(2, inner)
    assert [one.interval for one in outermost(reduce(builder.events).intervals)] == [inner]
