"""Makes the events of one process and has them written: each is valid, whatever a host hands over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from ledger.clock import Anchor, WallWatch, monotonic_ns
from ledger.errors import InvalidEvent
from ledger.events.models import (
    EventBase,
    GapNoted,
    MilestoneReached,
    StageStarted,
    TotalClaimed,
    first_fault,
    parse_event,
    to_line,
)
from ledger.recording.line_encoding import data_field, interval_id, well_formed
from ledger.recording.settings import Settings, describe_program
from ledger.vocabulary import CLOCK_STEPPED, Outcome
from ledger_birth.json_text import json_text
from ledger_birth.line_writer import HOOK_MISSING, NOT_RECORDED, LineWriter, Target

if TYPE_CHECKING:
    from ledger_birth.json_text import Plain

_LOG: Final = logging.getLogger("ledger")
_DESCRIPTIONS_KEPT: Final = 10_000
"""Hosts have hundreds of stages; a host that makes names up without end must not fill the memory."""

NOT_VALID: Final = "event_not_valid"
_WARNINGS_OF_INVALID: Final = 100

Description = tuple[str, str, str | None, str | None, str | None]
"""What a start says of its stage: stage, source, activity, role, component."""


class EventWriter:
    """One process's part of a session. Nothing is opened before the first event."""

    def __init__(self, settings: Settings, clock: Callable[[], int] = monotonic_ns) -> None:
        self.settings = settings
        self.clock = clock
        if (lines := settings.lines) is None:
            target = Target(
                str(settings.ledger),
                settings.session,
                settings.label,
                begins_session=settings.begins_session,
            )
            lines = LineWriter(target, self._program, clock=clock)
        else:
            # It has begun with what could be known without this package.
            lines.describe = self._program
            lines.is_behind = True
        self.lines: Final = lines
        self.process: Final = lines.process
        self.info: Final = lines.info
        self.anchor: Final = Anchor(lines.at_ns, lines.wall_ns)
        # A clock that only a test has goes with no other.
        self._wall = WallWatch(self.anchor) if clock is monotonic_ns else None
        self._has_written = False
        self._reported: set[str] = set()
        self._failed = False
        self._described: dict[Description, bytes] = {}
        self._start_prefix = lines.start_prefix
        self._stop_prefix = lines.stop_prefix

    def _program(self) -> Mapping[str, Plain]:
        return describe_program(self.settings.command)

    def start(
        self,
        described: Description,
        parent: int | None,
        data: Mapping[str, object] | None,
        at_ns: int | None = None,
    ) -> int:
        """Write the start of an interval, now or at `at_ns`, and return its id: the event's own `seq`."""
        lines = self.lines
        try:
            begin_ns = None if at_ns is None else int(at_ns)
            thread = lines.thread_name()
            # All that may fail comes before the number is taken: a number without a line is a lost event.
            rest = b',%b,"thread":%b%b%b}\n' % (
                self._described.get(described) or self._describe(described),
                thread,
                b"" if parent is None or parent == NOT_RECORDED else b',"parent":%d' % interval_id(parent),
                b"" if data is None else data_field(data),
            )
            with lines.lock:
                if (journal := lines.journal or lines.open()) is None:
                    return NOT_RECORDED
                seq = next(lines.seq)
                begin_ns = self.clock() if at_ns is None else at_ns
                journal.append(
                    b'%b%d,"at_ns":%d,"interval":%d%b' % (self._start_prefix, seq, begin_ns, seq, rest)
                )
                lines.written += 1
                self._has_written = True
                if lines.is_behind:
                    lines.catch_up()
                return seq
        except OSError as error:
            lines.lose(error)
        except Exception as error:
            self._refuse("stage_started", error)
        except BaseException:
            lines.account()
            raise
        finally:
            if lines.warnings:
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
        lines = self.lines
        try:
            rest = b',"at_ns":%d,"interval":%d,"outcome":"%b"%b%b}\n' % (
                at_ns,
                interval_id(interval),
                b"completed" if outcome == "completed" else b"failed",
                b"" if error is None else b',"error":' + json_text(error),
                b"" if data is None else data_field(data),
            )
            with lines.lock:
                if (journal := lines.journal or lines.open()) is None:
                    return
                journal.append(b"%b%d%b" % (self._stop_prefix, next(lines.seq), rest))
                lines.written += 1
                if lines.is_behind:
                    lines.catch_up()
        except OSError as problem:
            lines.lose(problem)
        except Exception as problem:
            self._refuse("stage_stopped", problem)
        except BaseException:
            lines.account()
            raise
        finally:
            if lines.warnings:
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
            with self.lines.lock:
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

    def add_hook(self, name: str) -> None:
        """Keep the name of a hook that is in place."""
        self.info.add_hook(name)
        self.lines.is_behind = True

    def hook_missing(self, name: str, reason: str) -> None:
        """Keep a hook that is not in place; where other events of ours are written already, also as a gap."""
        if self.info.add_missing(name, reason):
            self.lines.is_behind = True
            if self._has_written:
                self.gap(HOOK_MISSING, 1, f"{name}: {reason}")

    def name_process(self, name: str, rank: int | None) -> None:
        """Keep the name and rank that a host program gives."""
        self.info.name(name, rank)
        self.lines.is_behind = True

    def process_failed(self) -> None:
        """Keep that this process failed, whatever its exit will say."""
        self._failed = True

    def leave(self, outcome: Outcome, session_outcome: Outcome, *, is_exiting: bool) -> Path | None:
        """Write the last events and close the journal; return its path, or None where there is none."""
        outcome = "failed" if self._failed else outcome
        journal = self.lines.leave(outcome, session_outcome, is_exiting=is_exiting)
        self._say_warnings()
        return Path(journal) if journal else None

    def forked(self) -> EventWriter:
        """In a forked child: return its own writer, and shut this one, which is the parent's."""
        settings = self.settings._replace(begins_session=False, lines=self.lines.forked())
        return EventWriter(settings, self.clock)

    def _line(
        self, model: type[EventBase], fields: Mapping[str, object], numbered: str | None = None
    ) -> bytes:
        """Return the next event's line; `numbered` names a field that goes by `seq`.

        Raises InvalidEvent; the number is taken only where it does not.
        """
        fields = {
            "session": self.settings.session,
            "process": self.process,
            "seq": 0,
            "at_ns": self.clock(),
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
        seq = next(self.lines.seq)
        numbers = {"seq": seq}
        if numbered:
            numbers[numbered] = seq
        return to_line(event.model_copy(update=numbers))

    def _write(
        self, model: type[EventBase], fields: Mapping[str, object], numbered: str | None = None
    ) -> None:
        lines = self.lines
        try:
            with lines.lock:
                if (journal := lines.journal or lines.open()) is None:
                    return
                journal.append(self._line(model, fields, numbered))
                lines.written += 1
                self._has_written = True
                if lines.is_behind:
                    lines.catch_up()
        except OSError as error:
            lines.lose(error)
        except Exception as error:
            self._refuse(_kind(model), error)
        except BaseException:
            lines.account()
            raise
        finally:
            if lines.warnings:
                self._say_warnings()

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

    def _refuse(self, kind: str, error: Exception) -> None:
        """Report an invalid event: each as a gap, and each kind of fault once as a warning."""
        detail = f"{kind}: {error}"
        if detail not in self._reported and len(self._reported) < _WARNINGS_OF_INVALID:
            self._reported.add(detail)
            self.lines.warn(f"an event is not valid: {detail}")
        self.gap(NOT_VALID, 1, detail)

    def _say_warnings(self) -> None:
        """Log the pending warnings. Never with the lock held: a host's log handler may record, too."""
        while self.lines.warnings:
            with suppress(Exception):  # the host's own log handlers may raise
                _LOG.warning("compile-ledger: %s", self.lines.warnings.pop())


def _kind(model: type[EventBase]) -> str:
    return str(model.model_fields["kind"].default)
