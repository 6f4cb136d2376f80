"""Time that no interval accounts for is a finding where it is a part of the start worth looking at."""

from ledger import Finding, reduce
from ledger.testing import SessionBuilder
from tests.support.reconciled import S


def findings(builder: SessionBuilder) -> list[Finding]:
    return [one for one in reduce(builder.events).findings if one.finding == "unattributed_time"]


def start(*spans: tuple[float, float], ready: float) -> SessionBuilder:
    """A process that has a stage for each span, and is ready at a time, in seconds."""
    builder = SessionBuilder(process="engine")
    builder.begin()
    for begin, end in spans:
        builder.stop(round(end * S), builder.start(round(begin * S), "a_stage", activity="startup"))
    builder.milestone(round(ready * S), "engine_ready")
    return builder


def test_a_hole_in_the_start_is_a_finding_with_its_length_and_place() -> None:
    [found] = findings(start((0, 2), (5, 6), ready=10))
    assert (found.stake_ns, found.process) == (7 * S, "engine")
    assert found.summary == "no stage accounts for it; 4.000 s of it in engine after a_stage"


def test_a_small_part_of_the_start_is_none() -> None:
    assert findings(start((0, 9.6), ready=10)) == []


def test_a_short_start_is_none() -> None:
    assert findings(start((0, 0.01), ready=0.09)) == []
