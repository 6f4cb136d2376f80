"""Records the start of an engine's process, from before anything in it could be hooked."""

import multiprocessing
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

from ledger import Recorder

_START_TIME: Final = 19
"""Which field of /proc/self/stat after the command is the start time, in ticks since boot: proc(5), (22)."""


class ProcessStart(NamedTuple):
    """When a process that an engine started was started, and when the adapter was loaded in it."""

    began_ns: int
    loaded_ns: int
    resolution_ns: int
    """Of the beginning, which the kernel counts in ticks."""
    pid: int
    """A forked child has its parent's plugins, and never loads its own."""


def record_process_start(recorder: Recorder, start: ProcessStart | None, until: str) -> None:
    """Record how long this process took until the adapter was loaded: `until` says by what."""
    if start is None or start.pid != os.getpid():
        return
    data = {"until": until, "resolution_ns": start.resolution_ns}
    interval = recorder.start("process_start", source="engine", data=data, at_ns=start.began_ns)
    recorder.stop(interval, at_ns=start.loaded_ns)


def process_start(programs: Collection[str]) -> ProcessStart | None:
    """Return when this process started; None where that says nothing about the engine, or can't be read.

    A script that uses an engine may have done anything before. A child of multiprocessing, and a process of
    one of the engine's own `programs`, has only started.
    """
    loaded_ns = time.perf_counter_ns()
    # A program that Python is embedded in may have no arguments, or not even the list of them.
    program = Path(*getattr(sys, "argv", [])[:1]).name
    is_of_engine = multiprocessing.parent_process() is not None or program in programs
    if not is_of_engine or not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    try:
        stat = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    since_boot_ns = int(stat.rpartition(")")[2].split()[_START_TIME]) * tick_ns
    # perf_counter does not go on while the machine is suspended, but no start-up is measured over that.
    age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - since_boot_ns
    return ProcessStart(loaded_ns - age_ns, loaded_ns, tick_ns, os.getpid())
