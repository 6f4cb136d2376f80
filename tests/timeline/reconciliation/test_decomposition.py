"""Claims are matched, and their differences taken apart, as by the slow twins, which look at everything."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings

from ledger import Event
from ledger.timeline.reconciliation import causes, hulls, matching, reconcile
from ledger.timeline.reconciliation.carryover import numbers_before
from ledger.timeline.reconciliation.decomposition import Decomposition
from ledger.timeline.reconciliation.evidence import Evidence
from ledger.timeline.reconciliation.matching import measure
from ledger.timeline.reducer import reduce_session
from tests.support import decomposition_twin, gpu_starts, matching_twin, recordings
from tests.support.growth import assert_linear
from tests.support.many_claims import KINDS, in_running_maxima, in_running_totals
from tests.support.paths import DATA
from tests.support.random_claims import sessions_of_claims, sessions_of_running_totals
from tests.support.random_sessions import sessions
from tests.support.reading_logs import read
from tests.timeline.reconciliation.test_reconciliation_anything import SESSIONS

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def check(events: Iterable[Event]) -> None:
    """Hold the match and the parts of every claim of a session against the twins'."""
    evidence = Evidence(reduce_session(events))
    against = measure(evidence)
    assert against == matching_twin.matches(evidence)
    before, decomposition = numbers_before(evidence, against), Decomposition(evidence)
    for claim, measured in against.items():
        numbers = before.get(claim, ())
        twins = decomposition_twin.decompose(evidence, claim, measured, numbers)
        assert list(decomposition.of(claim, measured, numbers).shares(claim)) == list(twins.shares(claim))


@given(sessions_of_claims())
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
def test_claims_of_all_kinds(events: list[Event]) -> None:
    check(events)


@given(sessions_of_claims())
@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
def test_claims_of_all_kinds_by_clocks_that_are_looked_at_together(events: list[Event]) -> None:
    """Where all looks at a clock agree to the nanosecond, times as short as these matter."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (causes, hulls, matching):
            patch.setattr(module, "CLOCKS_APART_NS", 2)
        patch.setattr(hulls, "_AROUND_NS", 2)
        check(events)


@given(sessions_of_running_totals())
@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
def test_accumulators_that_are_read_again_and_again(events: list[Event]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (causes, hulls, matching):
            patch.setattr(module, "CLOCKS_APART_NS", 2)
        check(events)


@given(SESSIONS)
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
def test_whatever_is_claimed(events: list[Event]) -> None:
    check(events)


@given(sessions())
@settings(max_examples=50, deadline=None, suppress_health_check=SLOW)
def test_sessions_with_stray_events(events: list[Event]) -> None:
    check(events)


GPU = sorted(
    str(file.relative_to(gpu_starts.FOLDER))[: -len(".jsonl.gz")]
    for file in gpu_starts.FOLDER.rglob("*.jsonl.gz")
)
LOGS = sorted((DATA / "logs").glob("*.log"))


@pytest.mark.parametrize("name", GPU)
def test_starts_on_gpus(name: str) -> None:
    for events in gpu_starts.gpu_events(name).values():
        check(events)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_logs(path: Path) -> None:
    for events in read(path).sessions:
        check(events)


@pytest.mark.parametrize("name", recordings.RECORDINGS)
def test_recordings(name: str) -> None:
    by_session: dict[str, list[Event]] = {}
    for event in recordings.events(name):
        by_session.setdefault(event.session, []).append(event)
    for events in by_session.values():
        check(events)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_work_grows_as_the_session_does(kind: Callable[[int], list[Event]]) -> None:
    def work_on(size: int) -> Callable[[], object]:
        reduced = reduce_session(kind(size))
        return lambda: reconcile(reduced)

    assert_linear(work_on, 1_600)


@pytest.mark.parametrize(
    "kind", [*KINDS, in_running_totals, in_running_maxima], ids=lambda kind: kind.__name__
)
def test_as_many_steps_as_the_session_is_long(kind: Callable[[int], list[Event]]) -> None:
    """Counted, and not timed. What the causes say is not counted: each names all intervals that show it."""
    assert _steps(kind(800)) < 5 * _steps(kind(200))


def _steps(events: list[Event]) -> int:
    """Return how many functions of the package are called to reconcile a session."""
    reduced = reduce_session(events)
    package = str(Path(causes.__file__).parent)
    number = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal number
        number += event == "call" and frame.f_code.co_filename.startswith(package)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        reconcile(reduced)
    finally:
        sys.setprofile(before)
    return number
