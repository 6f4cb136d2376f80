"""Steps of the wall clock, and what only looks like one."""

from collections.abc import Iterator

import pytest

from ledger import clock
from ledger.clock import Anchor, WallWatch

_STEP_NS = 5_000_000_000


def watch(monkeypatch: pytest.MonkeyPatch, *apart_ns: int) -> Iterator[int | None]:
    """Yield what a watch says whose readings of the wall clock are ahead by these."""
    readings = iter([Anchor(number, number + ahead) for number, ahead in enumerate(apart_ns)])
    monkeypatch.setattr(clock, "read_anchor", lambda: next(readings))
    watching = WallWatch(Anchor(0, 0))
    for _ in range(len(apart_ns) // 3):
        yield watching.stepped_ns()


def test_a_step_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = watch(monkeypatch, 0, 0, 0, _STEP_NS, _STEP_NS, _STEP_NS, _STEP_NS, _STEP_NS, _STEP_NS)
    assert list(said) == [None, _STEP_NS, None]


@pytest.mark.parametrize("place", range(3))
def test_a_reading_that_something_ran_in_the_middle_of_is_no_step_then_or_later(
    monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    readings = [0, 0, 0]
    readings[place] = _STEP_NS
    assert list(watch(monkeypatch, *readings, 0, 0, 0)) == [None, None]
