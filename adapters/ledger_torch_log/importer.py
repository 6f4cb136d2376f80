"""Imports what torch prints of its compiles: logged steps as intervals, tables and records as claims."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ledger import Event
from ledger.adapters import Importer, UnreadLine
from ledger_log_lines.file_hash import progress_of
from ledger_log_lines.linear_search import searching
from ledger_log_lines.log_file import opened_log
from ledger_log_lines.plain_text import plain, without_container_stamp
from ledger_log_lines.process_events import ProcessEvents
from ledger_log_lines.stamps import Calendar, iso_wall_ns
from ledger_log_lines.wall_clock import ASSUMED, WallClock
from ledger_torch_log.compiles import events_of
from ledger_torch_log.metrics import BEGIN, MetricsReader
from ledger_torch_log.records import Record, is_of_torch, record_in
from ledger_torch_log.steps import Steps
from ledger_torch_log.tables import (
    TITLE,
    Timed,
    is_header,
    is_returned,
    is_row_or_header,
    returned_in,
    row_in,
)

_LONGEST: Final = 1 << 22
_TAIL: Final = 1 << 16
_PREFIX: Final = 200
_SHOWN: Final = 2_000
_MAX_UNREAD: Final = 1_000
_CALLED_BACKEND: Final = "OutputGraph.call_user_compiler"
"""torch times by this name what it logs as step 2."""
_STATED: Final = re.compile(r"\btook \d{1,9}(?:\.\d{1,9})? ?(?:m?s|seconds?)\b", re.ASCII)
_matters: Final = searching(
    r"Step [123]: |TorchDynamo compilation metrics|Function(?:  |, )|CompilationMetrics\(|took \d|\(\['"
)
_stamped: Final = searching(r"[VDIWEC]\d{4} \d\d:\d\d:\d\d\.|\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,")
_ENGINE: Final = re.compile(rb"(?:INFO|WARNING) \d\d-\d\d \d\d:\d\d:\d\d ")
"""With an engine's own lines around it, it is the engine's log."""
_NO_STAMPS: Final = (
    "no time stamps: what compile_times() returns has durations only, which are claims without intervals, so "
    "there is nothing to hold them against; TORCH_LOGS=dynamo,inductor logs the steps of a run with stamps"
)
_TRACE: Final = re.compile(rb"V\d{4} [^\n{]{1,400}\] \{")
"""The first line of what TORCH_TRACE writes, which quotes all kinds of texts."""
_BARE_STEP: Final = re.compile(rb"Step [123]: torch(?:dynamo|inductor) |Step 2: (?:calling|done) compiler ")
_NO_STAMPED_STEPS: Final = (
    "no time stamps: {} lines are steps of torch's without what its logger puts in front of them (`I1128 "
    "22:59:15.154000 13220 file.py:1]`); import what TORCH_LOGS wrote to standard error, or the table that "
    "compile_times() prints, whose durations become claims"
)


class TorchLogImporter:
    """Reads what torch's logger wrote about compiles, and what its own statistics are printed as."""

    name = "a log of torch's"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether a file's beginning has a step, a table or a record of torch's, and no engine's lines."""
        if b"\0" in head or _ENGINE.search(head) is not None or _TRACE.match(head) is not None:
            return False
        return any(_is_of_torch(line) for line in head.splitlines() if _matters(line, 0, len(line)))

    def what_is_missing(self, head: bytes) -> str | None:
        """Return what keeps a text from being read that has steps of torch's."""
        count = sum(_BARE_STEP.search(line) is not None for line in head.splitlines())
        return None if not count else _NO_STAMPED_STEPS.format(count)

    def size(self, path: Path) -> int:
        """Return the bytes that `read` reports: the file's size, and a fraction of it for the hash."""
        return progress_of(path.stat().st_size)

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | UnreadLine]:
        """Yield the events of one session; a file that grows is read up to its size at the start."""
        with opened_log(path, _last_stamp, progress) as (file, name, size, clock):
            log = _Log(f"torch-{name}", WallClock(clock))
            number, is_going_on = 1, False
            while line := file.readline(min(_LONGEST, size)):
                size -= len(line)
                progress(len(line))
                is_cut = not line.endswith(b"\n") and size > 0
                if is_cut and not is_going_on:
                    yield UnreadLine(
                        number, f"a line of more than {_LONGEST:,} bytes: not read", _decoded(line[:_SHOWN])
                    )
                elif not is_going_on:
                    yield from log.take(line, number)
                is_going_on = is_cut
                number += not is_cut
            yield from log.end()


def importer() -> Importer:
    """Return the importer: what the entry point names."""
    return TorchLogImporter()


class _Process:
    """One process of the log."""

    def __init__(self, session: str, pid: int | None, rank: int | None) -> None:
        name = "torch" if pid is None else f"pid-{pid}"
        self.events: Final = ProcessEvents(session, name if rank is None else f"rank-{rank}-{name}")
        self.steps: Final = Steps(self.events)
        self.pid, self.rank = pid, rank
        self.is_in_table = False


class _Log:
    """A log that is being read."""

    def __init__(self, session: str, wall: WallClock) -> None:
        self._session: Final = session
        self._wall = wall
        self._calendar = Calendar()
        self._processes: dict[tuple[int | None, int | None], _Process] = {}
        self._metrics = MetricsReader()
        self._seen_metrics: set[int] = set()
        self._is_in_table = False
        self._earliest_ns: int | None = None
        self._latest_ns = 0
        self._spanned_ns: tuple[int, ...] = ()
        """When the first compile of a record began, and the last one ended."""
        self._last_stamped: bytes | None = None
        self._has_untimed = False
        self._unread = 0

    def take(self, line: bytes, number: int) -> Iterator[Event | UnreadLine]:
        """Yield the events of a line."""
        is_stamped = _stamped(line, 0, min(len(line), _PREFIX)) is not None
        if is_stamped:
            self._last_stamped = line
        in_table = self._is_in_table or any(one.is_in_table for one in self._processes.values())
        is_first = is_stamped and self._earliest_ns is None
        if not (in_table or self._metrics or is_first or _matters(line, 0, len(line)) is not None):
            return
        text = plain(_decoded(line))
        record = record_in(text, self._calendar) if is_stamped else None
        if record is not None and record.at_ns is None:
            yield from self._reject(number, f"the stamp {record.stamp} is not a valid time", text)
        elif record is not None and record.at_ns is not None:
            self._see(record, record.at_ns, text)
            yield from self._take_record(self._process(record.pid, record.rank), record, record.at_ns, number)
        else:
            yield from self._take_text(without_container_stamp(text), number)

    def end(self) -> Iterator[Event | UnreadLine]:
        """Yield the events that had to wait for the end."""
        if self._last_stamped is not None:
            text = plain(_decoded(self._last_stamped))
            record = record_in(text, self._calendar)
            if record is not None and record.at_ns is not None:
                self._see(record, record.at_ns, text)
        if self._metrics:
            yield from self._reject(self._metrics.line, "a CompilationMetrics record that is cut off", "")
        if not self._processes:
            return
        is_going_on = any(bool(one.steps) for one in self._processes.values())
        for process in self._processes.values():
            yield from process.steps.rest()
        first = next(iter(self._processes.values())).events
        at_ns = min((self._earliest_ns,) if self._earliest_ns is not None else self._spanned_ns, default=0)
        self._latest_ns = max(self._latest_ns, *self._spanned_ns, at_ns)
        yield first.session_started(at_ns, self._wall.wall_ns(at_ns))
        if self._has_untimed:
            yield first.gap("time_stamps", self._latest_ns, _NO_STAMPS)
        if self._earliest_ns is not None and not self._wall.is_stated:
            yield first.gap("wall_clock", at_ns, ASSUMED)
        # How the processes ended, torch does not say.
        if not is_going_on:
            yield first.session_ended("completed", self._latest_ns)
        for process in self._processes.values():
            name = "torch" if process.pid is None else f"pid {process.pid}"
            yield process.events.joined(
                name if process.rank is None else f"rank {process.rank}", rank=process.rank, pid=process.pid,
                wall_offset_ns=self._wall.offset_ns,
            )  # fmt: skip

    def _see(self, record: Record, at_ns: int, text: str) -> None:
        self._wall.take(
            record.stamp, at_ns, iso_wall_ns(text[: min(_PREFIX, text.find(record.message[:50]))][:40])
        )
        self._earliest_ns = at_ns if self._earliest_ns is None else min(self._earliest_ns, at_ns)
        self._latest_ns = max(self._latest_ns, at_ns)

    def _take_record(
        self, process: _Process, record: Record, at_ns: int, line: int
    ) -> Iterator[Event | UnreadLine]:
        message = record.message.strip()
        process.events.see(at_ns)
        if process.is_in_table or message == TITLE or is_header(message):
            process.is_in_table = message == TITLE or is_row_or_header(message)
            if (row := row_in(message)) is not None:
                yield from self._claim(process, row, at_ns, line)
            if process.is_in_table:
                return
        if BEGIN in message or self._metrics:
            yield from self._take_metrics(process, message, line)
            return
        made = list(process.steps.take(record, at_ns, line))
        yield from made
        if not made and _STATED.search(message) is not None:
            yield from self._reject(line, "states a duration in an unknown wording", message)

    def _take_text(self, text: str, line: int) -> Iterator[Event | UnreadLine]:
        """Take a line without a stamp."""
        if text == TITLE or is_header(text):
            self._is_in_table = True
        elif self._is_in_table and not is_row_or_header(text):
            self._is_in_table = False
        if self._is_in_table:
            if (row := row_in(text)) is not None:
                yield from self._claim(self._unstamped, row, self._latest_ns, line)
        elif is_returned(text):
            for row in returned_in(text):
                yield from self._claim(self._unstamped, row, self._latest_ns, line)
        elif BEGIN in text or self._metrics:
            yield from self._take_metrics(self._unstamped, text, line)

    @property
    def _unstamped(self) -> _Process:
        """What a line without a stamp is of: the only process, if there is just one."""
        if len(self._processes) == 1:
            return next(iter(self._processes.values()))
        return self._process(None, None)

    def _claim(self, process: _Process, row: Timed, at_ns: int, line: int) -> Iterator[Event]:
        self._has_untimed = self._has_untimed or self._earliest_ns is None
        backends = process.steps.backends if row.name == _CALLED_BACKEND else []
        for number, seconds in enumerate(row.seconds):
            if seconds == 0:
                continue
            which: list[int] = []
            if len(row.seconds) == len(backends):
                which = [backends[number][0]]
            elif len(row.seconds) == 1:
                which = [interval for interval, _ in backends]
            data: dict[str, object] = {"line": line, "of_calls": len(row.seconds)}
            if len(row.seconds) > 1:
                data["call"] = number
            if len(which) > 1:
                data["intervals"] = which
            yield process.events.claim(
                row.name, round(seconds * 1e9), at_ns, source="torch", resolution_ns=row.resolution_ns,
                text=row.text[:_SHOWN], interval=which[0] if len(which) == 1 else None, data=data,
            )  # fmt: skip

    def _take_metrics(self, process: _Process, text: str, line: int) -> Iterator[Event | UnreadLine]:
        for metrics in self._metrics.take(text, line):
            if metrics is None:
                yield from self._reject(
                    self._metrics.line, "a CompilationMetrics record that cannot be read", text
                )
                continue
            if (key := hash(tuple(sorted(metrics.items(), key=lambda item: item[0])))) in self._seen_metrics:
                continue  # printed again
            self._seen_metrics.add(key)
            # Its times are the wall clock's; a log's own have neither year nor zone.
            at_ns = self._latest_ns if self._earliest_ns is not None else None
            if at_ns is None and self._wall.offset_ns is None:
                self._wall.offset_ns, self._wall.is_stated = 0, True
            for event in events_of(process.events, metrics, self._metrics.line, at_ns):
                self._spanned_ns = (*self._spanned_ns, event.at_ns)
                self._spanned_ns = (min(self._spanned_ns), max(self._spanned_ns))
                yield event

    def _process(self, pid: int | None, rank: int | None) -> _Process:
        if (pid, rank) not in self._processes:
            self._processes[pid, rank] = _Process(self._session, pid, rank)
        return self._processes[pid, rank]

    def _reject(self, number: int, reason: str, text: str) -> Iterator[UnreadLine]:
        self._unread += 1
        if self._unread <= _MAX_UNREAD:
            yield UnreadLine(number, reason, text[:_SHOWN])


def _is_of_torch(line: bytes) -> bool:
    text = plain(_decoded(line[:_LONGEST]))
    bare = without_container_stamp(text)
    return bare == TITLE or is_header(bare) or is_returned(bare) or BEGIN in bare or is_of_torch(text)


def _last_stamp(file: BinaryIO, size: int) -> str | None:
    """Return the last stamp of a file; None where its end has none."""
    file.seek(max(0, size - _TAIL))
    for line in reversed(file.read(min(size, _TAIL)).splitlines()):
        if _stamped(line, 0, len(line)) is not None:
            record = record_in(plain(_decoded(line)), Calendar())
            if record is not None:
                return record.stamp
    return None


def _decoded(line: bytes) -> str:
    return line.decode(errors="replace")
