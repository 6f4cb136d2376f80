"""Writes the events of one process: numbers them, encodes them, appends them to the process's journal."""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from ledger.clock import monotonic_ns, read_anchor
from ledger.environment import Settings, allowed_environment, process_name, rank, versions
from ledger.errors import InvalidEvent
from ledger.events import (
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
    to_line,
)
from ledger.identity import this_process
from ledger.journal import SUFFIX, JournalWriter, journal_folder
from ledger.vocabulary import Outcome

_LOG: Final = logging.getLogger("ledger")
_OPEN_AGAIN_AFTER_NS: Final = 1_000_000_000
_DESCRIPTIONS_KEPT: Final = 10_000
"""Hosts have hundreds of stages; a host that makes names up without end must not fill the memory."""

NOT_RECORDED: Final = -1
"""The id of an interval whose start could not be recorded: its stop is not recorded either."""

NOT_WRITTEN: Final = "events_not_written"
NOT_VALID: Final = "event_not_valid"
HOOK_MISSING: Final = "hook_missing"

Description = tuple[str, str, str | None, str | None, str | None]
"""What a start says of its stage: stage, source, activity, role, component."""


class ProcessWriter:
    """One process's part of a session. Nothing is opened before the first event.

    A lock holds numbering and writing together, so that a process killed between two threads' writes leaves
    no hole in `seq`. It is held for one write(2), and can be entered again by a signal handler.
    """

    __slots__ = (
        "_described", "_hooks", "_journal", "_left", "_local", "_lock", "_missing", "_not_written",
        "_opening", "_retry_at_ns", "_seq", "_start_prefix", "_stop_prefix", "_told",
        "anchor", "clock", "process", "settings",
    )  # fmt: skip

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], int] = monotonic_ns,
        hooks: tuple[str, ...] = (),
        missing: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.process: Final = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.anchor: Final = read_anchor(clock)
        self._lock = threading.RLock()
        self._local = threading.local()
        self._seq = count()
        self._journal: JournalWriter | None = None
        self._opening = False
        self._left = False
        self._retry_at_ns = 0
        self._not_written = 0
        self._told: set[str] = set()
        self._hooks = list(hooks)
        self._missing = dict(missing)
        self._described: dict[Description, bytes] = {}
        key = b'"session":%b,"process":%b,"seq":' % (_text(settings.session), _text(self.process))
        self._start_prefix = b'{"kind":"stage_started",' + key
        self._stop_prefix = b'{"kind":"stage_stopped",' + key

    def start(self, described: Description, parent: int | None, data: Mapping[str, object] | None) -> int:
        """Write the start of an interval and return its id: the event's own `seq`."""
        try:
            description = self._described.get(described) or self._describe(described)
            try:
                thread: bytes = self._local.name
            except AttributeError:
                thread = self._name_thread()
            named_parent = b"" if parent is None else b',"parent":%d' % parent
            with self._lock:
                if not self._ready():
                    return NOT_RECORDED
                seq = next(self._seq)
                line = b'%b%d,"at_ns":%d,"interval":%d,%b,"thread":%b%b%b}\n' % (
                    self._start_prefix, seq, self.clock(), seq, description, thread, named_parent,
                    b"" if data is None else _data(data),
                )  # fmt: skip
                return seq if self._append(line) else NOT_RECORDED
        except Exception as error:
            self._refuse("stage_started", error)
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
            with self._lock:
                if not self._ready():
                    return
                line = b'%b%d,"at_ns":%d,"interval":%d,"outcome":"%b"%b%b}\n' % (
                    self._stop_prefix, next(self._seq), at_ns, interval,
                    b"completed" if outcome == "completed" else b"failed",
                    b"" if error is None else b',"error":' + _text(error),
                    b"" if data is None else _data(data),
                )  # fmt: skip
                self._append(line)
        except Exception as fault:
            self._refuse("stage_stopped", fault)

    def claim(self, seconds: float, **fields: object) -> None:
        """Write a claim; its id is the event's own `seq`."""
        try:
            fields["claimed_ns"] = round(seconds * 1e9)
        except (TypeError, ValueError, OverflowError) as error:
            self._refuse("total_claimed.claimed_ns", error)
            return
        self._write(TotalClaimed, fields, numbered="claim")

    def milestone(self, name: str) -> None:
        """Write a milestone."""
        self._write(MilestoneReached, {"name": name})

    def gap(self, what: str, number: int, detail: str | None) -> None:
        """Write a gap."""
        self._write(GapNoted, {"what": what, "count": number, "detail": detail})

    def hooked(self, name: str) -> None:
        """Keep the name of a hook that is in place, for `process_joined`."""
        if name not in self._hooks:
            self._hooks.append(name)

    def hook_missing(self, name: str, reason: str) -> None:
        """Keep a hook that is not in place; where this process has joined already, write it as a gap."""
        if name in self._missing:
            return
        self._missing[name] = reason
        if self._journal is not None:
            self.gap(HOOK_MISSING, 1, f"{name}: {reason}")

    def leave(self, outcome: Outcome, session_outcome: Outcome) -> Path | None:
        """Write the last events and close the journal; return its path, or None where there is none."""
        with self._lock:
            if self._journal is not None:
                if self.settings.begins_session:
                    self._write(SessionEnded, {"outcome": session_outcome})
                self._write(ProcessLeft, {"outcome": outcome}, numbered="event_count")
            journal = self._shut()
        return journal.path if journal else None

    def forked(self) -> "ProcessWriter":
        """In a forked child: return its own writer, and shut this one, which is the parent's."""
        # Without the lock, which a thread of the parent may have held at the fork, for ever.
        self._shut()
        return ProcessWriter(
            self.settings._replace(begins_session=False),
            self.clock,
            tuple(self._hooks),
            tuple(self._missing.items()),
        )

    def _shut(self) -> JournalWriter | None:
        journal, self._journal, self._left = self._journal, None, True
        if journal is not None:
            journal.close()
        return journal

    def _ready(self) -> bool:
        """With the lock held: return whether a line can be appended; open the journal if need be."""
        if self._journal is None and not self._open():
            return False
        if self._not_written:
            self._say_not_written()
        return True

    def _open(self) -> bool:
        if self._left:
            return False
        if self._opening or monotonic_ns() < self._retry_at_ns:
            self._not_written += 1
            return False
        self._opening = True
        try:
            path = journal_folder(self.settings.ledger) / (self.process + SUFFIX)
            self._journal = JournalWriter(path, self._first_lines())
        except Exception as error:
            self._not_written += 1
            self._retry_at_ns = monotonic_ns() + _OPEN_AGAIN_AFTER_NS
            self._seq = count()
            self._warn(f"events are not recorded: {error}")
            return False
        finally:
            self._opening = False
        return True

    def _first_lines(self) -> bytes:
        me = this_process()
        for name, reason in self._missing.items():
            self._warn(f"{name} is not hooked: {reason}")
        wall_ns = self.anchor.wall_ns
        started = self._line(
            SessionStarted,
            {
                "label": self.settings.label,
                "command": tuple(sys.orig_argv),
                "versions": versions(),
                "environment": allowed_environment(),
                "wall_ns": wall_ns,
            },
            at_ns=self.anchor.at_ns,
        )
        joined = self._line(
            ProcessJoined,
            {
                "name": process_name(), "rank": rank(), **me._asdict(), "wall_ns": wall_ns,
                "hooks": tuple(self._hooks),
                "missing_hooks": tuple(f"{name}: {reason}" for name, reason in self._missing.items()),
            },
            at_ns=self.anchor.at_ns,
        )  # fmt: skip
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
            to_line(event)
        except ValueError:
            # It may be no more than a lone surrogate, as file names have, or an object in `data`.
            try:
                event = model.model_validate(_well_formed(fields))
            except ValidationError as error:
                raise InvalidEvent(first_fault(error)) from None
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
                if self._ready():
                    self._append(self._line(model, fields, numbered=numbered))
        except Exception as error:
            self._refuse(_kind(model), error)

    def _append(self, line: bytes) -> bool:
        journal = self._journal
        if journal is None:
            return False
        try:
            journal.append(line)
        except OSError as error:
            self._not_written += 1
            self._warn(f"events are not recorded: {error}")
            return False
        return True

    def _say_not_written(self) -> None:
        number, self._not_written = self._not_written, 0
        if not self._append(self._line(GapNoted, {"what": NOT_WRITTEN, "count": number})):
            self._not_written += number

    def _describe(self, described: Description) -> bytes:
        names = ("stage", "source", "activity", "role", "component")
        fields: dict[str, object] = {"session": "-", "process": "-", "seq": 0, "at_ns": 0, "interval": 0}
        fields.update(pair for pair in zip(names, described, strict=True) if pair[1] is not None)
        try:
            event = StageStarted.model_validate(_well_formed(fields))
        except ValidationError as error:
            raise InvalidEvent(first_fault(error)) from None
        if len(self._described) >= _DESCRIPTIONS_KEPT:
            self._described.clear()
        text = event.model_dump_json(include=set(names), exclude_none=True).encode()[1:-1]
        self._described[described] = text
        return text

    def _name_thread(self) -> bytes:
        name = self._local.name = _text(f"{threading.current_thread().name}-{threading.get_native_id()}")
        return name

    def _refuse(self, kind: str, error: Exception) -> None:
        """Keep, once, that an event was not valid and so never taken."""
        detail = f"{kind}: {error}"
        if detail in self._told or len(self._told) > 100:
            return
        self._told.add(detail)
        self._warn(f"an event is not valid: {detail}")
        self.gap(NOT_VALID, 1, detail)

    def _warn(self, message: str) -> None:
        """Log the first warning of this process; a host's log is not ours to fill."""
        if "warned" not in self._told:
            self._told.add("warned")
            _LOG.warning("compile-ledger: %s", message)


def _kind(model: type[EventBase]) -> str:
    return str(model.model_fields["kind"].default)


def _text(value: str) -> bytes:
    """Return a string as JSON; what UTF-8 can't say becomes a question mark."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _data(data: Mapping[str, object]) -> bytes:
    """Return the `data` field as it stands in a line; what JSON doesn't know is written as its text."""
    plain = dict(data)
    try:
        return b',"data":' + to_json(plain, inf_nan_mode="strings", serialize_unknown=True)
    except ValueError:
        return b',"data":' + to_json(_well_formed(plain), inf_nan_mode="strings")


def _well_formed(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields as JSON holds them: text that is valid UTF-8, and other objects as text."""
    text = json.dumps(dict(fields), ensure_ascii=False, default=str).encode("utf-8", "replace")
    return from_json(text)
