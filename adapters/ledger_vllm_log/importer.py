"""Imports a vLLM log: reads it twice, for its hash and for its lines, and passes the lines to start-ups."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ledger import Event
from ledger.adapters import Importer, UnreadLine
from ledger_vllm_log.line_filter import LONGEST, Line, lines
from ledger_vllm_log.message_meaning import is_missing_engine, meaning_of, mentions_duration
from ledger_vllm_log.processes import Place
from ledger_vllm_log.records import Record, has_record, plain, records, speaker_of
from ledger_vllm_log.stamps import Calendar
from ledger_vllm_log.startups import StartUp

_CHUNK: Final = 1 << 20
_HASHED_AT_ONCE: Final = 8
"""Hashing is this much faster than reading, so hashed bytes count this much less in the progress."""
_MAX_UNREAD: Final = 1_000


class LogImporter:
    """Reads what vLLM's logger wrote, wherever it was captured: on a terminal, in CI, by Ray."""

    @property
    def name(self) -> str:
        """What it reads."""
        return "a log of vLLM's"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the beginning of a file contains a line of vLLM's logger."""
        if b"\0" in head:
            return False
        # In coloured output an escape sequence may stand between any two words.
        return any(has_record(plain(_decoded(line))) for line in head.splitlines())

    def size(self, path: Path) -> int:
        """Return the bytes that `read` reports: the file's size, and a fraction of it for the hash."""
        size = path.stat().st_size
        return size + size // _HASHED_AT_ONCE

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | UnreadLine]:
        """Yield the log's events; a file that grows meanwhile is read up to its size at the start."""
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
        self._start = StartUp(session, None)
        self._unread, self._last_unread = 0, 0

    def take(self, line: Line) -> Iterator[Event | UnreadLine]:
        """Yield the events of a line."""
        text = plain(_decoded(line.text))
        if line.is_too_long:
            yield from self._reject(line.number, f"a line of more than {LONGEST:,} bytes: not read", text)
            return
        is_record = False
        for record in records(text, self._calendar):
            is_record = True
            yield from self._take_record(record, line.number)
        if is_record:
            return
        if is_missing_engine(text):
            self._start.fail(speaker_of(text))
        elif mentions_duration(text):
            yield from self._reject(line.number, "mentions a duration, but has no vLLM logger's stamp", text)

    def end(self) -> Iterator[Event | UnreadLine]:
        """Yield the events that had to wait for the end."""
        yield from self._start.end(is_followed=False)
        if self._unread > _MAX_UNREAD:
            reason = f"{self._unread - _MAX_UNREAD:,} more unread lines up to here: not kept"
            yield UnreadLine(self._last_unread, reason, "")

    def _take_record(self, record: Record, line: int) -> Iterator[Event | UnreadLine]:
        message = record.message
        meaning = meaning_of(message)
        if meaning is None:
            self._start.extend(record.at_ns or 0)
            if mentions_duration(message):
                yield from self._reject(line, "mentions a duration in an unknown wording", message)
        elif record.at_ns is None:
            yield from self._reject(line, f"the stamp {record.stamp} is not a valid time", message)
        else:
            if self._start.is_before(meaning, record.speaker):
                yield from self._start.end(is_followed=True)
                self._starts += 1
                self._start = StartUp(f"{self._session}-{self._starts}", self._start.offset_ns)
            yield from self._start.take(record, record.at_ns, Place(line, record.place), meaning)

    def _reject(self, number: int, reason: str, text: str) -> Iterator[UnreadLine]:
        self._unread, self._last_unread = self._unread + 1, number
        if self._unread <= _MAX_UNREAD:
            yield UnreadLine(number, reason, text)


def _hashed(file: BinaryIO, progress: Callable[[int], None]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        progress(len(chunk) // _HASHED_AT_ONCE)
    return digest.hexdigest(), size


def _decoded(text: bytes) -> str:
    return text.decode(errors="replace")
