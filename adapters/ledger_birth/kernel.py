"""What the kernel knows: the time, when this process was created, and what tells it from all others."""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

monotonic_ns: "Final" = time.perf_counter_ns
"""The clock of `at_ns`: on Linux CLOCK_MONOTONIC, the same for all processes of a clock domain."""

_LATEST_NS: "Final" = (1 << 63) - 1
_STARTED: "Final" = 19
"""Which field of /proc/PID/stat after the command is the start time, in ticks since boot: proc(5), (22)."""

_READING_NS: "Final" = 1_000_000
"""No more than this lies between two readings of clocks, as a rule."""


def stat_fields(pid: "int | str") -> "list[bytes] | None":
    """Return the fields of /proc/PID/stat from the third on; None where there is no such process or file."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    # The second field, the command in parentheses, may hold spaces and parentheses itself.
    return stat.rpartition(b")")[2].split()


def start_ticks(fields: "list[bytes]") -> int:
    """Return a process's start time in clock ticks after boot, out of its `stat_fields`."""
    return int(fields[_STARTED])


def pid_start(pid: "int | str") -> "int | None":
    """Return a process's start time in clock ticks after boot; None where the kernel does not say."""
    fields = stat_fields(pid)
    return start_ticks(fields) if fields else None


def tick_ns() -> int:
    """Return the length of a clock tick: the resolution of a process's start time."""
    return 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def created_ns() -> "int | None":
    """Return when this process was created, on the clock of `time.perf_counter_ns`; None where unknown.

    What replaces its program (`exec`) leaves its creation as it was. It is known to a tick.
    """
    if not hasattr(time, "CLOCK_BOOTTIME") or (ticks := pid_start("self")) is None:
        return None
    before = time.perf_counter_ns()
    since_boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    now_ns = time.perf_counter_ns()
    # perf_counter does not go on while the machine is suspended, but no start-up is measured over that. Where
    # it never was, the two clocks differ by nothing but the moments at which they are read.
    apart_ns = since_boot_ns - (before + now_ns) // 2
    created = ticks * tick_ns() - (apart_ns if abs(apart_ns) > _READING_NS else 0)
    return created if 0 <= created <= now_ns else None


def read_clocks(clock: "Callable[[], int]") -> "tuple[int, int]":
    """Return one moment on a monotonic clock and on the wall clock, in nanoseconds.

    The monotonic time is the midpoint of readings before and after the wall clock's.
    """
    before = clock()
    wall_ns = time.time_ns()
    return (before + clock()) // 2, wall_ns


def checked_clock(clock: "Callable[[], int]") -> "Callable[[], int]":
    """Return a host's own clock, which raises ValueError where it tells no time."""

    def checked() -> int:
        now_ns = clock()
        if type(now_ns) is not int or not 0 <= now_ns <= _LATEST_NS:
            raise ValueError("the recorder's clock tells no time in nanoseconds")
        return now_ns

    return checked


def boot_id() -> "str | None":
    """Return the kernel's id of this boot: monotonic times of different boots can't be compared."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return file.read().strip().decode()
    except OSError:
        return None  # not Linux, or /proc is not mounted


def namespace(kind: str) -> "str | None":
    """Return the id of this process's namespace of a kind (`time`, `pid`); None if there is none."""
    try:
        return os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return None


def hostname() -> str:
    """Return the host's name, as `socket.gethostname` does."""
    return os.uname().nodename


def identity() -> "dict[str, str | int | None]":
    """Return the fields of `process_joined` that name this process among all hosts, boots and namespaces."""
    pid = os.getpid()
    return {
        "pid": pid,
        "pid_start": pid_start(pid),
        "parent_pid": os.getppid(),
        "host": hostname(),
        "boot_id": boot_id(),
        "time_namespace": namespace("time"),
        "pid_namespace": namespace("pid"),
    }
