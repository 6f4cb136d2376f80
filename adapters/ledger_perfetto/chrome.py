"""Writes a session as Chrome's trace events, JSON that many viewers open.

The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

import json
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final

from ledger_perfetto.drawing import Drawing, DrawnProcess, Sample, Slice

_NS_PER_US: Final = 1_000
_CATEGORY: Final = "compile-ledger"

_Event = dict[str, object]


def trace(drawing: Drawing) -> Iterator[bytes]:
    """Yield the trace in chunks."""
    head = {"session": drawing.session, "began_ns_since_epoch": drawing.wall_ns}
    yield f'{{"displayTimeUnit": "ms", "otherData": {json.dumps(head)}, "traceEvents": ['.encode()
    before = "\n"
    for event in _events(drawing):
        yield f"{before}{json.dumps(event)}".encode()
        before = ",\n"
    yield b"\n]}\n"


def _events(drawing: Drawing) -> Iterator[_Event]:
    taken = {process.pid for process in drawing.processes}
    free = (number for number in count(1) if number not in taken)
    pids = [next(free) if process.pid is None else process.pid for process in drawing.processes]
    for rank, (process, pid) in enumerate(zip(drawing.processes, pids, strict=True)):
        for event in _of_process(process, rank):
            yield {"pid": pid, **event}
    for place, contents in drawing.contents:
        for event in _of_contents(contents, len(drawing.processes[place].marks)):
            yield {"pid": pids[place], **event}


def _of_process(process: DrawnProcess, rank: int) -> Iterator[_Event]:
    yield _about("process_name", 0, name=process.name)
    yield _about("process_labels", 0, labels=process.description)
    yield _about("process_sort_index", 0, sort_index=rank)
    for tid, (name, marks) in enumerate(process.marks.items(), 1):
        yield _about("thread_name", tid, name=name)
        yield _about("thread_sort_index", tid, sort_index=tid)
        yield from (_event("i", mark.name, tid, mark.at_ns, s="t", args=mark.notes) for mark in marks)


def _of_contents(contents: Iterable[Slice | Sample], tids_taken: int) -> Iterator[_Event]:
    named: set[int] = set()
    for one in contents:
        track = one.track
        if isinstance(one, Sample):
            yield _event("C", track.name, 0, one.at_ns, args={"ns": one.total_ns})
            continue
        tid = tids_taken + 1 + track.number
        if tid not in named:
            named.add(tid)
            yield _about("thread_name", tid, name=track.name)
            yield _about("thread_sort_index", tid, sort_index=track.rank)
        yield _slice(one, tid)


def _slice(one: Slice, tid: int) -> _Event:
    if one.stop_ns is None:
        return _event("B", one.name, tid, one.start_ns, args=one.notes)
    return _event("X", one.name, tid, one.start_ns, dur=_us(one.stop_ns - one.start_ns), args=one.notes)


def _about(what: str, tid: int, **args: str | int) -> _Event:
    return {"ph": "M", "name": what, "tid": tid, "args": args}


def _event(phase: str, name: str, tid: int, at_ns: int, **rest: object) -> _Event:
    return {"ph": phase, "name": name, "cat": _CATEGORY, "tid": tid, "ts": _us(at_ns), **rest}


def _us(ns: int) -> float:
    """Return nanoseconds as microseconds; times below three months round-trip exactly."""
    return ns / _NS_PER_US
