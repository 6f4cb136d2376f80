"""One process's part of a session: numbers its events and appends their lines to its journal."""

import os
from _thread import _local  # pyright: ignore[reportPrivateUsage]
from itertools import count
from os import getpid

from ledger_birth import process_exit
from ledger_birth.accounting import NOT_RECORDED, Accounting
from ledger_birth.host_exceptions import is_hosts_own
from ledger_birth.journal_writer import FOLDER_SUFFIX, SUFFIX, JournalWriter
from ledger_birth.json_text import json_fields, json_text
from ledger_birth.kernel import checked_clock, monotonic_ns, read_clocks
from ledger_birth.process_info import ProcessInfo
from ledger_birth.self_description import SelfDescription, Target
from ledger_birth.thread_names import thread_name
from ledger_birth.turns import Busy, Turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from ledger_birth.json_text import Plain
    from ledger_birth.process_exit import Failure

_OPEN_AGAIN_AFTER_NS: "Final" = 1_000_000_000
_LOOK_AGAIN_AFTER_NS: "Final" = 10_000_000
"""How often a journal is looked after: somebody may have removed or replaced it."""

_next_intervals: "dict[tuple[str, str], int]" = {}
"""By ledger and session, the lowest id of which no interval was here, nor in its parent before the fork."""

EVENTS_NOT_WRITTEN: "Final" = "events_not_written"
"""The gap that a recorder notes of its own events."""

HOOK_MISSING: "Final" = "hook_missing"

_PROCESS_EXIT: "Final" = b'"stage":"process_exit","source":"python","activity":"startup"'


class LineWriter(Accounting):
    """Writes the lines of one process. Nothing is opened before the first event."""

    __slots__ = (
        "_in_journal", "_journals", "_key", "_leaves_later", "_lost_journal", "_opening", "_outcomes",
        "_retry_at_ns", "at_ns", "child", "clock", "first_interval", "is_closed", "journal", "local",
        "look_at_ns", "pid", "process", "said", "target", "wall_ns",
    )  # fmt: skip

    def __init__(
        self,
        target: Target,
        describe: "Callable[[], Mapping[str, Plain]]",
        info: "ProcessInfo | None" = None,
        clock: "Callable[[], int]" = monotonic_ns,
    ) -> None:
        super().__init__()
        self.target = target
        self.clock = clock if clock is monotonic_ns else checked_clock(clock)
        self.pid = getpid()
        """Of the process whose lines these are: it may be forked where Python does not see it."""
        self.process = f"{self.pid}-{os.urandom(4).hex()}"
        self.at_ns, self.wall_ns = read_clocks(self.clock)
        self.said = SelfDescription(target, describe, info or ProcessInfo(), self.wall_ns)
        self.journal: JournalWriter | None = None
        self.is_closed = False
        self.child: LineWriter | None = None
        self.first_interval = _next_intervals.get((target.ledger, target.session), 0)
        """The lowest of its intervals' ids. Those that a host still has from before a fork are below."""
        self.local = _local()
        """Has the calling thread's `name` as JSON, once `thread_name` was called."""
        self._journals = 0
        self._in_journal = 0
        """The first number in this journal."""
        self._lost_journal: JournalWriter | None = None
        self.look_at_ns = 0
        self._opening = False
        self._leaves_later = False
        """Whether this was closed while the journal was being opened, or by who did not get the turn."""
        self._outcomes = "completed", "completed"
        """How the process left, and how its session ended."""
        self._retry_at_ns = 0
        key = b'"session":%b,"process":%b' % (json_text(target.session), json_text(self.process))
        self._key = key.replace(b"%", b"%%")

    def template(self, kind: str) -> bytes:
        """Return how the lines of a kind begin, with places for an event's number and its time."""
        return b'{"kind":"%b",%b,"seq":%%d,"at_ns":%%d' % (kind.encode(), self._key)

    def put(
        self, template: bytes, rest: "bytes | int", at_ns: "int | None" = None, has_id: bool = False
    ) -> int:
        """Write the next event's line, of now or of `at_ns`, and return its number, or NOT_RECORDED.

        `template` is the line with places for the event's number, its time, its id where it `has_id`, which
        is its number as well, and `rest`. What can't be written is counted. All that may fail comes before
        the number is taken.
        """
        try:
            with self.turn:
                if (journal := self.journal or self.open()) is None:
                    return NOT_RECORDED
                now_ns = self.clock() if at_ns is None else at_ns
                if now_ns >= self.look_at_ns and (journal := self._looked_after(journal)) is None:
                    return NOT_RECORDED
                accounted = self.accounted
                number = seq = next(self.seq)
                if has_id:
                    number += self.first_interval
                    line = template % (seq, now_ns, number, rest)
                else:
                    line = template % (seq, now_ns, rest)
                try:
                    # As `append` does, which is a call more.
                    if journal.torn:
                        journal.append(line)
                    elif (written := os.write(descriptor := journal.descriptor, line)) == len(line):
                        if descriptor == journal.descriptor:  # else a signal handler had it put back, whole
                            journal.size += written
                    else:
                        journal.cut_short(written, len(line))
                except OSError as error:
                    self.lose(error)
                    return NOT_RECORDED
                if self.accounted == accounted:
                    self.settled += 1
        except Busy as error:
            return self.give_up(error)
        # After the turn: who did not get it may have left something to be done.
        if self.is_behind:
            self.catch_up()
        return number

    def line(
        self, kind: str, fields: "Mapping[str, Plain]", at_ns: "int | None" = None, *, counted: bytes = b""
    ) -> bytes:
        """Return the next event's line. `counted` names a field that holds how many there are with it."""
        text = json_fields(fields)
        at_ns = self.clock() if at_ns is None else at_ns
        seq = next(self.seq)
        if counted:
            text += b',"%b":%d' % (counted, seq + 1)
        return self.template(kind) % (seq, at_ns) + text + b"}\n"

    def opened(self) -> "JournalWriter | None":
        """In a turn: return the journal, in its place; None where there is none to write to."""
        if self.is_closed:
            return None
        journal = self.journal or self.open()
        return journal if journal is None or monotonic_ns() < self.look_at_ns else self._looked_after(journal)

    def open(self) -> "JournalWriter | None":
        """In a turn: open the journal; return None where that fails, or failed a moment ago."""
        if self._opening or monotonic_ns() < self._retry_at_ns:
            self.not_written += 1
            self.is_behind = True
            return None
        try:
            # First of all: a signal handler that closes this from here on has it closed in the end.
            self._opening = True
            if not self.is_closed:
                return self.journal or self._open()
        finally:
            self._opening = False
            if self._leaves_later:
                self._leaves_later = False
                self.leave(*self._outcomes)
        if self.child is None:
            self.not_written += 1
            self._tell_after_close()
        return None

    def _open(self) -> "JournalWriter | None":
        first: int | None = None
        try:
            first = self.taken()
            if self._lost_journal is not None:
                self._put_back(self._lost_journal)
            if self.journal is None:
                self.journal = JournalWriter(self._next_path(), self._first_lines())
                self.settled += self.taken() - first
                self._journals += 1
                self._in_journal = first
                self.said.began()
            return self.journal
        except BaseException as error:
            if self.journal is None and first is not None:
                self.seq = count(first)  # what had a number since then is in no journal
            if is_hosts_own(error):
                raise
            self.not_written += 1
            self.is_behind = True
            if isinstance(error, OSError):
                self._retry_at_ns = monotonic_ns() + _OPEN_AGAIN_AFTER_NS
            self.warn(f"events are not recorded: {error}")
            return None

    def _tell_after_close(self) -> None:
        """In a turn: count, in another journal, the events that a close has overtaken on their way.

        A signal handler or another thread may close between the beginning of a call and its line.
        """
        self.warn("events are not recorded: the recorder was closed meanwhile")
        self.is_closed = False
        if not self._journals:
            self.leave(*self._outcomes)
            return
        try:
            if self.open() is not None:
                self.catch_up()
        finally:
            journal, self.journal, self.is_closed = self.journal, None, True
            if journal is not None:
                journal.close()

    def _next_path(self) -> str:  # after a journal that was left, or cut, comes another one
        name = f"{self.process}+{self._journals}" if self._journals else self.process
        return f"{self.target.ledger}{FOLDER_SUFFIX}/{name}{SUFFIX}"

    def _looked_after(self, journal: JournalWriter) -> "JournalWriter | None":
        """In a turn: return the journal, put back where it was removed; None where that fails."""
        is_in_place = journal.is_in_place()
        # Only now: at the end of the stack, or of the memory, it may not have been looked at.
        self.look_at_ns = monotonic_ns() + _LOOK_AGAIN_AFTER_NS
        if is_in_place:
            return journal
        if self.journal is not journal:
            return self.journal or self.open()  # a signal handler was quicker
        # At once: a signal handler in between would put it back, and then it would be forgotten here.
        self._lost_journal, self.journal = journal, None
        return self.open()

    def _put_back(self, lost: JournalWriter) -> None:
        """Make a journal anew that was removed or replaced; of one that was cut, count what is missing."""
        if (left := lost.lines_left()) is None:
            self.warn(f"{lost.path} was removed or replaced while it was written")
            lost.put_back()
            self.journal = lost
            self._lost_journal = None
            return
        self.warn(f"{lost.path} was cut while it was written")
        self._lost_journal = None
        self.not_written += max(0, self.settled - self._in_journal - left)
        self.is_behind = True
        lost.close()

    def _first_lines(self) -> bytes:
        lines = b"".join(self.line(kind, fields, self.at_ns) for kind, fields in self.said.at_first())
        self._warn_of_missing_hooks()
        return lines

    def _warn_of_missing_hooks(self) -> None:
        for name, reason in self.said.info.missing.items():
            self.warn(f"{name} is not hooked: {reason}")

    def catch_up(self) -> None:
        """Write what is left to be said."""
        try:
            with self.turn:
                self.is_behind = False
                self.count_given_up()
                self._say_what_is_left()
                if self._leaves_later:
                    self._leaves_later = False
                    self.leave(*self._outcomes)
        except Busy:
            return  # who has the turn will

    def _say_what_is_left(self) -> None:
        try:
            if number := self.not_written:
                is_told = self._append("gap_noted", {"what": EVENTS_NOT_WRITTEN, "count": number})
                self.not_written -= number if is_told else 0
            for kind, fields in self.said.changes():
                if self._append(kind, fields):
                    self.said.said(kind, fields)
            self._warn_of_missing_hooks()
        except BaseException as error:
            self.account()
            if is_hosts_own(error):
                raise
            self.warn(f"what changed of this process is not recorded: {error}")

    def _append(self, kind: str, fields: "Mapping[str, Plain]") -> bool:
        accounted = self.accounted
        line = self.line(kind, fields)
        if (journal := self.journal) is None:
            self.account()
            return False
        try:
            journal.append(line)
        except OSError as error:
            self.lose(error)
            return False
        self.settle(1, accounted)
        return True

    def lose(self, error: OSError) -> None:
        """In a turn: count events that had their numbers and could not be written."""
        if self.account() and self.is_closed and self.child is None:
            self._tell_after_close()
            return
        self.warn(f"events are not recorded: {error}")

    def leave(self, outcome: str, session_outcome: str, *, is_exiting: bool = False) -> "str | None":
        """Write the last events and close the journal; return its path, or None where there is none.

        A process that exits because of an exception says so. What its last threads and exit handlers record
        afterwards goes into another journal.
        """
        failure = process_exit.failure() if is_exiting and outcome == "failed" else None
        try:
            with self.turn:
                journal = self._leave(outcome, session_outcome, failure, is_exiting=is_exiting)
        except Busy:
            # Who has the turn does it at its end, which may have come meanwhile.
            self._outcomes = outcome, session_outcome
            self._leaves_later = self.is_behind = True
            self.turn = self._turns.at_once
            self.catch_up()
            return None
        return journal

    def _leave(
        self, outcome: str, session_outcome: str, failure: "Failure | None", *, is_exiting: bool
    ) -> "str | None":
        if self.is_closed:
            return None
        self._outcomes = outcome, session_outcome
        if self._opening:
            self._leaves_later = True
            return None
        self.account()
        self._retry_at_ns = 0
        if (journal := self.journal) is not None:
            journal = self._looked_after(journal)
        elif self._lost_journal is not None or self.not_written:
            journal = self.open()
        # Nothing can be taken after these: what a signal handler records meanwhile comes too late.
        self.journal, self.is_closed = None, True
        if journal is not None:
            try:
                first = self.taken()
                journal.append(self._last_lines(outcome, session_outcome, failure))
                self.settled += self.taken() - first
                self.not_written = 0
                self.said.ended()
            except Exception as error:
                self.account()
                self.warn(f"that the process left is not recorded: {error}")
            finally:
                journal.close()
        self._keep_intervals()
        self.is_closed = not is_exiting
        return journal.path if journal else None

    def _last_lines(self, outcome: str, session_outcome: str, failure: "Failure | None") -> bytes:
        lines = b""
        if self.not_written:
            lines += self.line("gap_noted", {"what": EVENTS_NOT_WRITTEN, "count": self.not_written})
        lines += b"".join(self.line(kind, fields) for kind, fields in self.said.changes())
        if failure is not None:
            lines += self._failed(failure)
        lines += b"".join(self.line(kind, fields) for kind, fields in self.said.session_end(session_outcome))
        return lines + self.line("process_left", {"outcome": outcome}, counted=b"event_count")

    def _failed(self, failure: "Failure") -> bytes:
        """Return the process's end as a failed stage without a length: what ended it, and in which words."""
        at_ns, seq = self.clock(), next(self.seq)
        interval = self.first_interval + seq
        start = self.template("stage_started") % (seq, at_ns) + b',"interval":%d,%b,"thread":%b}\n' % (
            interval, _PROCESS_EXIT, thread_name(self.local),
        )  # fmt: skip
        fields: dict[str, Plain] = {
            "interval": interval, "outcome": "failed", "error": failure.error, "data": failure.data,
        }  # fmt: skip
        return start + self.line("stage_stopped", fields, at_ns)

    def _keep_intervals(self) -> None:
        key = self.target.ledger, self.target.session
        _next_intervals[key] = max(_next_intervals.get(key, 0), self.first_interval + self.taken())

    def forked(self) -> "LineWriter":
        """In a forked child: return its own writer, and shut this one, which is the parent's."""
        if self.child is not None and self.child.pid != getpid():
            # Of the parent, which was itself just finding out that it was forked, in another thread.
            return self.child.forked()
        if self.child is None:
            # It may have been the turn of a thread of the parent at the fork, which will never end it.
            self._turns = Turns()
            self.turn = self._turns.waiting
            journal, self.journal, self.is_closed = self.journal or self._lost_journal, None, True
            if journal is not None:
                journal.close()
            self._keep_intervals()
            of_parent = self.target
            target = Target(of_parent.ledger, of_parent.session, of_parent.label, begins_session=False)
            self.child = LineWriter(target, self.said.describe, self.said.info.of_forked_child(), self.clock)
        return self.child
