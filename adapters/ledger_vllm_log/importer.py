"""Imports a log of vLLM's: reads it twice, for its hash and for its lines, and hands these to start-ups."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ledger import Event, Importer, UnreadLine
from ledger_vllm_log.line_filter import LONGEST, Line, lines
from ledger_vllm_log.message_patterns import meaning_of, says_that_no_engine_came, speaks_of_time
from ledger_vllm_log.processes import Place
from ledger_vllm_log.records import Record, has_record, plain, records, speaker_of
from ledger_vllm_log.stamps import Calendar
from ledger_vllm_log.startups import Start

_CHUNK: Final = 1 << 20
_HASHED_AT_ONCE: Final = 8
"""So much faster is a file hashed than read: its bytes count for so much less, and a bar goes evenly."""
_MAX_UNREAD: Final = 1_000


class LogImporter:
    """Reads what vLLM's logger wrote, wherever it was kept: a terminal, a CI system, Ray, an issue."""

    @property
    def name(self) -> str:
        """What it reads."""
        return "a log of vLLM's"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Tell whether the beginning of a file has a line of vLLM's logger."""
        if b"\0" in head:
            return False
        # With colours there may be an escape between any two of its words.
        return any(has_record(plain(_decoded(line))) for line in head.splitlines())

    def size(self, path: Path) -> int:
        """Return the file's size, and a part of it: it is read for its hash, and again for its lines."""
        size = path.stat().st_size
        return size + size // _HASHED_AT_ONCE

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | UnreadLine]:
        """Yield the log's events; a file that grows meanwhile is read as far as it went at first."""
        with path.open("rb") as file:
            digest, size = _hashed(file, progress)
            file.seek(0)
            log = _Log(f"log-{digest[:16]}")
            for line in lines(file, size, progress):
                yield from log.take(line)
            yield from log.end()


def importer() -> Importer:
    """Return the importer: what the entry point names."""
    return LogImporter()


class _Log:
    """A log that is being read."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._calendar = Calendar()
        self._starts = 1
        self._start = Start(session, None)
        self._unread, self._last_unread = 0, 0

    def take(self, line: Line) -> Iterator[Event | UnreadLine]:
        """Yield what a line makes known."""
        text = plain(_decoded(line.text))
        if line.is_too_long:
            yield from self._cannot(line.number, f"a line of more than {LONGEST:,} bytes: not read", text)
            return
        is_record = False
        for record in records(text, self._calendar):
            is_record = True
            yield from self._take(record, line.number)
        if is_record:
            return
        if says_that_no_engine_came(text):
            self._start.fails(speaker_of(text))
        elif speaks_of_time(text):
            yield from self._cannot(line.number, "speaks of time, but not by vLLM's logger: no stamp", text)

    def end(self) -> Iterator[Event | UnreadLine]:
        """Yield what was to wait for the end."""
        yield from self._start.end(is_followed=False)
        if self._unread > _MAX_UNREAD:
            reason = f"{self._unread - _MAX_UNREAD:,} more such lines up to here: not kept"
            yield UnreadLine(self._last_unread, reason, "")

    def _take(self, record: Record, line: int) -> Iterator[Event | UnreadLine]:
        message = record.message
        meaning = meaning_of(message)
        if meaning is None:
            self._start.goes_on(record.at_ns or 0)
            if speaks_of_time(message):
                yield from self._cannot(line, "speaks of time in words that are not known", message)
        elif record.at_ns is None:
            yield from self._cannot(line, f"there is no such time as {record.stamp}", message)
        else:
            if self._start.is_before(meaning, record.speaker):
                yield from self._start.end(is_followed=True)
                self._starts += 1
                self._start = Start(f"{self._session}-{self._starts}", self._start.ahead_ns)
            yield from self._start.take(record, record.at_ns, Place(line, record.place), meaning)

    def _cannot(self, line: int, reason: str, text: str) -> Iterator[UnreadLine]:
        self._unread, self._last_unread = self._unread + 1, line
        if self._unread <= _MAX_UNREAD:
            yield UnreadLine(line, reason, text)


def _hashed(file: BinaryIO, progress: Callable[[int], None]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        progress(len(chunk) // _HASHED_AT_ONCE)
    return digest.hexdigest(), size


def _decoded(text: bytes) -> str:
    return text.decode(errors="replace")
