"""The host's clocks: the monotonic one that events carry, anchored to the wall clock, and its domain."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

monotonic_ns: Final = time.perf_counter_ns
"""The clock of `at_ns`: on Linux CLOCK_MONOTONIC, the same for all processes of a clock domain."""


class Anchor(NamedTuple):
    """One moment on both clocks, in nanoseconds: `at_ns` monotonic, `wall_ns` since the Unix epoch."""

    at_ns: int
    wall_ns: int

    def wall_of(self, at_ns: int) -> int:
        """Return the wall-clock time, in ns since the epoch, of a monotonic time of the same domain."""
        return self.wall_ns + at_ns - self.at_ns


def read_anchor(clock: Callable[[], int] = monotonic_ns) -> Anchor:
    """Read both clocks together; the monotonic time is the middle of two readings around the wall's."""
    before = clock()
    wall_ns = time.time_ns()
    return Anchor((before + clock()) // 2, wall_ns)


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
