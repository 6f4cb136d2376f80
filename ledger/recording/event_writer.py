"""Makes the events of one process and has them written: each is valid, whatever a host hands over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from pydantic import ValidationError

from ledger.clock import Anchor, WallWatch, monotonic_ns
from ledger.errors import InvalidEvent
from ledger.events.fork_guard import pydantic_guard
from ledger.events.models import (
    INTEGER_LIMIT,
    EventBase,
    GapNoted,
    MilestoneReached,
    TotalClaimed,
    first_fault,
    parse_event,
)
from ledger.recording.fork_mark import fork_mark
from ledger.recording.line_encoding import data_field, interval_id, moment, text_of, well_formed
from ledger.recording.settings import Settings, describe_program
from ledger.recording.start_templates import Description, StartTemplates
from ledger.vocabulary import CLOCK_STEPPED, Outcome
from ledger_birth import process_exit
from ledger_birth.accounting import NOT_RECORDED
from ledger_birth.host_exceptions import is_hosts_own
from ledger_birth.json_text import json_text
from ledger_birth.line_writer import HOOK_MISSING, LineWriter
from ledger_birth.secrets_hidden import data_without_secrets, hide_secrets, values_of_secret_variables
from ledger_birth.self_description import Target
from ledger_birth.turns import Busy

if TYPE_CHECKING:
    from ledger_birth.json_text import Plain

_LOG: Final = logging.getLogger("ledger")

NOT_VALID: Final = "event_not_valid"
_WARNINGS_OF_INVALID: Final = 100
_LONGEST_DETAIL: Final = 500
_KEYS: Final = ("session", "process", "seq", "at_ns", "kind")

_Text = TypeVar("_Text")


class EventWriter:
    """One process's part of a session. Nothing is opened before the first event."""

    __slots__ = (
        "_child", "_completed", "_failed", "_has_written", "_mark", "_of_thread", "_reported",
        "_secrets", "_starts", "_stopped", "_wall", "anchor", "clock", "info", "lines", "process", "settings",
    )  # fmt: skip

    def __init__(self, settings: Settings, clock: Callable[[], int] = monotonic_ns) -> None:
        self.settings = settings
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
            lines.said.describe = self._program
            lines.is_behind = True
        self.lines: Final = lines
        self.clock = lines.clock
        self.process: Final = lines.process
        self.info: Final = lines.said.info
        self.anchor: Final = Anchor(lines.at_ns, lines.wall_ns)
        self._wall = WallWatch(self.anchor) if clock is monotonic_ns else None  # a test's has no wall clock
        self._has_written = False
        self._reported: set[str] = set()
        self._failed = False
        self._secrets = values_of_secret_variables()
        """The values of variables that are named as secrets: no text has them."""
        self._starts: Final = StartTemplates(lines)
        self._of_thread = self._starts.of_thread
        self._stopped = lines.template("stage_stopped") + b"%b"
        self._completed = lines.template("stage_stopped") + b',"interval":%d,"outcome":"completed"}\n'
        self._child: EventWriter | None = None
        self._mark: Final = fork_mark()

    def _program(self) -> Mapping[str, Plain]:
        return describe_program(self.settings.command)

    def start(
        self,
        described: Description,
        parent: int | None,
        data: Mapping[str, object] | None,
        at_ns: int | None = None,
    ) -> int:
        """Write the start of an interval, now or at `at_ns`, and return its id.

        That is the event's own `seq`, and more in a forked child: its ids are none of its parent's.
        """
        lines = self.lines
        if not self._mark[0]:
            child = self._of_child()
            return NOT_RECORDED if child is None else child.start(described, parent, data, at_ns)
        try:
            if at_ns is not None:
                at_ns = moment(at_ns)
            try:
                within, other = self._of_thread.templates[described]
            except (AttributeError, KeyError):
                within, other = self._starts.make(described)
            if data is None and type(parent) is int and lines.first_interval <= parent < INTEGER_LIMIT:
                number = lines.put(within, parent, at_ns, has_id=True)
            else:
                number = lines.put(other, self._end_of_start(parent, data), at_ns, has_id=True)
            self._has_written = True
            return number
        except BaseException as error:
            if self._is_thrown_in("stage_started", error):
                raise
            return NOT_RECORDED
        finally:
            if lines.warnings:
                self._say_warnings()

    def stop(
        self,
        interval: int,
        at_ns: int | None,
        outcome: Outcome,
        error: str | None,
        data: Mapping[str, object] | None,
    ) -> None:
        """Write the stop of an interval, now or at `at_ns`."""
        lines = self.lines
        if not self._mark[0]:
            if (child := self._of_child()) is not None:
                child.stop(interval, at_ns, outcome, error, data)
            return
        try:
            at_ns = self.clock() if at_ns is None else moment(at_ns)
            first = lines.first_interval
            if type(interval) is not int or not first <= interval < INTEGER_LIMIT:
                interval = interval_id(interval)
                if interval < first:
                    return  # it was not recorded, or is one of the process that this was forked from
            if outcome == "completed" and error is None and data is None:
                lines.put(self._completed, interval, at_ns)
            else:
                rest = b',"interval":%d,"outcome":"%b"%b%b}\n' % (
                    interval,
                    b"completed" if outcome == "completed" else b"failed",
                    b"" if error is None else b',"error":' + json_text(self._without_secrets(error)),
                    b"" if data is None else data_field(data, self._secrets),
                )
                lines.put(self._stopped, rest, at_ns)
        except BaseException as problem:
            if self._is_thrown_in("stage_stopped", problem):
                raise
        finally:
            if lines.warnings:
                self._say_warnings()

    def claim(self, seconds: float, **fields: object) -> None:
        """Write a claim; its id is the event's own `seq`."""
        if not self._mark[0]:
            if (child := self._of_child()) is not None:
                child.claim(seconds, **fields)
            return
        try:
            fields["claimed_ns"] = round(seconds * 1e9)
            if (interval := fields.get("interval")) is not None:
                number = interval_id(interval)
                fields["interval"] = number if number >= self.lines.first_interval else None
            fields["text"] = self._without_secrets(fields.get("text"))
            if type(data := fields.get("data")) is dict:
                fields["data"] = data_without_secrets(cast("dict[str, object]", data), self._secrets)
            if (stepped_ns := self._stepped_ns()) is not None:
                self.gap(CLOCK_STEPPED, 1, f"{stepped_ns:+} ns")
        except BaseException as error:
            if self._is_thrown_in("total_claimed.claimed_ns", error):
                raise
            return
        self._write(TotalClaimed, fields, numbered="claim")

    def _stepped_ns(self) -> int | None:
        """Return by how much the wall clock was set, where that is new and not another thread's to say."""
        if self._wall is None:
            return None
        try:
            with self.lines.turn:
                stepped_ns = self._wall.stepped_ns()
        except Busy:
            return None
        return stepped_ns

    def milestone(self, name: str) -> None:
        """Write a milestone."""
        self._write(MilestoneReached, {"name": name})

    def gap(self, what: str, number: int, detail: str | None) -> None:
        """Write a gap."""
        self._write(GapNoted, {"what": what, "count": number, "detail": self._without_secrets(detail)})

    def _without_secrets(self, text: _Text) -> _Text:
        """Return a text that a host hands over without secrets, also those of variables set meanwhile."""
        if type(text) is not str or text.isidentifier():
            return text
        self._secrets = values_of_secret_variables()
        return cast("_Text", hide_secrets(text, self._secrets))

    def add_hook(self, name: str) -> None:
        """Keep the name of a hook that is in place."""
        self._introduce("add_hook", name)

    def hook_missing(self, name: str, reason: str) -> None:
        """Keep a hook that is not in place; where other events of ours are written already, also as a gap."""
        if self._introduce("add_missing", name, reason) and self._has_written:
            self.gap(HOOK_MISSING, 1, f"{name}: {self.info.missing[name]}")

    def name_process(self, name: str, rank: int | None) -> None:
        """Keep the name and rank that a host program gives."""
        self._introduce("name", name, rank)

    def _introduce(self, method: str, *arguments: object) -> bool:
        """Change what this process says of itself, by a method of `info`; return what that returns."""
        if not self._mark[0]:
            child = self._of_child()
            return child is not None and child._introduce(method, *arguments)
        try:
            is_new = bool(getattr(self.info, method)(*arguments))
        except BaseException as error:
            if self._is_thrown_in("process_joined", error):
                raise
            return False
        self.lines.is_behind = True
        return is_new

    def now(self) -> int | None:
        """Return the time by the recorder's clock; None where a host's own clock tells none."""
        if not self._mark[0]:
            return None if (child := self._of_child()) is None else child.now()
        try:
            return self.clock()
        except BaseException as error:
            if self._is_thrown_in("stage_stopped", error):
                raise
            return None

    def process_failed(self) -> None:
        """Keep that this process failed, whatever its exit will say."""
        self._failed = True

    def leave(self, outcome: Outcome, session_outcome: Outcome, *, is_exiting: bool) -> Path | None:
        """Write the last events and close the journal; return its path, or None where there is none."""
        outcome = "failed" if self._failed else outcome
        journal = self.lines.leave(outcome, session_outcome, is_exiting=is_exiting)
        self._say_warnings()
        return Path(journal) if journal else None

    def forked(self) -> EventWriter | None:
        """In a forked child: return its own writer, and shut this one, which is the parent's."""
        if self._child is not None and not self._child._mark[0]:
            return self._child.forked()  # of the parent, as for the lines
        if self._child is None and not (self.lines.is_closed and self.lines.child is None):
            settings = self.settings._replace(begins_session=False, lines=self.lines.forked())
            self._child = EventWriter(settings, self.clock)
        return self._child

    def _of_child(self) -> EventWriter | None:
        """Return a forked child's own writer, where who forks below Python has us be the first to notice.

        There is none where the parent's recorder was closed.
        """
        process_exit.after_fork()
        return self._child

    def _write(
        self, model: type[EventBase], fields: Mapping[str, object], numbered: str | None = None
    ) -> None:
        lines = self.lines
        if not self._mark[0]:
            if (child := self._of_child()) is not None:
                child._write(model, fields, numbered)
            return
        try:
            rest = pydantic_guard.call(self._rest_of_line, model, fields, numbered)
            own_id = b',"%b":%%d' % numbered.encode() if numbered else b""
            lines.put(lines.template(_kind(model)) + own_id + b"%b", rest, has_id=bool(numbered))
            self._has_written = True
        except BaseException as error:
            if self._is_thrown_in(_kind(model), error):
                raise
        finally:
            if lines.warnings:
                self._say_warnings()

    def _rest_of_line(
        self, model: type[EventBase], fields: Mapping[str, object], numbered: str | None
    ) -> bytes:
        """Return the fields of an event as they stand in its line, after its time. Raises InvalidEvent."""
        own_ids = [] if numbered is None else [numbered]
        fields = {"session": "-", "process": "-", "seq": 0, "at_ns": 0, **dict.fromkeys(own_ids, 0), **fields}
        try:
            return self._encoded(model, fields, own_ids)
        except (ValueError, InvalidEvent):
            # It may be no more than a lone surrogate, as file names have, or an object in `data`.
            try:
                return self._encoded(model, well_formed(fields), own_ids)
            except ValidationError as error:
                raise InvalidEvent(first_fault(error)) from None

    def _encoded(self, model: type[EventBase], fields: Mapping[str, object], own_ids: list[str]) -> bytes:
        event = model.model_validate(fields)
        text = event.model_dump_json(exclude_none=True, exclude={*_KEYS, *own_ids}).encode()[1:]
        rest = b",%b\n" % text if text != b"}" else b"}\n"
        ids = b"".join(b',"%b":0' % name.encode() for name in own_ids)
        parse_event(self.lines.template(_kind(model)) % (0, 0) + ids + rest)
        return rest

    def _end_of_start(self, parent: int | None, data: Mapping[str, object] | None) -> bytes:
        """Return what a start says after its thread."""
        end = b"}\n" if data is None else data_field(data, self._secrets) + b"}\n"
        # A parent that was not recorded, or is another process's, has a lower id.
        if parent is None or (parent := interval_id(parent)) < self.lines.first_interval:
            return end
        return b',"parent":%d%b' % (parent, end)

    def _is_thrown_in(self, kind: str, error: BaseException) -> bool:
        """Return whether an exception has to get through; of any other, say what it costs.

        Each is a gap, and each kind of fault one warning.
        """
        lines = self.lines
        has_hole = lines.account()
        if is_hosts_own(error):
            return True
        if has_hole:
            return False
        try:
            detail = f"{kind}: {text_of(error)}"[:_LONGEST_DETAIL]
            if detail not in self._reported and len(self._reported) < _WARNINGS_OF_INVALID:
                self._reported.add(detail)
                lines.warn(f"an event is not valid: {detail}")
            rest = b',"what":"%b","count":1,"detail":%b}\n' % (NOT_VALID.encode(), json_text(detail))
            lines.put(lines.template(_kind(GapNoted)) + b"%b", rest)
        except BaseException as problem:
            lines.account()
            lines.not_written += 1
            lines.is_behind = True
            return is_hosts_own(problem)
        return False

    def _say_warnings(self) -> None:
        """Log the pending warnings. Never in a turn: a host's log handler may record, too."""
        while self.lines.warnings:
            warn(self.lines.warnings.pop())


def warn(message: str) -> None:
    """Log a warning. The host's own log handlers may raise."""
    try:
        _LOG.warning("compile-ledger: %s", message)
    except BaseException as error:
        if is_hosts_own(error):
            raise


def _kind(model: type[EventBase]) -> str:
    return str(model.model_fields["kind"].default)
