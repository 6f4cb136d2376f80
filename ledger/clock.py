"""The host's clocks: the monotonic one that events carry, anchored to the wall clock, and its domain."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

monotonic_ns: Final = time.perf_counter_ns
"""The clock of `at_ns`: on Linux CLOCK_MONOTONIC, the same for all processes of a clock domain."""

_LOOKS: Final = 3
_STEP_NS: Final = 10_000_000
"""Less than this is within what two looks at two clocks can be apart on a busy machine."""
_DRIFT: Final = 1_000
"""A clock that is being adjusted goes wrong by half a thousandth at most (adjtimex(2))."""


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
    """Read both clocks together; the monotonic time is the middle of two readings around the wall's."""
    before = clock()
    wall_ns = time.time_ns()
    return Anchor((before + clock()) // 2, wall_ns)


class WallWatch:
    """Notices where the wall clock was set: what others time by it is wrong by as much."""

    def __init__(self, anchor: Anchor) -> None:
        self._last = anchor

    def stepped_ns(self) -> int | None:
        """Return by how much it was set forward since the last look; None where it was not."""
        # One look alone may be wrong, where something else ran between its two readings.
        looks = [read_anchor() for _ in range(_LOOKS)]
        since, self._last = self._last, looks[-1]
        apart = [(look.wall_ns - since.wall_ns) - (look.at_ns - since.at_ns) for look in looks]
        stepped_ns = min(apart, key=abs)
        drifted_ns = _STEP_NS + (looks[-1].at_ns - since.at_ns) // _DRIFT
        return stepped_ns if abs(stepped_ns) > drifted_ns else None


def boot_id() -> str | None:
    """Return the kernel's id of this boot: monotonic times of two boots can't be compared."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None  # not Linux, or /proc is not mounted


def namespace(kind: str) -> str | None:
    """Return the id of this process's namespace of a kind (`time`, `pid`); None where there is none."""
    try:
        return os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return None
