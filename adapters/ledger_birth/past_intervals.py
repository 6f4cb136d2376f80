"""Intervals of which only what was worth recording is written, after they began or after their end."""

from os import getpid

from ledger_birth import process_exit
from ledger_birth.accounting import NOT_RECORDED
from ledger_birth.host_exceptions import is_hosts_own
from ledger_birth.json_text import json_text
from ledger_birth.thread_names import thread_name
from ledger_birth.turns import Busy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from ledger_birth.line_writer import LineWriter

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


def write_intervals(lines: "LineWriter", intervals: "Sequence[PastInterval]") -> None:
    """Write each one's start, where it is not written yet, and its stop, where it has one: at once.

    Of no interval at all it writes no more than that the process joined.
    """
    if lines.pid != getpid():
        process_exit.after_fork()  # it was the parent that began them
        return
    begun: list[PastInterval] = []
    try:
        thread, started = thread_name(lines.local), lines.template("stage_started")
        stopped = lines.template("stage_stopped")
        with lines.turn:
            if (journal := lines.opened()) is None:
                return
            number, text, accounted = 0, b"", lines.accounted
            for one in intervals:
                if one.interval is None:
                    begun.append(one)
                    seq = next(lines.seq)
                    one.interval = lines.first_interval + seq
                    parent = None if one.parent is None else one.parent.interval
                    number += 1
                    text += started % (seq, one.start_ns) + b',"interval":%d,%b,"thread":%b%b}\n' % (
                        one.interval, one.fields, thread,
                        b"" if parent is None or parent < 0 else b',"parent":%d' % parent,
                    )  # fmt: skip
                if one.stop_ns is not None and one.interval >= 0:
                    number += 1
                    text += stopped % (next(lines.seq), one.stop_ns) + b',"interval":%d%b' % (
                        one.interval,
                        _COMPLETED if one.error is None else _FAILED % json_text(one.error),
                    )  # fmt: skip
            if not text:
                return
            try:
                journal.append(text)
            except OSError as error:
                lines.lose(error)
                _forget_starts(begun)
                return
            lines.settle(number, accounted)
        if lines.is_behind:
            lines.catch_up()
    except Busy as error:
        lines.give_up(error)
    except BaseException as error:
        lines.account()
        _forget_starts(begun)
        if is_hosts_own(error):
            raise
        lines.warn(f"an interval is not recorded: {type(error).__name__}")


def _forget_starts(intervals: "Sequence[PastInterval]") -> None:
    """Of intervals whose starts could not be written the stops are not written either."""
    for one in intervals:
        one.interval = NOT_RECORDED
