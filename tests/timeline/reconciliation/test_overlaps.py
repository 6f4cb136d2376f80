"""Intervals that overlap a span are found as by a look at each, however threads cross."""

from hypothesis import example, given
from hypothesis import strategies as st

from ledger import Event
from ledger.testing import SessionBuilder
from ledger.timeline.reconciliation.evidence import span_of
from ledger.timeline.reconciliation.overlaps import OverlapIndex
from ledger.timeline.reducer import reduce_session
from ledger.timeline.spans import Span

Times = list[tuple[int, int]]
TIMES = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: (min(pair), max(pair)))


def session(times: Times) -> list[Event]:
    builder = SessionBuilder()
    for start_ns, stop_ns in times:
        builder.stop(stop_ns, builder.start(start_ns, "torch_compile", source="monitor"))
    return builder.events


@given(st.lists(TIMES, max_size=15), TIMES)
# (5, 12) encloses (6, 7) and (7, 8), and all three have the same depth: (6, 20) crosses what is around them.
@example([(0, 14), (1, 2), (3, 4), (5, 12), (6, 20), (6, 7), (7, 8), (9, 10)], (8, 9))
def test_all_that_overlap_a_span_and_no_others(times: Times, asked: tuple[int, int]) -> None:
    intervals, span = reduce_session(session(times)).intervals, Span(*asked)
    found = OverlapIndex(intervals).overlapping(span)
    assert sorted(found) == sorted(one for one in intervals if span_of(one).overlaps(span))
