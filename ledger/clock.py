"""The host's clocks: the monotonic clock of all events, its anchor on the wall clock, and clock domains."""

from collections.abc import Callable
from typing import Final, NamedTuple

from ledger_birth.kernel import monotonic_ns, read_clocks

_READINGS: Final = 3
_STEP_NS: Final = 10_000_000
"""Smaller differences can come from reading the two clocks one after the other on a busy machine."""
_DRIFT: Final = 1_000
"""A clock being slewed is off by at most one part in 2,000 (adjtimex(2))."""


class Anchor(NamedTuple):
    """One moment on both clocks, in nanoseconds: `at_ns` monotonic, `wall_ns` since the Unix epoch."""

    at_ns: int
    wall_ns: int

    def wall_of(self, at_ns: int) -> int:
        """Return the wall-clock time, in ns since the epoch, of a monotonic time of the same domain."""
        return self.wall_ns + at_ns - self.at_ns


class ClockDomain(NamedTuple):
    """What two processes must share for their monotonic clocks to be comparable."""

    host: str | None
    boot_id: str | None
    time_namespace: str | None


def read_anchor(clock: Callable[[], int] = monotonic_ns) -> Anchor:
    """Read both clocks; the monotonic time is the midpoint of readings before and after the wall clock's."""
    return Anchor(*read_clocks(clock))


class WallWatch:
    """Detects steps of the wall clock: durations that others measure with it are off by as much."""

    def __init__(self, anchor: Anchor) -> None:
        self._last = anchor

    def stepped_ns(self) -> int | None:
        """Return how far it was set forward since the last call; None if it was not set."""
        since = self._last

        def apart_ns(reading: Anchor) -> int:
            return (reading.wall_ns - since.wall_ns) - (reading.at_ns - since.at_ns)

        # A single reading can be wrong if something else ran between its two clock reads: neither is it said,
        # nor is the next one compared with it.
        self._last = min(
            (read_anchor() for _ in range(_READINGS)), key=lambda reading: abs(apart_ns(reading))
        )
        stepped_ns = apart_ns(self._last)
        drifted_ns = _STEP_NS + (self._last.at_ns - since.at_ns) // _DRIFT
        return stepped_ns if abs(stepped_ns) > drifted_ns else None
