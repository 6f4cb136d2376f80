"""Imports a log of SGLang: reads it twice, for its hash and for its lines, which go to start-ups."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ledger import Event
from ledger.adapters import Importer, UnreadLine
from ledger_log_lines.file_hash import progress_of
from ledger_log_lines.line_filter import LONGEST, Line, LineFilter
from ledger_log_lines.log_file import opened_log
from ledger_log_lines.plain_text import plain, without_container_stamp
from ledger_log_lines.progress_bars import Bar, WaitingBars, finished_bar_in, is_bar
from ledger_log_lines.wall_clock import FileClock, WallClock
from ledger_sglang_log.message_patterns import BARS, RAISED, BarPattern, passed_over, search_line
from ledger_sglang_log.records import (
    MARK,
    STAMP,
    Clock,
    Record,
    bare_message,
    bare_record,
    has_record,
    meaning_of,
    pattern_of,
    records,
    states_duration,
)
from ledger_sglang_log.startups import StartUp

_MAX_UNREAD: Final = 1_000
_RAISED: Final = re.compile(RAISED, re.ASCII)
_NO_STAMPS: Final = (
    "no time stamps: {} of SGLang's without the logger's `[YYYY-MM-DD hh:mm:ss]`; import the log that they "
    "were copied from, or a container's copy that says when lines were written (`docker logs --timestamps`)"
)
LINES: Final = LineFilter(search_line, (MARK,), STAMP, has_record, passed_over)


class SglangLogImporter:
    """Reads what SGLang's logger wrote, wherever it was captured."""

    name = "a log of SGLang's"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the beginning of a file has a stamped message of SGLang's."""
        if b"\0" in head:
            return False
        return any(
            _is_record(line) for line in head.splitlines() if search_line(line, 0, len(line)) is not None
        )

    def what_is_missing(self, head: bytes) -> str | None:
        """Return what keeps a text with messages of SGLang's from being read."""
        texts = (plain(line.decode(errors="replace")) for line in head.splitlines())
        count = sum(pattern_of(bare_message(text)[1]) is not None for text in texts)
        if not count:
            return None
        return _NO_STAMPS.format("a line is a message" if count == 1 else f"{count} lines are messages")

    def size(self, path: Path) -> int:
        """Return the bytes that `read` reports: the file's size, and a fraction of it for the hash."""
        return progress_of(path.stat().st_size)

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | UnreadLine]:
        """Yield the log's events; a file that grows meanwhile is read up to its size at the start."""
        with opened_log(path, _last_stamp, progress) as (file, name, size, clock):
            log = _Log(f"log-{name}", clock)
            for line in LINES.lines(file, size, progress):
                yield from log.take(line)
            yield from log.end()


def importer() -> Importer:
    """Return the importer: what the entry point names."""
    return SglangLogImporter()


class _Log:
    """A log that is being read."""

    def __init__(self, session: str, file_clock: FileClock) -> None:
        self._session: Final = session
        self._clock = Clock()
        self._start = StartUp(session, WallClock(file_clock))
        self._starts = 1
        self._bars = WaitingBars()
        self._last_ns: int | None = None
        self._unread, self._last_unread = 0, 0

    def take(self, line: Line) -> Iterator[Event | UnreadLine]:
        """Yield the events of a line."""
        text = plain(line.text.decode(errors="replace"))
        if line.is_too_long:
            yield from self._reject(line.number, f"a line of more than {LONGEST:,} bytes: not read", text)
            return
        found = list(records(text, self._clock))
        if not found and (bare := bare_record(text, self._clock)) is not None:
            found = [bare]
        inside = without_container_stamp(text)
        before = inside if not found else text[: text.find(f"[{found[0].stamp}")].strip()
        bar = finished_bar_in(f" {before}" if before[:4] == "100%" else before)
        if bar is not None:
            yield from self._take_bar(bar, line.number)
        for record in found:
            yield from self._take_record(record, line.number)
        if not found and bar is None:
            if (raised := _RAISED.match(inside)) is not None:
                self._start.take_exception(raised[0].rpartition(".")[2])
            elif states_duration(inside) and not is_bar(inside):
                yield from self._reject(
                    line.number, "states a duration, but has no SGLang logger's stamp", text
                )

    def end(self) -> Iterator[Event | UnreadLine]:
        """Yield the events that had to wait for the end."""
        yield from self._take_waiting_bars(None)
        yield from self._start.end(is_followed=False)
        if self._unread > _MAX_UNREAD:
            reason = f"{self._unread - _MAX_UNREAD:,} more unread lines up to here: not kept"
            yield UnreadLine(self._last_unread, reason, "")

    def _take_record(self, record: Record, line: int) -> Iterator[Event | UnreadLine]:
        found = meaning_of(record.message)
        if record.at_ns is None:
            if found is not None or states_duration(record.message):
                reason = f"the stamp {record.stamp} is not a valid time"
                yield from self._reject(line, reason, record.message)
            return
        if self._bars:
            yield from self._take_waiting_bars(record.at_ns)
        self._last_ns = record.at_ns
        if found is None:
            self._start.extend(record, record.at_ns)
            if states_duration(record.message):
                yield from self._reject(line, "states a duration in an unknown wording", record.message)
            return
        meaning, match = found
        if self._start.is_before(meaning, record):
            yield from self._start.end(is_followed=True)
            self._starts += 1
            session = f"{self._session}-{self._starts}"
            self._start = StartUp(session, self._start.wall.for_next())
        self._start.extend(record, record.at_ns)
        yield from self._start.take(record, record.at_ns, line, meaning, match)

    def _take_bar(self, bar: Bar, line: int) -> Iterator[UnreadLine]:
        if _meaning_of_bar(bar) is None:
            yield from self._reject(line, "a progress bar with an unknown description", bar.text)
        elif self._last_ns is None:
            yield from self._reject(line, "a progress bar before the first stamp", bar.text)
        else:
            self._bars.add(bar, line, self._last_ns)

    def _take_waiting_bars(self, next_ns: int | None) -> Iterator[Event | UnreadLine]:
        for bar, line, at_ns, unit_ns in self._bars.take(next_ns):
            row = _meaning_of_bar(bar)
            events = None if row is None else self._start.take_bar(row, bar, line, at_ns, unit_ns)
            if events is None:
                yield from self._reject(line, "a progress bar of a stage that nobody is in", bar.text)
            else:
                yield from events

    def _reject(self, number: int, reason: str, text: str) -> Iterator[UnreadLine]:
        self._unread, self._last_unread = self._unread + 1, number
        if self._unread <= _MAX_UNREAD:
            yield UnreadLine(number, reason, text)


def _is_record(line: bytes) -> bool:
    text = plain(line[:LONGEST].decode(errors="replace"))
    found = records(text, Clock()) if MARK in line else ()
    return any(pattern_of(record.message) for record in found) or bare_record(text, Clock()) is not None


def _meaning_of_bar(bar: Bar) -> BarPattern | None:
    return next((row for row in BARS if row.pattern.fullmatch(bar.description) is not None), None)


def _last_stamp(file: BinaryIO, size: int) -> str | None:
    """Return the last stamp of a file; None where its end, the length of a longest line, has none."""
    file.seek(max(0, size - LONGEST))
    end = file.read(min(size, LONGEST))
    start = LINES.last_stamped(end, 0, len(end))
    found = () if start is None else tuple(records(plain(end[start:].decode(errors="replace")), Clock()))
    return found[-1].stamp if found else None
