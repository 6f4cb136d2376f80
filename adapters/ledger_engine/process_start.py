"""Records the start of an engine's process, from before anything in it could be hooked."""

import multiprocessing
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

from ledger import Recorder
from ledger.adapters import process_created

_SPAWNED: Final = "--multiprocessing-fork"
"""Among the arguments of each process that multiprocessing spawns."""


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
    # A spawned child does not know its parent while it imports what it will run.
    is_child = multiprocessing.parent_process() is not None or _SPAWNED in sys.orig_argv
    if not is_child and program not in programs:
        return None
    created = process_created()
    return (
        None
        if created is None
        else ProcessStart(created.at_ns, loaded_ns, created.resolution_ns, os.getpid())
    )
