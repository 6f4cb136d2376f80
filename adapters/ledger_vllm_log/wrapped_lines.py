"""Joins messages that a mail or an editor broke at a space: the next line makes them known ones."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from ledger.adapters import LogLine
from ledger_log_lines.plain_text import plain
from ledger_log_lines.stamps import Calendar
from ledger_vllm.messages import Durations
from ledger_vllm_log.message_meaning import meaning_of
from ledger_vllm_log.records import has_record, records

_LINES: Final = 4
"""A message that states a duration has 160 characters at most: more lines than these have no more of it."""


class WrappedLines:
    """An unwrapper of broken messages."""

    name = "lines broken at spaces"
    order = 5

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether a line makes the one before it a known message."""
        return any(
            _joined([before, after]) is not None
            for before, after in pairwise(lines)
            if after.strip() and not has_record(plain(after)) and has_record(plain(before))
        )

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines, and those that belong together as one."""
        waiting: list[LogLine] = []
        for line in lines:
            has_head = has_record(plain(line.text))
            if has_head or not waiting:
                yield from waiting
                waiting = [line] if has_head else []
                if not has_head:
                    yield line
                continue
            waiting.append(line)
            joined = _joined([one.text for one in waiting])
            if joined is not None:
                yield waiting[0].with_text(joined)
                waiting = []
            elif len(waiting) == _LINES:
                yield from waiting
                waiting = []
        yield from waiting


def unwrapper() -> WrappedLines:
    """Return the unwrapper: what the entry point names."""
    return WrappedLines()


def _joined(lines: Sequence[str]) -> str | None:
    """Return lines as one where only that is a known message, or one that says more."""
    begin, *rest = lines
    found = list(records(plain(begin), Calendar()))
    before = meaning_of(found[-1].message) if found else None
    if not found or (isinstance(before, Durations) and len(before.stated) > 1):
        return None
    for between in (" ", ""):
        text = between.join((begin.rstrip(), *(one.strip() for one in rest)))
        whole = list(records(plain(text), Calendar()))
        if whole and isinstance(meaning := meaning_of(whole[-1].message), Durations) and meaning != before:
            return text
    return None
