"""Reads what others than vLLM's logger wrote about a start-up: other loggers, and finished bars."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

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
# What a container's log has in front of a line: nanoseconds, or a zone.
_CONTAINERS: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{9}|(?:[.,]\d{1,9})?(?=Z|[+-]\d\d:?\d\d))(?:Z|[+-]\d\d:?\d\d)? "
)
_NOISE: Final = re.compile(
    r"[\s|:-]+|\[[^\[\]]*\](?!:)|\([^()]*\)|(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL)\b"
    # A logger's name, or a file and a line of it.
    r"|[\w./<>]+(?::[\w.<>]+)*(?=:\s|\s+[-|]\s)"
)
_BAR: Final = re.compile(
    r"(?P<before>(?:\([^()]{1,99}\) *){0,3})(?P<description>[^%\r\n]{0,200}?):? {1,9}"
    r"100% ?(?:Completed ?)?\|(?:[^|]*\|)? *(?P<done>[\d.]+\w?)/(?P<total>[\d.]+\w?) "
    r"\[(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d\d)<00:00[,\]]"
)
_ANY_BAR: Final = re.compile(r"\d% ?(?:Completed ?)?\|.{0,300}\[[\d:?]+<[\d:?]+", re.DOTALL)


class Bar(NamedTuple):
    """A progress bar that was shown to its end."""

    before: str
    """What stands in front of its description: the process, if anything."""
    description: str
    text: str
    seconds: int
    """Cut to whole ones."""

    @property
    def is_of_start(self) -> bool:
        """Whether it is not of requests or of a benchmark."""
        return re.fullmatch(OTHER_BARS, self.description) is None

    @property
    def durations(self) -> Durations | None:
        """Return what it says of a start-up; None if it is in no known wording."""
        for row in BARS:
            if (match := re.fullmatch(row.pattern, self.description, re.DOTALL)) is not None:
                stage = row.stage
                pattern = DurationPattern(row.pattern, row.keyword, row.example, stage, is_recorded=False)
                component = match.groupdict().get("component") or None
                own = Stated(stage.name, stage.source, float(self.seconds), _S, component=component)
                return Durations(pattern, (own,))
        return None


def is_bar(text: str) -> bool:
    """Whether a plain text shows a progress bar, however far it came."""
    return _ANY_BAR.search(text) is not None


def finished_bar_in(text: str) -> Bar | None:
    """Return the progress bar that a plain text shows, if it came to its end, and took a second at least."""
    text = text[_after_containers_stamp(text) :]
    match = _BAR.match(text)
    if match is None or match["done"] != match["total"]:
        return None
    seconds = 3_600 * int(match["hours"] or 0) + 60 * int(match["minutes"]) + int(match["seconds"])
    return Bar(match["before"], match["description"].strip(), text, seconds) if seconds else None


def record_in(text: str, calendar: Calendar) -> Record | None:
    """Return the record of a plain line by another logger, if its stamp has a date, and no zone."""
    match = _STAMP.match(text, _after_containers_stamp(text))
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


def _after_containers_stamp(text: str) -> int:
    stamp = _CONTAINERS.match(text)
    return 0 if stamp is None else stamp.end()


def _begin_of_message(rest: str) -> int:
    begin = 0
    for _ in range(_NOISE_PARTS):
        if (noise := _NOISE.match(rest, begin)) is None:
            break
        begin = noise.end()
    return begin


class WaitingBars:
    """Finished bars, of which only the next stamp says by when they were there."""

    def __init__(self) -> None:
        self._bars: list[tuple[Bar, int, int]] = []

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._bars)

    def add(self, bar: Bar, line: int, last_ns: int) -> None:
        """Take a bar that came after a stamp. A bar is often shown twice at its end."""
        if self._bars and self._bars[-1][0][:2] == bar[:2]:
            _, line, last_ns = self._bars.pop()
        self._bars.append((bar, line, last_ns))

    def take(self, next_ns: int | None) -> Iterator[tuple[Bar, int, int, int]]:
        """Yield each bar with its line, the earliest time of its end, and how much later that can be."""
        bars, self._bars = self._bars, []
        for bar, line, last_ns in bars:
            at_ns = last_ns + bar.seconds * _S
            if next_ns is not None:
                at_ns = max(last_ns, min(at_ns, next_ns))
            yield bar, line, at_ns, _S if next_ns is None else max(_S, next_ns - at_ns)
