"""Takes a line of a log apart into what SGLang's logger put together: stamp, ranks, message."""

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Final, NamedTuple

from ledger_log_lines.plain_text import CONTAINER_STAMP, without_container_stamp
from ledger_log_lines.stamps import iso_wall_ns
from ledger_sglang_log.message_patterns import PASSED_OVER, PATTERNS, STATED, MessagePattern

_S: Final = 1_000_000_000
_DAY_S: Final = 86_400
_HALF_A_DAY_S: Final = _DAY_S // 2
_HEAD: Final = re.compile(
    # In logs of 2024 stamps have no date. Milliseconds are of a logging configuration of one's own.
    r"\[(?P<stamp>(?P<date>\d{4}-\d\d-\d\d)? ?(?P<time>\d\d:\d\d:\d\d))(?:[.,](?P<ms>\d{3}))?"
    r"(?P<ranks>(?: [A-Z][A-Z_]{1,9}\d{1,6}){0,8})\] ?",
    re.ASCII,
)
_LEVEL: Final = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) +(?=[A-Z][a-z])")
_RANK: Final = re.compile(r"([A-Z_]+)(\d+)")
_STATED: Final = re.compile(STATED, re.ASCII)
_OTHER: Final = re.compile(PASSED_OVER.removeprefix(r"\] "), re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_PREFIX: Final = 200
"""What a container puts in front of a line is shorter."""
MARK: Final = b"["
STAMP: Final = re.compile(rb"\[(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d[\] .,]")


class Record(NamedTuple):
    """What SGLang's logger was given, and what it and others put around that."""

    ranks: str
    """`DP0 TP0`; empty for the server, and for the only process where there is one rank."""
    stamp: str
    at_ns: int | None
    """Time since the epoch, were the stamp's zone UTC; None where there is no such time."""
    unit_ns: int
    """What the stamp is cut to."""
    wall_ns: int | None
    message: str


class Clock:
    """Turns stamps into nanoseconds; those without a date go on with the next day where they go back."""

    def __init__(self) -> None:
        self._days, self._last_s = 1, 0

    def at_ns(self, date: str | None, time: str) -> int | None:
        """Return the time of a stamp; None where there is no such time."""
        hour, minute, second = (int(part) for part in time.split(":"))
        if hour > 23 or minute > 59 or second > 60:  # there are leap seconds
            return None
        of_day_s = hour * 3_600 + minute * 60 + second
        if date is None:
            self._days += (self._last_s - of_day_s > _HALF_A_DAY_S) - (
                of_day_s - self._last_s > _HALF_A_DAY_S
            )
            self._days, self._last_s = max(1, self._days), of_day_s
            return (self._days * _DAY_S + of_day_s) * _S
        try:
            day = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=timezone.utc)
        except ValueError:
            return None
        return max(0, (day - _EPOCH).days * _DAY_S + of_day_s) * _S


def has_record(text: str) -> bool:
    """Whether a plain line has a stamp like SGLang's."""
    return _HEAD.search(text) is not None


def records(text: str, clock: Clock) -> Iterator[Record]:
    """Yield the records in a plain line: mostly one or none; more where processes wrote at once."""
    heads = list(_HEAD.finditer(text))
    for number, head in enumerate(heads):
        stop = heads[number + 1].start() if number + 1 < len(heads) else len(text)
        at_ns = clock.at_ns(head["date"], head["time"])
        unit_ns = _S
        if at_ns is not None and head["ms"] is not None:
            at_ns, unit_ns = at_ns + int(head["ms"]) * 1_000_000, 1_000_000
        yield Record(
            head["ranks"].strip(), head["stamp"].strip(), at_ns, unit_ns,
            iso_wall_ns(text[: min(head.start(), _PREFIX)]), _without_level(text[head.end() : stop].strip()),
        )  # fmt: skip


def bare_record(text: str, clock: Clock) -> Record | None:
    """Return a message without SGLang's stamp as a record of its container's, if it is a known one."""
    stamp = CONTAINER_STAMP.match(text)
    if stamp is None:
        return None
    ranks, message = bare_message(text)
    wall_ns = iso_wall_ns(stamp[0])
    at_ns = clock.at_ns(stamp[0][:10], stamp[0][11:19])
    if at_ns is None or pattern_of(message) is None:
        return None
    at_ns += int(stamp[0][20:29])
    return Record(ranks, f"{stamp[0][:10]} {stamp[0][11:19]}", at_ns, 1, wall_ns, message)


_BARE_RANKS: Final = re.compile(r"\[(?P<ranks>[A-Z][A-Z_]{1,9}\d{1,6}(?: [A-Z][A-Z_]{1,9}\d{1,6}){0,7})\] ?")


def bare_message(text: str) -> tuple[str, str]:
    """Return the ranks and the message of a plain line that has no stamp of SGLang's."""
    text = without_container_stamp(text)
    ranks = _BARE_RANKS.match(text)
    return ("", _without_level(text)) if ranks is None else (ranks["ranks"], text[ranks.end() :])


def pattern_of(message: str) -> re.Match[str] | None:
    """Return the match of the first pattern that a message has."""
    found = meaning_of(message)
    return None if found is None else found[1]


def meaning_of(message: str) -> tuple[MessagePattern, re.Match[str]] | None:
    """Return what a message means; None where it is not known."""
    for row in PATTERNS:
        if (match := row.pattern.fullmatch(message)) is not None:
            return row, match
    return None


def states_duration(message: str) -> bool:
    """Whether a message states a duration, and is not of a request."""
    return _STATED.search(message) is not None and _OTHER.match(message) is None


def ranks_of(ranks: str) -> dict[str, int]:
    """Return the numbers of ranks: `DP0 TP3` is `{"DP": 0, "TP": 3}`."""
    return {name: int(number) for name, number in _RANK.findall(ranks)}


def _without_level(message: str) -> str:
    return _LEVEL.sub("", message, count=1)
