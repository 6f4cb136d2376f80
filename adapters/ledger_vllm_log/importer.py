"""Imports a vLLM log: reads it twice, for its hash and for its lines, and passes the lines to start-ups."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ledger import Event
from ledger.adapters import Importer, UnreadLine
from ledger_log_lines.file_hash import progress_of
from ledger_log_lines.line_filter import LONGEST, Line
from ledger_log_lines.log_file import opened_log
from ledger_log_lines.plain_text import plain, without_container_stamp
from ledger_log_lines.progress_bars import Bar, WaitingBars, finished_bar_in, is_bar
from ledger_log_lines.stamps import Calendar, iso_wall_ns
from ledger_log_lines.wall_clock import FileClock, WallClock
from ledger_vllm.messages import Durations
from ledger_vllm_log.bare_messages import what_is_missing
from ledger_vllm_log.entries import Place
from ledger_vllm_log.line_filter import LINES
from ledger_vllm_log.message_meaning import (
    is_own_report,
    meaning_of,
    mentions_duration,
    states_duration,
    unstamped_notice_in,
)
from ledger_vllm_log.other_lines import durations_of, is_of_start, record_in
from ledger_vllm_log.records import (
    Record,
    Speaker,
    before_records,
    has_record,
    is_process_alone,
    records,
    speaker_of,
    whole_record,
)
from ledger_vllm_log.services import Service
from ledger_vllm_log.startups import StartUp

_S: Final = 1_000_000_000
_MAX_UNREAD: Final = 1_000
_SEEN_KEPT: Final = 3
_NO_START: Final = "of vLLM's logger, as all of this log, but not known to be about a start-up"
_BAR: Final = "a progress bar"
_NAMELESS_BAR: Final = "a progress bar that names no process: taken to be the next line's, or the last one's"
_NAMELESS: Final = "which names no process: taken to be the last one's"
_FRONT_ENDS: Final = ("APIServer", "ApiServer", "DPCoordinator", "MainProcess")


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
        calendar = Calendar()
        return any(_is_of_vllm(plain(_decoded(line)), calendar) for line in head.splitlines())

    def what_is_missing(self, head: bytes) -> str | None:
        """Return what keeps a text with messages of vLLM's from being read."""
        return what_is_missing(head)

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
    return LogImporter()


class _Log:
    """A log that is being read."""

    def __init__(self, session: str, file_clock: FileClock) -> None:
        self._session = session
        self._calendar = Calendar()
        self._file_clock = file_clock
        self._starts = 0
        self._service = Service(self._begin)
        self._bars = WaitingBars()
        self._undated: list[tuple[Bar, int]] = []
        """Bars before the first stamp, with their lines."""
        self._last_ns: int | None = None
        self._works = Speaker()
        """The last named process that is no front end."""
        self._unread, self._last_unread = 0, 0
        self._seen: list[tuple[int, str]] = []
        """The first messages that are not known to be about a start-up."""

    def take(self, line: Line) -> Iterator[Event | UnreadLine]:
        """Yield the events of a line."""
        decoded = _decoded(line.text)
        whole = None if line.is_too_long else whole_record(decoded, self._calendar)
        if whole is not None:
            yield from self._take_record(whole, line.number)
            return
        text = plain(decoded)
        if line.is_too_long:
            yield from self._reject(line.number, f"a line of more than {LONGEST:,} bytes: not read", text)
            return
        # A progress bar, and the record that was logged meanwhile, share a line.
        unstamped = before_records(text)
        notice = unstamped_notice_in(unstamped)
        if notice is not None:
            yield from self._service.take_unstamped(notice, speaker_of(unstamped))
        bar = finished_bar_in(without_container_stamp(unstamped))
        if bar is not None:
            before = plain(_decoded(line.before))
            named = bar if bar.before or not is_process_alone(before) else bar._replace(before=before)
            yield from self._take_bar(named, line.number)
        inside = without_container_stamp(text)
        other = record_in(inside, self._calendar) if unstamped == text and notice is None else None
        if other is not None and inside != text:
            other = other._replace(wall_ns=iso_wall_ns(text[: len(text) - len(inside)]))
        if other is not None and other.speaker == Speaker() != self._works:
            other = other._replace(speaker=self._works, place=f"{other.place}, {_NAMELESS}")
        for record in records(text, self._calendar) if other is None else (other,):
            yield from self._take_record(record, line.number)
        is_message = unstamped == text and bar is None and notice is None and other is None
        if is_message and mentions_duration(text) and not is_bar(text) and not is_own_report(text):
            yield from self._reject(line.number, "mentions a duration, but has no vLLM logger's stamp", text)

    def end(self) -> Iterator[Event | UnreadLine]:
        """Yield the events that had to wait for the end."""
        yield from self._take_waiting_bars(None)
        yield from self._reject_undated()
        yield from self._service.end()
        if not self._service.has_known and not self._unread:
            yield from (UnreadLine(line, _NO_START, text) for line, text in self._seen)
        if self._unread > _MAX_UNREAD:
            reason = f"{self._unread - _MAX_UNREAD:,} more unread lines up to here: not kept"
            yield UnreadLine(self._last_unread, reason, "")

    def _take_record(self, record: Record, line: int) -> Iterator[Event | UnreadLine]:
        message = record.message
        meaning = meaning_of(message)
        if self._undated and record.at_ns is not None:
            # By the first stamp they were over.
            for bar, number in self._undated:
                self._bars.add(bar, number, max(0, record.at_ns - bar.seconds * _S))
            self._undated.clear()
        if self._bars:
            yield from self._take_waiting_bars(record)
        if record.at_ns is not None:
            self._last_ns = record.at_ns
            if record.speaker.name is not None and not record.speaker.name.startswith(_FRONT_ENDS):
                self._works = record.speaker
        if meaning is None:
            if len(self._seen) < _SEEN_KEPT:
                self._seen.append((line, message))
            if record.at_ns is not None:
                yield from self._service.take(record, record.at_ns, Place(line, record.place), None)
            if states_duration(message):
                yield from self._reject(line, "mentions a duration in an unknown wording", message)
        elif record.at_ns is None:
            yield from self._reject(line, f"the stamp {record.stamp} is not a valid time", message)
        else:
            starts = self._starts
            yield from self._service.take(record, record.at_ns, Place(line, record.place), meaning)
            if self._starts > starts:
                self._works = Speaker() if self._works.name != record.speaker.name else record.speaker

    def _begin(self, before: StartUp | None) -> StartUp:
        self._starts += 1
        session = self._session if self._starts == 1 else f"{self._session}-{self._starts}"
        return StartUp(session, WallClock(self._file_clock) if before is None else before.wall.for_next())

    def _take_bar(self, bar: Bar, line: int) -> Iterator[UnreadLine]:
        if not is_of_start(bar):
            return
        if durations_of(bar) is None:
            yield from self._reject(line, "a progress bar with an unknown description", bar.text)
        elif self._last_ns is None:
            self._undated.append((bar, line))
        else:
            self._bars.add(bar, line, self._last_ns)

    def _reject_undated(self) -> Iterator[UnreadLine]:
        for bar, line in self._undated:
            yield from self._reject(line, "a progress bar, but no stamp says when", bar.text)

    def _take_waiting_bars(self, following: Record | None) -> Iterator[Event]:
        next_ns = None if following is None else following.at_ns
        for bar, line, at_ns, unit_ns in self._bars.take(next_ns):
            if (durations := durations_of(bar)) is not None:
                speaker, place = speaker_of(bar.before), _BAR
                if speaker == Speaker():
                    speaker = self._works if following is None else self._bars_speaker(following.speaker)
                    place = _BAR if speaker == Speaker() else _NAMELESS_BAR
                record = Record(speaker, "", at_ns, unit_ns, None, place, bar.text)
                yield from self._service.take(record, at_ns, Place(line, place), durations)

    def _bars_speaker(self, following: Speaker) -> Speaker:
        """Return whose bar without a name is: what it belongs to is logged right after it."""
        is_named = following.name is not None and not following.name.startswith(_FRONT_ENDS)
        return following if is_named else self._works

    def _reject(self, number: int, reason: str, text: str) -> Iterator[UnreadLine]:
        self._unread, self._last_unread = self._unread + 1, number
        if self._unread <= _MAX_UNREAD:
            yield UnreadLine(number, reason, text)


def _is_of_vllm(text: str, calendar: Calendar) -> bool:
    """Whether a plain line is of vLLM's logger, or of a logger that somebody put in its place."""
    if has_record(text):
        return True
    other = record_in(without_container_stamp(text), calendar)
    return other is not None and isinstance(meaning_of(other.message), Durations)


def _last_stamp(file: BinaryIO, size: int) -> str | None:
    """Return the last stamp of a file; None where its end, the length of a longest line, has none."""
    file.seek(max(0, size - LONGEST))
    end = file.read(min(size, LONGEST))
    start = LINES.last_stamped(end, 0, len(end))
    found = () if start is None else tuple(records(plain(_decoded(end[start:])), Calendar()))
    return found[-1].stamp if found else None


def _decoded(text: bytes) -> str:
    return text.decode(errors="replace")
