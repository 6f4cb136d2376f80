"""Records the start of a process of vLLM's, from before anything in it could be watched."""

import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from ledger import Recorder

_START_TIME: Final = 19
"""Which field of /proc/self/stat after the command is the start time, in ticks since boot: proc(5), (22)."""


def record_process_start(recorder: Recorder, spawned: "Spawned | None") -> None:
    """Record how long this process took until vLLM had loaded its plugins in it."""
    if spawned is None or spawned.pid != os.getpid():
        return
    data = {"until": "vLLM loaded its plugins", "resolution_ns": spawned.resolution_ns}
    started = recorder.start("process_start", source="engine", data=data, at_ns=spawned.began_ns)
    recorder.stop(started, at_ns=spawned.loaded_ns)


class Spawned(NamedTuple):
    """When a process that vLLM started was started, and when vLLM had loaded its plugins in it."""

    began_ns: int
    loaded_ns: int
    resolution_ns: int
    """Of the beginning, which the kernel counts in ticks."""
    pid: int
    """A forked child has its parent's plugins, and never loads its own."""


def spawned_by_vllm() -> Spawned | None:
    """Return when this process started; None where that says nothing about vLLM, or is not known.

    A script that uses vLLM may have done anything before; a process of vLLM's own has only started.
    """
    loaded_ns = time.perf_counter_ns()
    # A program that Python is embedded in may have no arguments, or not even the list of them.
    program = Path(*getattr(sys, "argv", [])[:1]).name
    is_of_vllm = multiprocessing.parent_process() is not None or program == "vllm"
    if not is_of_vllm or not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    try:
        stat = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    since_boot_ns = int(stat.rpartition(")")[2].split()[_START_TIME]) * tick_ns
    # perf_counter does not go on while the machine is suspended, but no start-up is measured over that.
    age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - since_boot_ns
    return Spawned(loaded_ns - age_ns, loaded_ns, tick_ns, os.getpid())
