"""Reads what others than vLLM's logger wrote about a start-up: other loggers, and finished bars."""

import re
from typing import Final

from ledger_log_lines.plain_text import end_of_any_stamp
from ledger_log_lines.progress_bars import Bar
from ledger_log_lines.stamps import Calendar
from ledger_vllm.message_patterns import DurationPattern
from ledger_vllm.messages import Durations, Stated
from ledger_vllm_log.message_patterns import BARS, OTHER_BARS
from ledger_vllm_log.records import Record, speaker_of

_MS: Final = 1_000_000
_S: Final = 1_000_000_000
_NOISE_PARTS: Final = 16
"""What a logger puts between stamp and message has fewer parts."""

# A time with a zone is of what shows the log: the programs in it write local time.
_STAMP: Final = re.compile(
    r"(?P<before>(?:\([^()]{1,99}\) *){0,3})\[?\d{4}-(?P<date>\d\d-\d\d)[ T](?P<time>\d\d:\d\d:\d\d)"
    r"(?:[.,](?P<ms>\d{3})\d{0,6})?(?![\d.,Z]| ?[+-]\d\d:?\d\d)\]?(?P<rest>.*)",
    re.DOTALL,
)
_NOISE: Final = re.compile(
    r"[\s|:-]+|\[[^\[\]]*\](?!:)|\([^()]*\)|(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL)\b"
    # A logger's name, or a file and a line of it.
    r"|[\w./<>]+(?::[\w.<>]+)*(?=:\s|\s+[-|]\s)"
)


def is_of_start(bar: Bar) -> bool:
    """Whether a bar is not of requests or of a benchmark."""
    return re.fullmatch(OTHER_BARS, bar.description) is None


def durations_of(bar: Bar) -> Durations | None:
    """Return what a bar says of a start-up; None if it is in no known wording."""
    for row in BARS:
        if (match := re.fullmatch(row.pattern, bar.description, re.DOTALL)) is not None:
            stage = row.stage
            pattern = DurationPattern(row.pattern, row.keyword, row.example, stage, is_recorded=False)
            component = match.groupdict().get("component") or None
            own = Stated(stage.name, stage.source, float(bar.seconds), _S, component=component)
            return Durations(pattern, (own,))
    return None


def record_in(text: str, calendar: Calendar) -> Record | None:
    """Return the record of a plain line by another logger, if its stamp has a date, and no zone."""
    match = _STAMP.match(text, end_of_any_stamp(text))
    if match is None:
        return None
    stamp = f"{match['date']} {match['time']}"
    at_ns = calendar.at_ns(stamp)
    rest = match["rest"]
    unit_ns = _S
    if at_ns is not None and match["ms"] is not None:
        at_ns, unit_ns = at_ns + int(match["ms"]) * _MS, _MS
    begin = _begin_of_message(rest)
    place = rest[:begin].strip(" \t-|:")
    return Record(speaker_of(match["before"]), stamp, at_ns, unit_ns, None, place, rest[begin:].strip())


def _begin_of_message(rest: str) -> int:
    begin = 0
    for _ in range(_NOISE_PARTS):
        if (noise := _NOISE.match(rest, begin)) is None:
            break
        begin = noise.end()
    return begin
