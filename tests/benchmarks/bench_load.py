"""How long the emitting thread stands still while many processes record and a collector runs; what is lost.

Each process records events for a few seconds: 300 a second in bursts of 30, as a compile emits them, or as
fast as it can. A process of its own collects all the while. What each call took is measured around it, and
beside it a bare write of as many bytes: more processes than processors have to wait for their turn anyway.
"""

import multiprocessing
import os
import sqlite3
import statistics
import tempfile
import time
from array import array
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final, NamedTuple

from measuring import Figure, Goal

from ledger import Recorder
from ledger.recording.journal import journal_folder
from ledger.storage.collector import collect
from ledger.storage.store import Store
from ledger_birth.environment import FILE_VARIABLE, SESSION_VARIABLE

_SECONDS: Final = float(os.environ.get("BENCH_LOAD_SECONDS", "4"))
_PROCESSES: Final = (1, 16, 64)
_BURST: Final = 30
_BURSTS_A_SECOND: Final = 10
_LINE: Final = b"x" * 150 + b"\n"
_FORK: Final = multiprocessing.get_context("fork")


class Load(NamedTuple):
    """What came of one round."""

    calls_us: list[float]
    """Of each event, …"""
    writes_us: list[float]
    """… and of each bare write."""
    stored: int


def main() -> None:
    """Measure every number of processes at both speeds."""
    for processes in _PROCESSES:
        for is_burst in (True, False):
            load = _under_load(processes, is_burst)
            speed = "300 events/s each, in bursts" if is_burst else "at full speed"
            print(f"{processes} recording, {speed}, and a collector: {len(load.calls_us):,} events")
            for name, taken_us in (("an event", load.calls_us), ("a bare write", load.writes_us)):
                cuts = statistics.quantiles(taken_us, n=100)
                print(Figure(f"{name} at the median", cuts[49], "us"))
                print(Figure(f"{name} at the 99th percentile", cuts[98], "us"))
                print(Figure(f"{name} at most", max(taken_us), "us"))
            print(Goal("events lost", len(load.calls_us) - load.stored, 0, "events"))


def _under_load(processes: int, is_burst: bool) -> Load:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "startup.db"
        os.environ.update({FILE_VARIABLE: str(path), SESSION_VARIABLE: "20261128-120000-00000000"})
        stopping = _FORK.Event()
        collecting = _FORK.Process(target=_collect, args=(path, stopping))
        collecting.start()
        pipes: list[Connection] = []
        writers: list[multiprocessing.process.BaseProcess] = []
        for _ in range(processes):
            ours, theirs = _FORK.Pipe(duplex=False)
            writer = _FORK.Process(target=_write, args=(path.parent, is_burst, theirs))
            writer.start()
            theirs.close()
            pipes.append(ours)
            writers.append(writer)
        calls_us, writes_us = array("d"), array("d")
        for pipe in pipes:
            for taken_us in (calls_us, writes_us):
                taken_us.frombytes(pipe.recv_bytes())
        for writer in writers:
            writer.join()
        stopping.set()
        collecting.join()
        with sqlite3.connect(path) as connection:
            query = "SELECT count(*) FROM events WHERE kind = 'milestone_reached'"
            [stored] = connection.execute(query).fetchone()
        return Load(list(calls_us), list(writes_us), stored)


def _write(folder: Path, is_burst: bool, pipe: Connection) -> None:
    recorder = Recorder.from_environment()
    file = os.open(folder / f"{os.getpid()}.bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    calls_us, writes_us = array("d"), array("d")
    began_s = time.perf_counter()
    while (now_s := time.perf_counter()) - began_s < _SECONDS:
        for _ in range(_BURST):
            start_ns = time.perf_counter_ns()
            recorder.milestone("step")
            recorded_ns = time.perf_counter_ns()
            os.write(file, _LINE)
            calls_us.append((recorded_ns - start_ns) / 1e3)
            writes_us.append((time.perf_counter_ns() - recorded_ns) / 1e3)
        if is_burst:
            time.sleep(max(0.0, now_s + 1 / _BURSTS_A_SECOND - time.perf_counter()))
    os.close(file)
    recorder.close()
    for taken_us in (calls_us, writes_us):
        pipe.send_bytes(taken_us.tobytes())


def _collect(path: Path, stopping: Event) -> None:
    store = Store.open(path)
    is_last = False
    while not is_last:
        is_last = stopping.is_set()
        collect(store, journal_folder(path))
        time.sleep(0.05)
    store.close()


if __name__ == "__main__":
    main()
