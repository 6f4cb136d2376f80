"""One process's part of a session: numbers its events and appends their lines to its journal."""

import os
import sys
from _thread import RLock, _local, get_native_id  # pyright: ignore[reportPrivateUsage]
from itertools import count

from ledger_birth import process_exit
from ledger_birth.journal_writer import FOLDER_SUFFIX, SUFFIX, JournalWriter
from ledger_birth.json_text import json_fields, json_text
from ledger_birth.kernel import monotonic_ns, read_clocks
from ledger_birth.process_info import ProcessInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

    from ledger_birth.json_text import Plain
    from ledger_birth.process_exit import Failure

_OPEN_AGAIN_AFTER_NS: "Final" = 1_000_000_000

NOT_RECORDED: "Final" = -1
"""The id of an interval whose start could not be recorded: its stop is not recorded either."""

EVENTS_NOT_WRITTEN: "Final" = "events_not_written"
"""The gap that a recorder notes of its own events."""

HOOK_MISSING: "Final" = "hook_missing"

_PROCESS_EXIT: "Final" = b'"stage":"process_exit","source":"python","activity":"startup"'
_COMPLETED: "Final" = b',"outcome":"completed"}\n'
_FAILED: "Final" = b',"outcome":"failed","error":%b}\n'


class PastInterval:
    """An interval of which only what was worth recording is written, after it began or after its end."""

    __slots__ = ("error", "fields", "interval", "parent", "start_ns", "stop_ns")

    def __init__(self, fields: bytes, start_ns: int, parent: "PastInterval | None" = None) -> None:
        self.fields = fields
        """Its stage and what else a start says of it, as they stand in a line."""
        self.start_ns = start_ns
        self.parent = parent
        self.interval: int | None = None
        """Its id, once its start is written."""
        self.stop_ns: int | None = None
        self.error: str | None = None


class Target:
    """Where events go: the ledger, and the session with its label."""

    __slots__ = ("begins_session", "label", "ledger", "session")

    def __init__(self, ledger: str, session: str, label: "str | None", *, begins_session: bool) -> None:
        self.ledger = ledger
        self.session = session
        self.label = label
        self.begins_session = begins_session
        """Whether this process made the session's id, and so says when it ends."""


class LineWriter:
    """Writes the lines of one process. Nothing is opened before the first event.

    A lock holds numbering and writing together, so that a process killed between two threads' writes leaves
    no hole in `seq`. It is held for one write(2), and can be entered again by a signal handler.
    """

    def __init__(
        self,
        target: Target,
        describe: "Callable[[], Mapping[str, Plain]]",
        info: "ProcessInfo | None" = None,
        clock: "Callable[[], int]" = monotonic_ns,
    ) -> None:
        self.target = target
        self.describe = describe
        """Returns the program's own fields of `session_started`."""
        self.info = info or ProcessInfo()
        self.clock = clock
        self.process = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.at_ns, self.wall_ns = read_clocks(clock)
        self.lock = RLock()
        self.journal: JournalWriter | None = None
        self.is_closed = False
        self.is_behind = False
        """Whether something is left to be said after the next event: events lost, or another name."""
        self.warnings: list[str] = []
        """What the host's log should say: only who has imported `logging` anyway says it."""
        self.has_warned = False
        self.child: LineWriter | None = None
        self._local = _local()
        self._begin_numbers()
        self._opening = False
        self._retry_at_ns = 0
        self._not_written = 0
        self._introduced: dict[str, Plain] | None = None
        self._described: Mapping[str, Plain] | None = None
        key = b'"session":%b,"process":%b,"seq":' % (json_text(target.session), json_text(self.process))
        self._key = key
        self.start_prefix = b'{"kind":"stage_started",' + key
        self.stop_prefix = b'{"kind":"stage_stopped",' + key

    def thread_name(self) -> bytes:
        """Return the calling thread's name as JSON."""
        try:
            return self._local.name
        except AttributeError:
            number, threading = get_native_id(), sys.modules.get("threading")
            # The module may be in the middle of its own import, which the main thread does as a rule.
            if threading is None or number == os.getpid():
                name = "MainThread" if number == os.getpid() else "Thread"
            else:
                name = str(threading.current_thread().name)
            text = self._local.name = json_text(f"{name}-{number}")
            return text

    def write(self, intervals: "Sequence[PastInterval]") -> None:
        """Write each one's start, where it is not written yet, and its stop, where it has one: at once.

        Of no interval at all it writes no more than that the process joined.
        """
        begun: list[PastInterval] = []
        try:
            thread = self.thread_name()
            with self.lock:
                if (journal := self.journal or self.open()) is None:
                    return
                number, lines = 0, b""
                for one in intervals:
                    if one.interval is None:
                        begun.append(one)
                        one.interval = seq = next(self.seq)
                        parent = None if one.parent is None else one.parent.interval
                        number += 1
                        lines += b'%b%d,"at_ns":%d,"interval":%d,%b,"thread":%b%b}\n' % (
                            self.start_prefix, seq, one.start_ns, seq, one.fields, thread,
                            b"" if parent is None or parent < 0 else b',"parent":%d' % parent,
                        )  # fmt: skip
                    if one.stop_ns is not None and one.interval >= 0:
                        number += 1
                        lines += b'%b%d,"at_ns":%d,"interval":%d%b' % (
                            self.stop_prefix, next(self.seq), one.stop_ns, one.interval,
                            _COMPLETED if one.error is None else _FAILED % json_text(one.error),
                        )  # fmt: skip
                if not lines:
                    return
                try:
                    journal.append(lines)
                except OSError as error:
                    self.lose(error, number)
                    _forget_starts(begun)
                    return
                self.written += number
                if self.is_behind:
                    self.catch_up()
        except Exception as error:
            self.account()
            _forget_starts(begun)
            self.warn(f"an interval is not recorded: {error}")
        except BaseException:
            self.account()
            _forget_starts(begun)
            raise

    def line(
        self, kind: str, fields: "Mapping[str, Plain]", at_ns: "int | None" = None, *, counted: bytes = b""
    ) -> bytes:
        """Return the next event's line. `counted` names a field that holds how many there are with it."""
        text = json_fields(fields)
        at_ns = self.clock() if at_ns is None else at_ns
        seq = next(self.seq)
        if counted:
            text += b',"%b":%d' % (counted, seq + 1)
        return b'{"kind":"%b",%b%d,"at_ns":%d%b}\n' % (kind.encode(), self._key, seq, at_ns, text)

    def open(self) -> "JournalWriter | None":
        """With the lock held: open the journal; return None where that fails, or failed a moment ago."""
        if self.is_closed:
            return None
        if self._opening or monotonic_ns() < self._retry_at_ns:
            self._not_written += 1
            self.is_behind = True
            return None
        try:
            self._opening = True
            folder = self.target.ledger + FOLDER_SUFFIX
            self.journal = JournalWriter(f"{folder}/{self.process}{SUFFIX}", self._first_lines())
            return self.journal
        except Exception as error:
            self._begin_numbers()
            self._not_written += 1
            self.is_behind = True
            self._retry_at_ns = monotonic_ns() + _OPEN_AGAIN_AFTER_NS
            self.warn(f"events are not recorded: {error}")
            return None
        except BaseException:
            self._begin_numbers()
            raise
        finally:
            self._opening = False

    def _begin_numbers(self) -> None:
        """Number from 0: nothing that had a number before is in the journal."""
        self.seq = count()
        self.written = 0

    def _first_lines(self) -> bytes:
        self._described = self.describe()
        self._introduced = self.info.changing_fields()
        self._warn_of_missing_hooks()
        program: dict[str, Plain] = {"label": self.target.label, **self._described, "wall_ns": self.wall_ns}
        lines = self.line("session_started", program, self.at_ns)
        lines += self.line("process_joined", {**self.info.fields(), "wall_ns": self.wall_ns}, self.at_ns)
        self.written = 2
        return lines

    def _warn_of_missing_hooks(self) -> None:
        for name, reason in self.info.missing.items():
            self.warn(f"{name} is not hooked: {reason}")

    def catch_up(self) -> None:
        """With the lock held: write what is left to be said."""
        self.is_behind = False
        if number := self._not_written:
            is_written = self._append("gap_noted", {"what": EVENTS_NOT_WRITTEN, "count": number})
            self._not_written -= number if is_written else 0
        try:
            info, described = self.info.changing_fields(), self.describe()
        except Exception as error:
            self.warn(f"what changed of this process is not recorded: {error}")
            return
        if info != self._introduced:
            self._warn_of_missing_hooks()
            if self._append("process_joined", info):
                self._introduced = info
        if described != self._described and self._append(
            "session_started", {"label": self.target.label, **described}
        ):
            self._described = described

    def _append(self, kind: str, fields: "Mapping[str, Plain]") -> bool:
        try:
            assert self.journal is not None
            self.journal.append(self.line(kind, fields))
            self.written += 1
        except OSError as error:
            self.lose(error)
            return False
        except Exception as error:
            self.warn(f"{kind} is not recorded: {error}")
            return False
        return True

    def lose(self, error: OSError, number: int = 1) -> None:
        """Count events that had their numbers and could not be written."""
        self.written += number
        self._not_written += number
        self.is_behind = True
        self.warn(f"events are not recorded: {error}")

    def account(self) -> None:
        """Count what had its number when something was raised in the middle of writing it."""
        taken = int(repr(self.seq)[len("count(") : -1])
        if taken > self.written:
            self._not_written += taken - self.written
            self.is_behind = True
            self.written = taken

    def warn(self, message: str) -> None:
        """Queue a warning, if it is this process's first: a host's log is not ours to fill."""
        if not self.has_warned:
            self.has_warned = True
            self.warnings.append(message)

    def leave(self, outcome: str, session_outcome: str, *, is_exiting: bool = False) -> "str | None":
        """Write the last events and close the journal; return its path, or None where there is none.

        A process that exits because of an exception says so.
        """
        failure = process_exit.failure() if is_exiting and outcome == "failed" else None
        with self.lock:
            # Nothing can be taken after these: what a signal handler records meanwhile comes too late.
            journal, self.journal, self.is_closed = self.journal, None, True
            if journal is not None:
                try:
                    journal.append(self._last_lines(outcome, session_outcome, failure))
                except Exception as error:
                    self.warn(f"that the process left is not recorded: {error}")
                finally:
                    journal.close()
        return journal.path if journal else None

    def _last_lines(self, outcome: str, session_outcome: str, failure: "Failure | None") -> bytes:
        lines = b""
        if self._not_written:
            lines += self.line("gap_noted", {"what": EVENTS_NOT_WRITTEN, "count": self._not_written})
        if (info := self.info.changing_fields()) != self._introduced:
            lines += self.line("process_joined", info)
        if (described := self.describe()) != self._described:
            lines += self.line("session_started", {"label": self.target.label, **described})
        if failure is not None:
            lines += self._failed(failure)
        if self.target.begins_session:
            lines += self.line("session_ended", {"outcome": session_outcome})
        return lines + self.line("process_left", {"outcome": outcome}, counted=b"event_count")

    def _failed(self, failure: "Failure") -> bytes:
        """Return the process's end as a failed stage without a length: what ended it, and in which words."""
        seq, at_ns = next(self.seq), self.clock()
        start = b'%b%d,"at_ns":%d,"interval":%d,%b,"thread":%b}\n' % (
            self.start_prefix, seq, at_ns, seq, _PROCESS_EXIT, self.thread_name(),
        )  # fmt: skip
        fields: dict[str, Plain] = {
            "interval": seq, "outcome": "failed", "error": failure.error, "data": failure.data,
        }  # fmt: skip
        return start + self.line("stage_stopped", fields, at_ns)

    def forked(self) -> "LineWriter":
        """In a forked child: return its own writer, and shut this one, which is the parent's."""
        if self.child is None:
            # Without the lock, which a thread of the parent may have held at the fork, for ever.
            journal, self.journal, self.is_closed = self.journal, None, True
            if journal is not None:
                journal.close()
            of_parent = self.target
            target = Target(of_parent.ledger, of_parent.session, of_parent.label, begins_session=False)
            self.child = LineWriter(target, self.describe, self.info.of_forked_child(), self.clock)
        return self.child


def _forget_starts(intervals: "Sequence[PastInterval]") -> None:
    """Of intervals whose starts could not be written the stops are not written either."""
    for one in intervals:
        one.interval = NOT_RECORDED
