"""Of intervals that enclose another one in time, the innermost is found, as a look at each pair finds it."""

from hypothesis import given
from hypothesis import strategies as st

from ledger import reduce
from ledger.timeline.findings.enclosing import innermost_around
from ledger.timeline.findings.evidence import key_of
from ledger.timeline.records import Interval
from tests.support.random_sessions import Tape

moments = st.integers(0, 12)
spans = st.lists(st.tuples(st.sampled_from("pq"), moments, st.one_of(moments, st.none())), max_size=10)


def intervals(*given_spans: tuple[str, int, int | None]) -> list[Interval]:
    """Whole intervals, and such that never stop."""
    tape = Tape()
    for number, (process, start, stop) in enumerate(given_spans):
        tape.start(number, start, process=process)
        if stop is not None:
            tape.stop(number, max(start, stop), process=process)
    by_number = {one.interval: one for one in reduce(tape.events).intervals}
    return [by_number[number] for number in range(len(given_spans))]


def test_the_innermost_of_nested_ones_is_found() -> None:
    outer, middle, beside, inner = intervals(("p", 0, 9), ("p", 1, 5), ("p", 5, 9), ("p", 2, 3))
    assert innermost_around([outer, middle, beside], [inner]) == {key_of(inner): middle}


def test_what_lies_in_none_is_left_out() -> None:
    outer, crossing, other = intervals(("p", 0, 5), ("p", 4, 6), ("q", 1, 2))
    assert innermost_around([outer], [crossing, other, outer]) == {}


@given(spans, spans)
def test_it_is_one_that_encloses_and_began_last(
    first: list[tuple[str, int, int | None]], second: list[tuple[str, int, int | None]]
) -> None:
    made = intervals(*first, *second)
    outer, inner = made[: len(first)], made[len(first) :]
    found = innermost_around(outer, inner)
    for one in inner:
        stop_ns = one.start_ns if one.stop_ns is None else one.stop_ns
        around = [
            each
            for each in outer
            if each.process == one.process
            and each.stop_ns is not None
            and each.start_ns <= one.start_ns
            and stop_ns <= each.stop_ns
            and (each.start_ns, each.stop_ns) != (one.start_ns, stop_ns)
        ]
        chosen = found.get(key_of(one))
        if around:
            assert chosen is not None
            assert chosen.start_ns >= max(each.start_ns for each in around)
        if chosen is not None:
            assert chosen.start_ns <= one.start_ns
            assert chosen.stop_ns is not None
            assert stop_ns <= chosen.stop_ns
