"""Imports a log of vLLM's: reads it twice, for its hash and for its lines, and hands these to processes."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from ledger import Event, Importer, Unread
from ledger_vllm.messages import told
from ledger_vllm_log.finding import LONGEST, Line, lines
from ledger_vllm_log.processes import Place, Process
from ledger_vllm_log.records import Record, Speaker, has_record, plain, records
from ledger_vllm_log.stamps import Calendar
from ledger_vllm_log.wordings import said_in, speaks_of_time

_CHUNK: Final = 1 << 20
_MAX_UNREAD: Final = 1_000
_READY: Final = "Application startup complete."


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
        """Return twice the file's size: it is read for its hash, and again for its lines."""
        return 2 * path.stat().st_size

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | Unread]:
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


class _Known(NamedTuple):
    process: Process
    seen_ns: int


class _Start(NamedTuple):
    """The line with which an engine starts."""

    process: Process
    at_ns: int
    version: str


class _Log:
    """A log that is being read."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._calendar = Calendar()
        self._processes: dict[str, _Known] = {}
        self._engines: set[str] = set()
        self._again = 0
        """How often an engine started again that had started before: a later start's processes may have the
        pids of an earlier one's, as in a container."""
        self._started: _Start | None = None
        self._is_ready = False
        self._ahead_ns: int | None = None
        """By how much the wall clock is ahead of the stamps, where something says so."""
        self._unread, self._last_unread = 0, 0

    def take(self, line: Line) -> Iterator[Event | Unread]:
        """Yield what a line makes known."""
        text = plain(_decoded(line.text))
        if line.is_too_long:
            yield from self._cannot(line.number, f"a line of more than {LONGEST:,} bytes: not read", text)
            return
        is_record = False
        for record in records(text, self._calendar):
            is_record = True
            yield from self._take(record, line.number)
        if not is_record and speaks_of_time(text):
            yield from self._cannot(line.number, "speaks of time, but not by vLLM's logger: no stamp", text)

    def end(self) -> Iterator[Event | Unread]:
        """Yield what was to wait for the end."""
        if self._started is not None:
            process, at_ns, version = self._started
            wall_ns = None if self._ahead_ns is None else max(0, at_ns + self._ahead_ns)
            yield process.is_of_version(version, at_ns, wall_ns)
        for process, seen_ns in self._processes.values():
            yield from process.end()
            yield process.joined(seen_ns, self._ahead_ns)
        if self._unread > _MAX_UNREAD:
            reason = f"{self._unread - _MAX_UNREAD:,} more such lines up to here: not kept"
            yield Unread(self._last_unread, reason, "")

    def _take(self, record: Record, line: int) -> Iterator[Event | Unread]:
        message = record.message
        said = tuple(said_in(message))
        happened = None if said else told(message)
        is_ready = message.endswith(_READY) or (happened is not None and happened.what == "server_starts")
        if not said and happened is None and not is_ready:
            if speaks_of_time(message):
                yield from self._cannot(line, "speaks of time in words that are not known", message)
            return
        at_ns = record.at_ns
        if at_ns is None:
            yield from self._cannot(line, f"there is no such time as {record.stamp}", message)
            return
        if record.wall_ns is not None and self._ahead_ns is None:
            self._ahead_ns = record.wall_ns - at_ns
        begins = happened is not None and happened.what == "engine_begins"
        if begins and self._id_of(record.speaker) in self._engines:
            self._again += 1
            self._is_ready = False
        process = self._process(record.speaker, at_ns)
        place = Place(line, record.place)
        if said:
            yield from process.states(record, at_ns, place, said)
        elif is_ready:
            if not self._is_ready:
                yield process.reaches("engine_ready", at_ns)
            self._is_ready = True
        elif happened is not None:
            if begins:
                self._engines.add(self._id_of(record.speaker))
                if self._started is None:
                    self._started = _Start(process, at_ns, str(happened.version))
            yield from process.tells(record, at_ns, place, happened)

    def _process(self, speaker: Speaker, at_ns: int) -> Process:
        name = self._id_of(speaker)
        if name not in self._processes:
            self._processes[name] = _Known(Process(self._session, name, speaker), at_ns)
        process = self._processes[name].process
        process.hears_of(speaker)
        return process

    def _id_of(self, speaker: Speaker) -> str:
        name = "unnamed" if speaker.pid is None else f"pid-{speaker.pid}"
        if speaker.host is not None:
            name += f"@{speaker.host}"
        return name if self._again == 0 else f"{name}-{self._again + 1}"

    def _cannot(self, line: int, reason: str, text: str) -> Iterator[Unread]:
        self._unread, self._last_unread = self._unread + 1, line
        if self._unread <= _MAX_UNREAD:
            yield Unread(line, reason, text)


def _hashed(file: BinaryIO, progress: Callable[[int], None]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        progress(len(chunk))
    return digest.hexdigest(), size


def _decoded(text: bytes) -> str:
    return text.decode(errors="replace")
