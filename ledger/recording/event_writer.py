"""Writes the events of one process: numbers them, encodes them, appends them to the process's journal."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from ledger.clock import WallWatch, monotonic_ns, read_anchor
from ledger.errors import InvalidEvent
from ledger.events.models import (
    EventBase,
    GapNoted,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    SessionEnded,
    SessionStarted,
    StageStarted,
    TotalClaimed,
    first_fault,
    parse_event,
    to_line,
)
from ledger.recording.journal import SUFFIX, JournalWriter, journal_folder
from ledger.recording.line_encoding import data_field, interval_id, json_text, well_formed
from ledger.recording.process_info import ProcessInfo
from ledger.recording.settings import Settings, describe_program
from ledger.vocabulary import CLOCK_STEPPED, EVENTS_NOT_WRITTEN, Outcome

_LOG: Final = logging.getLogger("ledger")
_OPEN_AGAIN_AFTER_NS: Final = 1_000_000_000
_DESCRIPTIONS_KEPT: Final = 10_000
"""Hosts have hundreds of stages; a host that makes names up without end must not fill the memory."""

NOT_RECORDED: Final = -1
"""The id of an interval whose start could not be recorded: its stop is not recorded either."""

NOT_VALID: Final = "event_not_valid"
HOOK_MISSING: Final = "hook_missing"

Description = tuple[str, str, str | None, str | None, str | None]
"""What a start says of its stage: stage, source, activity, role, component."""


class EventWriter:
    """One process's part of a session. Nothing is opened before the first event.

    A lock holds numbering and writing together, so that a process killed between two threads' writes leaves
    no hole in `seq`. It is held for one write(2), and can be entered again by a signal handler.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], int] = monotonic_ns,
        introduction: ProcessInfo | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.process: Final = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.anchor: Final = read_anchor(clock)
        # A clock that only a test has goes with no other.
        self._wall = WallWatch(self.anchor) if clock is monotonic_ns else None
        self._lock = threading.RLock()
        self._local = threading.local()
        self._begin_numbers()
        self._journal: JournalWriter | None = None
        self._opening = False
        self._left = False
        self._retry_at_ns = 0
        self._not_written = 0
        self._reported: set[str] = set()
        self._warnings: list[str] = []
        self.introduction: Final = introduction or ProcessInfo()
        self._failed = False
        self._described: dict[Description, bytes] = {}
        key = b'"session":%b,"process":%b,"seq":' % (json_text(settings.session), json_text(self.process))
        self._start_prefix = b'{"kind":"stage_started",' + key
        self._stop_prefix = b'{"kind":"stage_stopped",' + key

    def start(
        self,
        described: Description,
        parent: int | None,
        data: Mapping[str, object] | None,
        at_ns: int | None = None,
    ) -> int:
        """Write the start of an interval, now or at `at_ns`, and return its id: the event's own `seq`."""
        try:
            begin_ns = None if at_ns is None else int(at_ns)
            try:
                thread: bytes = self._local.name
            except AttributeError:
                thread = self._name_thread()
            # All that may fail comes before the number is taken: a number without a line is a lost event.
            rest = b',%b,"thread":%b%b%b}\n' % (
                self._described.get(described) or self._describe(described),
                thread,
                b"" if parent is None or parent == NOT_RECORDED else b',"parent":%d' % interval_id(parent),
                b"" if data is None else data_field(data),
            )
            with self._lock:
                if (journal := self._journal or self._open()) is None:
                    return NOT_RECORDED
                seq = next(self._seq)
                begin_ns = self.clock() if at_ns is None else at_ns
                journal.append(
                    b'%b%d,"at_ns":%d,"interval":%d%b' % (self._start_prefix, seq, begin_ns, seq, rest)
                )
                self._written += 1
                if self._not_written:
                    self._say_not_written()
                return seq
        except OSError as error:
            self._lose(error)
        except Exception as error:
            self._refuse("stage_started", error)
        except BaseException:
            self._account()
            raise
        finally:
            if self._warnings:
                self._say_warnings()
        return NOT_RECORDED

    def stop(
        self,
        interval: int,
        at_ns: int,
        outcome: Outcome,
        error: str | None,
        data: Mapping[str, object] | None,
    ) -> None:
        """Write the stop of an interval that ended at `at_ns`."""
        if interval == NOT_RECORDED:
            return
        try:
            rest = b',"at_ns":%d,"interval":%d,"outcome":"%b"%b%b}\n' % (
                at_ns,
                interval_id(interval),
                b"completed" if outcome == "completed" else b"failed",
                b"" if error is None else b',"error":' + json_text(error),
                b"" if data is None else data_field(data),
            )
            with self._lock:
                if (journal := self._journal or self._open()) is None:
                    return
                journal.append(b"%b%d%b" % (self._stop_prefix, next(self._seq), rest))
                self._written += 1
                if self._not_written:
                    self._say_not_written()
        except OSError as problem:
            self._lose(problem)
        except Exception as problem:
            self._refuse("stage_stopped", problem)
        except BaseException:
            self._account()
            raise
        finally:
            if self._warnings:
                self._say_warnings()

    def claim(self, seconds: float, **fields: object) -> None:
        """Write a claim; its id is the event's own `seq`."""
        try:
            fields["claimed_ns"] = round(seconds * 1e9)
            if fields.get("interval") == NOT_RECORDED:
                fields["interval"] = None
        except (TypeError, ValueError, OverflowError) as error:
            self._refuse("total_claimed.claimed_ns", error)
            return
        if self._wall is not None:
            with self._lock:
                stepped_ns = self._wall.stepped_ns()
            if stepped_ns is not None:
                self.gap(CLOCK_STEPPED, 1, f"{stepped_ns:+} ns")
        self._write(TotalClaimed, fields, numbered="claim")

    def milestone(self, name: str) -> None:
        """Write a milestone."""
        self._write(MilestoneReached, {"name": name})

    def gap(self, what: str, number: int, detail: str | None) -> None:
        """Write a gap."""
        self._write(GapNoted, {"what": what, "count": number, "detail": detail})

    def hook_missing(self, name: str, reason: str) -> None:
        """Keep a hook that is not in place; where this process has joined already, write it as a gap."""
        if self.introduction.add_missing(name, reason) and self._journal is not None:
            self.gap(HOOK_MISSING, 1, f"{name}: {reason}")

    def process_failed(self) -> None:
        """Keep that this process failed, whatever its exit will say."""
        self._failed = True

    def leave(self, outcome: Outcome, session_outcome: Outcome) -> Path | None:
        """Write the last events and close the journal; return its path, or None where there is none."""
        with self._lock:
            # Nothing can be taken after these: what a signal handler records meanwhile comes too late.
            journal, self._journal, self._left = self._journal, None, True
            if journal is not None:
                try:
                    journal.append(self._last_lines("failed" if self._failed else outcome, session_outcome))
                except Exception as error:
                    self._warn(f"that the process left is not recorded: {error}")
                finally:
                    journal.close()
        self._say_warnings()
        return journal.path if journal else None

    def _last_lines(self, outcome: Outcome, session_outcome: Outcome) -> bytes:
        lines = b""
        if self._not_written:
            lines += self._line(GapNoted, {"what": EVENTS_NOT_WRITTEN, "count": self._not_written})
        if self.settings.begins_session:
            lines += self._line(SessionEnded, {"outcome": session_outcome})
        return lines + self._line(ProcessLeft, {"outcome": outcome}, numbered="event_count")

    def forked(self) -> "EventWriter":
        """In a forked child: return its own writer, and shut this one, which is the parent's."""
        # Without the lock, which a thread of the parent may have held at the fork, for ever.
        journal, self._journal, self._left = self._journal, None, True
        if journal is not None:
            journal.close()
        settings = self.settings._replace(begins_session=False)
        return EventWriter(settings, self.clock, self.introduction.of_forked_child())

    def _open(self) -> JournalWriter | None:
        """With the lock held: open the journal; return None where that fails, or failed a moment ago."""
        if self._left:
            return None
        if self._opening or monotonic_ns() < self._retry_at_ns:
            self._not_written += 1
            return None
        try:
            self._opening = True
            path = journal_folder(self.settings.ledger) / (self.process + SUFFIX)
            self._journal = JournalWriter(path, self._first_lines())
            return self._journal
        except Exception as error:
            self._begin_numbers()
            self._not_written += 1
            self._retry_at_ns = monotonic_ns() + _OPEN_AGAIN_AFTER_NS
            self._warn(f"events are not recorded: {error}")
            return None
        except BaseException:
            self._begin_numbers()
            raise
        finally:
            self._opening = False

    def _begin_numbers(self) -> None:
        """Number from 0: nothing that had a number before is in the journal."""
        self._seq = count()
        self._written = 0

    def _first_lines(self) -> bytes:
        for name, reason in self.introduction.missing.items():
            self._warn(f"{name} is not hooked: {reason}")
        wall_ns = self.anchor.wall_ns
        program = {
            "label": self.settings.label,
            **describe_program(self.settings.command),
            "wall_ns": wall_ns,
        }
        started = self._line(SessionStarted, program, at_ns=self.anchor.at_ns)
        me = {**self.introduction.fields(), "wall_ns": wall_ns}
        joined = self._line(ProcessJoined, me, at_ns=self.anchor.at_ns)
        self._written = 2
        return started + joined

    def _line(
        self,
        model: type[EventBase],
        fields: Mapping[str, object],
        *,
        at_ns: int | None = None,
        numbered: str | None = None,
    ) -> bytes:
        """Return the next event's line; `numbered` names a field that goes by `seq`.

        Raises InvalidEvent; the number is taken only where it does not.
        """
        fields = {
            "session": self.settings.session,
            "process": self.process,
            "seq": 0,
            "at_ns": self.clock() if at_ns is None else at_ns,
            **({numbered: 0} if numbered else {}),
            **fields,
        }
        try:
            event = model.model_validate(fields)
            parse_event(to_line(event))
        except (ValueError, InvalidEvent):
            # It may be no more than a lone surrogate, as file names have, or an object in `data`.
            try:
                event = model.model_validate(well_formed(fields))
            except ValidationError as error:
                raise InvalidEvent(first_fault(error)) from None
            parse_event(to_line(event))
        seq = next(self._seq)
        numbers = {"seq": seq}
        if numbered:
            numbers[numbered] = seq + 1 if numbered == "event_count" else seq
        return to_line(event.model_copy(update=numbers))

    def _write(
        self, model: type[EventBase], fields: Mapping[str, object], numbered: str | None = None
    ) -> None:
        try:
            with self._lock:
                if (journal := self._journal or self._open()) is None:
                    return
                journal.append(self._line(model, fields, numbered=numbered))
                self._written += 1
                if self._not_written:
                    self._say_not_written()
        except OSError as error:
            self._lose(error)
        except Exception as error:
            self._refuse(_kind(model), error)
        except BaseException:
            self._account()
            raise
        finally:
            if self._warnings:
                self._say_warnings()

    def _lose(self, error: OSError) -> None:
        """Count an event that had its number and could not be written."""
        self._written += 1
        self._not_written += 1
        self._warn(f"events are not recorded: {error}")

    def _account(self) -> None:
        """Count what had its number when a signal handler raised in the middle of writing it."""
        taken = int(repr(self._seq)[len("count(") : -1])
        self._not_written += max(0, taken - self._written)
        self._written = max(taken, self._written)

    def _say_not_written(self) -> None:
        number, self._not_written = self._not_written, 0
        self._write(GapNoted, {"what": EVENTS_NOT_WRITTEN, "count": number})
        if self._not_written:  # not even that could be written
            self._not_written += number

    def _describe(self, described: Description) -> bytes:
        names = ("stage", "source", "activity", "role", "component")
        fields: dict[str, object] = {"session": "-", "process": "-", "seq": 0, "at_ns": 0, "interval": 0}
        fields.update(pair for pair in zip(names, described, strict=True) if pair[1] is not None)
        try:
            event = StageStarted.model_validate(well_formed(fields))
        except ValidationError as error:
            raise InvalidEvent(first_fault(error)) from None
        if len(self._described) >= _DESCRIPTIONS_KEPT:
            self._described.clear()
        text = event.model_dump_json(include=set(names), exclude_none=True).encode()[1:-1]
        self._described[described] = text
        return text

    def _name_thread(self) -> bytes:
        thread = threading.current_thread()
        name = self._local.name = json_text(f"{thread.name}-{threading.get_native_id()}")
        return name

    def _refuse(self, kind: str, error: Exception) -> None:
        """Report an invalid event, once: as a gap and as a warning."""
        detail = f"{kind}: {error}"
        if detail in self._reported or len(self._reported) > 100:
            return
        self._reported.add(detail)
        self._warn(f"an event is not valid: {detail}")
        self.gap(NOT_VALID, 1, detail)

    def _warn(self, message: str) -> None:
        """Queue a warning, if it is this process's first: a host's log is not ours to fill."""
        if "warned" not in self._reported:
            self._reported.add("warned")
            self._warnings.append(message)

    def _say_warnings(self) -> None:
        """Log the pending warnings. Never with the lock held: a host's log handler may record, too."""
        while self._warnings:
            with suppress(Exception):  # the host's own log handlers may raise
                _LOG.warning("compile-ledger: %s", self._warnings.pop())


def _kind(model: type[EventBase]) -> str:
    return str(model.model_fields["kind"].default)
