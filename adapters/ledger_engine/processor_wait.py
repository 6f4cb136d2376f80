"""What the kernel counts of a thread: how long it ran, and how long it waited for a processor."""

import time
from typing import Final, NamedTuple

CPU_NS: Final = "cpu_ns"
CPU_WAIT_NS: Final = "cpu_wait_ns"
"""Keys of an interval's data: for how long its thread ran in it, and how long it waited to run."""

_FILE: Final = "/proc/thread-self/schedstat"


class ProcessorTime(NamedTuple):
    """The times of a thread since it began."""

    ran_ns: int
    waited_ns: int

    def since(self, earlier: "ProcessorTime") -> dict[str, int]:
        """Return what came since an earlier moment, as an interval's data."""
        return {CPU_NS: self.ran_ns - earlier.ran_ns, CPU_WAIT_NS: self.waited_ns - earlier.waited_ns}


def processor_time() -> ProcessorTime | None:
    """Return the calling thread's times; None where the kernel does not count them."""
    try:
        with open(_FILE, "rb") as file:
            # Its own time of running is only as new as the last tick.
            _, waited_ns, slices = map(int, file.read().split())
    except (OSError, ValueError):
        return None
    return ProcessorTime(time.thread_time_ns(), waited_ns) if slices else None
