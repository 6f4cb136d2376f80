"""Says what a message of a log means, and which texts state a duration in an unknown wording.

All of it comes from one table: what a line must contain to be looked at, and what its message means.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from ledger.adapters import CAUSE_LABELS, CAUSES
from ledger_log_lines.linear_search import Search, searching
from ledger_vllm.message_patterns import (
    UNSTAMPED_NOTICES,
    DurationPattern,
    MessagePattern,
    NoticePattern,
    OccurrencePattern,
)
from ledger_vllm.messages import Durations, Notice, Occurrence, durations_of, occurrence_of, without_tag
from ledger_vllm_log.message_patterns import KEYWORDS, ROWS
from ledger_vllm_log.other_durations import OTHER_DURATIONS

_MAX_S: Final = 30_000_000
"""About a year: a message that states more is not about a start-up."""

_UNIT: Final = r"(?:[mun]?s|[mun]?secs?|(?:milli|micro)?seconds?|min(?:ute)?s?|h(?:(?:ou)?rs?)?)"
_STATED: Final = (
    # Not "5m" alone: each colour of a terminal is such a number.
    rf"\b\d+(?:\.\d+)?(?:[ -]?[\[(]?{_UNIT}\b| m\b|m ?\d+(?:\.\d+)?s\b)"
    r"|\b(?:took|takes|elapsed|duration|spent)(?: time)?[=:]? ?(?:(?:\d+:)+\d\d|\d+m\b)"
    r"|\b(?:took|takes|elapsed|[Tt]ime:) \d+\.\d+(?:\.?[\r\n]|\.?$|[,;)])"
    r"|(?:\b(?:took|takes|elapsed|duration)[=:]|_(?:ms|s|secs|seconds)['\"]?[=:]|\((?:ms|s)\):) ?\d"
)
"""A number with a unit of time, or with a word in front that says as much."""
_DURATION: Final = re.compile(_STATED, re.ASCII)
_UNSTAMPED_DURATION: Final = re.compile(
    r"(?:\b(?:took|takes|elapsed|duration|finished|completed|done|compiled|spent)\b|\btime\b).{0,200}?"
    + f"(?:{_STATED})",
    re.ASCII | re.DOTALL | re.IGNORECASE,
)

_OTHER: Final = "|".join(other.pattern for other in OTHER_DURATIONS)
_OTHER_MESSAGE: Final = re.compile(_OTHER)

_OWN_REPORT: Final = re.compile(
    rf"\b(?:{'|'.join(map(re.escape, CAUSE_LABELS.values()))})(?: \(\S+\))?: [+-][\d,]+\.\d{{3}} s\b"
    rf"|\b(?:{'|'.join(CAUSES)})(?: of \S+)? [+-][\d,]+\.\d{{3}}\b"
)
"""A row of the table of claims in a report of ours, as it says why the two numbers in it differ; then as
older ones said it."""

LINE_PATTERN: Final = "|".join((_STATED, *map(re.escape, dict.fromkeys((*KEYWORDS, "<00:00")))))
search_line: Final[Search] = searching(LINE_PATTERN)
"""Finds what a line that matters contains: it is in the table, states a duration, or is a finished bar."""
OTHER_PATTERN: Final = rf"(?:\]|\"message\": ?\") ?(?:{_OTHER})"
search_other: Final[Search] = searching(OTHER_PATTERN)
"""Finds in such a line that it states a duration which is none of a start."""

Meaning = Durations | Occurrence | Notice


class _Row(NamedTuple):
    row: MessagePattern
    keyword: str
    pattern: re.Pattern[str]


_BEGINNING: Final = 4
"""Messages are told apart by as many characters first: most rows begin with a word."""


def _beginning(pattern: str) -> str | None:
    """Return what each text that a pattern matches begins with; None where that is too short to be of use."""
    literal = re.match(r"(?:[\w :=]|\\[.\[\]()-])*(?![?*{])", pattern)
    text = "" if literal is None else literal[0].replace("\\", "")
    return text[:_BEGINNING] if len(text) >= _BEGINNING and "|" not in pattern.split("(")[0] else None


def _by_beginning() -> tuple[Mapping[str, list[_Row]], list[_Row]]:
    rows: defaultdict[str, list[_Row]] = defaultdict(list)
    others: list[_Row] = []
    for row in ROWS:
        flags = 0 if isinstance(row, DurationPattern) else re.DOTALL
        beginning = _beginning(row.pattern)
        (others if beginning is None else rows[beginning]).append(
            _Row(row, row.keyword, re.compile(row.pattern, flags))
        )
    return rows, others


_ROWS, _OTHER_ROWS = _by_beginning()
_UNSTAMPED: Final = [_Row(row, row.keyword, re.compile(row.pattern, re.DOTALL)) for row in UNSTAMPED_NOTICES]


@lru_cache(1_024)
def meaning_of(message: str) -> Meaning | None:
    """Return what a message says; None where it is in no known wording, or states what cannot be true."""
    tag, text = without_tag(message)
    for row, match in _matches(text):
        groups = match.groupdict()
        if isinstance(row, DurationPattern):
            durations = durations_of(row, groups, tag)
            return durations if all(one.seconds <= _MAX_S for one in durations.stated) else None
        if isinstance(row, OccurrencePattern):
            return occurrence_of(row, groups, tag)
        if isinstance(row, NoticePattern) and tag is None:
            return Notice(row.name, groups.get("detail"), text)
    if tag is not None:
        # What begins with a bracket is not always a tag.
        for row, match in _matches(message):
            if isinstance(row, NoticePattern):
                return Notice(row.name, match.groupdict().get("detail"), message)
            if isinstance(row, OccurrencePattern):
                return occurrence_of(row, match.groupdict(), None)
    return None


def _matches(text: str) -> Iterator[tuple[MessagePattern, re.Match[str]]]:
    for row, _, pattern in _ROWS.get(text[:_BEGINNING], ()):
        if (match := pattern.fullmatch(text)) is not None:
            yield row, match
    for row, keyword, pattern in _OTHER_ROWS:
        if keyword in text and (match := pattern.fullmatch(text)) is not None:
            yield row, match


def unstamped_notice_in(text: str) -> Notice | None:
    """Return what a text without the logger's stamp says about the start-up; mostly None."""
    for row, keyword, pattern in _UNSTAMPED:
        if keyword in text and pattern.fullmatch(text) is not None and isinstance(row, NoticePattern):
            return Notice(row.name, text=text)
    return None


def states_duration(message: str) -> bool:
    """Whether a message states a duration, and none that is known to be no start's."""
    return _DURATION.search(message) is not None and _OTHER_MESSAGE.match(message) is None


def mentions_duration(text: str) -> bool:
    """Whether a text without a logger's stamp seems to say how long something took."""
    return _UNSTAMPED_DURATION.search(text) is not None


def is_own_report(text: str) -> bool:
    """Whether a text is part of a report that `compile-ledger` printed: it quotes messages, and is none."""
    return _OWN_REPORT.search(text) is not None
