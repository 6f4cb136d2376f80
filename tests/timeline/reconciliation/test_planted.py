"""Causes that are planted in random sessions are found again: each with its nanoseconds, stage and intervals.

That the parts of a difference add up proves nothing, since the remainder makes them. So each plant writes
down what it expects of the claims that it spoils, and nothing else may be found in them.
"""

from typing import Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ledger import reduce
from tests.support.planting import LENGTHS, PLANTS, Plant, Session, lines, lines_of_pieces, sessions
from tests.support.reconciled import CENT, S, Worker, parts_of

SLOW: Final = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
def test_each_alone_is_found_again(plant: Plant, data: st.DataObject) -> None:
    assert data.draw(sessions((plant,), most=2)).surprises == {}


@given(sessions(PLANTS, most=3))
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
def test_all_of_them_are_found_again(session: Session) -> None:
    assert session.surprises == {}


@given(lines())
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
def test_a_line_has_the_number_before_it_inside_or_it_has_not(session: Session) -> None:
    assert session.surprises == {}


@given(lines_of_pieces())
@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
def test_a_line_is_about_the_pieces_that_it_fits_wherever_it_was_logged(session: Session) -> None:
    assert session.surprises == {}


STEPS: Final = st.tuples(st.integers(0, 60 * S), st.integers(-3_600 * S, 3_600 * S))


@given(
    st.lists(STEPS, max_size=4), st.integers(1, 50 * S), LENGTHS, st.booleans(), st.sampled_from([1, CENT])
)
def test_a_wall_clock_goes_wrong_by_what_it_was_set_by_meanwhile(
    steps: list[tuple[int, int]], start_ns: int, length_ns: int, reads_it: bool, resolution_ns: int
) -> None:
    worker = Worker()
    interval = worker.start(start_ns, "engine_init", source="engine")
    stop_ns = start_ns + length_ns
    worker.stop(stop_ns, interval)
    for at_ns, ns in steps:
        worker.gap(at_ns, "clock_stepped", f"{ns:+} ns")
    set_by_ns = sum(ns for at_ns, ns in steps if start_ns < at_ns <= stop_ns)
    assume(set_by_ns == 0 or abs(set_by_ns) > S)
    exact_ns = length_ns + set_by_ns
    said_ns = round(exact_ns, -7) if resolution_ns == CENT else exact_ns
    claim = worker.claim(
        stop_ns,
        said_ns,
        source="engine",
        stage="engine_init",
        interval=interval,
        resolution_ns=resolution_ns,
        data={"clock": "wall" if reads_it else "monotonic"},
    )
    parts = parts_of(reduce(worker.events), claim)
    if reads_it:
        expected = {"clock": set_by_ns, "rounding": said_ns - exact_ns}
        assert parts == {(cause, "engine_init"): (ns, [interval]) for cause, ns in expected.items() if ns}
    else:
        assert "clock" not in {cause for cause, _ in parts}
