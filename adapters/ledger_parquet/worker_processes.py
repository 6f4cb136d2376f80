"""Shares the jobs of an export among processes; results come in the order of the jobs.

A worker is an interpreter of its own, not a fork: a process that has the ledger open through one SQLite, or
threads, can't be forked safely. It gets jobs on its standard input and answers on its standard output, both
pickled. It ends when its input does, so that none outlives the process that started it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any, Final

from ledger import LedgerError
from ledger_parquet.jobs import Context, Job, Progress

_EVENTS_A_PROCESS: Final = 300_000
"""For fewer it does not pay to start one: some 2 s of work."""
_MOST: Final = 2
"""A worker needs some 100 MB; the whole export stays below 400 MB."""
_LOOK_S: Final = 0.2
_START: Final = "import sys; sys.path[:] = sys.argv[1:]; from ledger_parquet.worker_main import main; main()"
_RECORDING: Final = "COMPILE_LEDGER"
"""Where this variable is set, each interpreter records itself: a worker does not."""
_ALLOCATING: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Has glibc give the memory of a batch back at once: the next one is of another size. And has Arrow take its
memory from glibc, everywhere: its own pool keeps twice the memory that is in use."""

Run = Callable[[Sequence[Job]], Iterator[Any]]
"""Does jobs, and yields their results in order."""


@contextmanager
def runner(context: Context, events: int, processes: int | None = None) -> Generator[Run]:
    """Yield what does jobs: in as many processes as pay off for so many events, or in so many."""
    count = _paying_off(events) if processes is None else processes
    if count < 2:
        yield lambda jobs: (job.run(context) for job in jobs)
        return
    workers = _Workers(context, count)
    try:
        yield workers.run
    finally:
        workers.close()


def _paying_off(events: int) -> int:
    if not sys.executable:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST, events // _EVENTS_A_PROCESS)


class _Workers:
    def __init__(self, context: Context, most: int) -> None:
        self._context: Final = context
        self._most: Final = most
        self._all: Final[list[_Worker]] = []
        self._idle: Final[SimpleQueue[_Worker]] = SimpleQueue()
        self._progress: Final[SimpleQueue[int]] = SimpleQueue()
        self._threads: Final = ThreadPoolExecutor(most)

    def run(self, jobs: Sequence[Job]) -> Iterator[Any]:
        """Yield the results in order. Whatever a job raises is raised at once."""
        while len(self._all) < min(self._most, len(jobs)):
            worker = _Worker(self._context)
            self._all.append(worker)
            self._idle.put(worker)
        waiting = deque(self._threads.submit(self._do, job) for job in jobs)
        while waiting:
            wait([waiting[0]], _LOOK_S)
            self._report()
            _raise_first(waiting)
            while waiting and waiting[0].done():
                yield waiting.popleft().result()

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        for worker in self._all:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)

    def _do(self, job: Job) -> Any:
        worker = self._idle.get()
        try:
            return worker.do(job, self._progress.put)
        finally:
            self._idle.put(worker)

    def _report(self) -> None:
        while not self._progress.empty():
            self._context.progress(self._progress.get())


class _Worker:
    def __init__(self, context: Context) -> None:
        self._process: Final = subprocess.Popen(
            [sys.executable, "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: text for name, text in os.environ.items() if name != _RECORDING} | _ALLOCATING,
            start_new_session=True,  # Ctrl-C is for the process that started it, which ends it
        )
        self._first: Any = (context.tables.path, context.lake.url)

    def do(self, job: Job, progress: Progress) -> Any:
        """Have a job done, and return its result; raise what it raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            for each in (self._first, job):
                if each is not None:
                    pickle.dump(each, self._process.stdin)
            self._first = None
            self._process.stdin.flush()
            while True:
                kind, value = pickle.load(self._process.stdout)
                if kind == "progress":
                    progress(value)
                elif kind == "failed":
                    raise value
                else:
                    return value
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            code = self._process.wait()
            raise LedgerError(
                f"a process of the export ended with exit code {code}; export again: what is written stays"
            ) from error

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # of a job that was on its way
                pipe.close()


def _raise_first(futures: Sequence[Future[Any]]) -> None:
    for future in futures:
        if future.done() and (error := future.exception()) is not None:
            raise error
