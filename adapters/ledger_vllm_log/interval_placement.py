"""Places stages on the timeline, from the stamp at which each ended and the length that was stated.

A stamp is the beginning of the second in which a line was logged, and a line is logged at the end of what it
times. So a stage ends at its stamp or, within that second, as much later as it takes to start after its
predecessor ended. Where no end within that second achieves this, it ends at its stamp: an overlap that the
stamps' resolution does not explain is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger_vllm.logged_stages import LOGGED_STAGES

_OVERLAPPING: Final = frozenset(name for name, stage in LOGGED_STAGES.items() if stage.can_overlap)


class SoFar(NamedTuple):
    """How far a process's timeline is filled."""

    floor_ns: int = 0
    """The next stage does not start before this."""
    last_ns: int = 0
    """When the last stage ended."""

    @property
    def end_ns(self) -> int:
        """Earliest end of a stage around all this: a part without a length lies inside, not at its edge."""
        return max(self.floor_ns, self.last_ns)

    def with_floor(self, floor_ns: int) -> "SoFar":
        """Return the same with a floor of at least this."""
        return self._replace(floor_ns=max(self.floor_ns, floor_ns))

    def after(self, placed: "Placed") -> "SoFar":
        """Return how far the timeline is filled with one more stage placed."""
        # A stage without a length would lie inside any stage that touches it.
        floor_ns = placed.stop_ns + placed.is_point
        return SoFar(max(self.floor_ns, floor_ns), max(self.last_ns, placed.stop_ns))


@dataclass(slots=True)
class Placed:
    """A stage, or a moment, and its place on the timeline."""

    stage: str
    stamp_ns: int
    unit_ns: int
    """What the stamp is cut to."""
    length_ns: int = 0
    is_moment: bool = False
    """It is not a stage: it may lie where stages end."""
    start_ns: int = 0
    stop_ns: int = 0

    @property
    def is_point(self) -> bool:
        """Whether it is a stage without a length: of 0.00 s, or one whose length is not stated."""
        return self.length_ns == 0 and not self.is_moment

    def put(self, so_far: SoFar) -> None:
        """Place it after what is placed so far."""
        latest_ns = self.stamp_ns + self.unit_ns - 1
        stop_ns = max(self.stamp_ns, min(so_far.last_ns, latest_ns))
        floor_ns = max(so_far.floor_ns, so_far.last_ns + 1 if self.is_point else 0)
        if stop_ns < floor_ns + self.length_ns <= latest_ns:
            stop_ns = floor_ns + self.length_ns
        self.start_ns, self.stop_ns = max(0, stop_ns - self.length_ns), stop_ns


class Nested(NamedTuple):
    """A stage, and those inside it."""

    placed: Placed
    inside: "Sequence[Nested]" = ()

    def put(self, so_far: SoFar) -> SoFar:
        """Place all of them after what is placed so far, and return how far the timeline is filled."""
        if not self.inside:
            self.placed.put(so_far)
            return so_far.after(self.placed)
        after = _around(self.placed, so_far, self._put_inside)
        starts_ns = self._starts_inside_ns
        if starts_ns < self.placed.start_ns:
            # Its own length leaves out some of what is inside it: that is where its own stamps leave it.
            self._put_inside(so_far)
            if self.placed.stage == "torch_compile":
                # What the stamps show to be a part of it began no earlier than it did.
                self.placed.start_ns = min(self.placed.start_ns, self._starts_inside_ns)
        return after

    @property
    def _starts_inside_ns(self) -> int:
        return min(one.placed.start_ns for one in self.inside)

    def _put_inside(self, so_far: SoFar) -> SoFar:
        return _put(self.inside, so_far)


def put_all(stages: Sequence[Nested], so_far: SoFar, around: Placed | None = None) -> SoFar:
    """Place stages one after the other, and one around them; return how far the timeline is filled."""
    if around is None:
        return _put(stages, so_far)
    return _around(around, so_far, lambda begin: _put(stages, begin))


def _put(stages: Sequence[Nested], so_far: SoFar) -> SoFar:
    """Place stages one after the other, or side by side where they are of those that overlap."""
    before, whole = so_far, None
    for stage in stages:
        name = stage.placed.stage
        if name not in _OVERLAPPING or stage.inside:
            before = so_far = stage.put(so_far)
            continue
        if (of := LOGGED_STAGES[name].within) != whole:
            before, whole = so_far, of
        stage.placed.put(before._replace(last_ns=so_far.last_ns))
        so_far = so_far.after(stage.placed)
    return so_far


def _around(whole: Placed, before: SoFar, put_parts: Callable[[SoFar], SoFar]) -> SoFar:
    """Place parts, and a whole around them; return how far the timeline is filled.

    The whole's own length is the more reliable: where it starts after its first part, the parts are moved
    later, as far as their stamps allow.
    """
    whole.put(before._replace(last_ns=put_parts(before).end_ns))
    after = put_parts(before.with_floor(whole.start_ns))
    if after.end_ns > whole.stop_ns:
        whole.put(before._replace(last_ns=after.end_ns))
    return after.after(whole)
