"""A line of a log, what a container says of it, and what takes lines out of a container."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final, NamedTuple, Protocol

ENTRY_POINTS: Final = "compile_ledger.unwrappers"
"""Entry point group. An adapter registers a function without arguments that returns an `Unwrapper`."""

_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?(?: ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?"
)
_UTC: Final = frozenset(("Z", "UTC", "GMT", "+00:00", "-00:00", "+0000", "+00"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NS: Final = 1_000_000_000
_EARLIEST: Final = 10**8
"""Less is no time since the epoch: 1973."""
_UNITS: Final = ((10**11, _NS), (10**14, 10**6), (10**17, 10**3), (10**20, 1))
"""Below which number a time since the epoch is in a unit, and the unit's ns."""


class LogLine(NamedTuple):
    """A line of a log, and what the containers that it was taken out of say of it."""

    text: str
    """Without its end; a record of several lines has the ends between them."""
    stamp: str | None = None
    """When it was written: in the form of `normal_stamp`."""
    service: str | None = None
    """Who wrote it: a service, a container, a pod, a job. Each becomes a log of its own."""
    source: str | None = None
    """Which of the service's streams it came by, where each has its own lines in order."""
    is_cut: bool = False
    """The next line goes on with this one."""

    def with_text(self, text: str) -> "LogLine":
        """Return a line that a container's line contains."""
        return self._replace(text=text)

    def of(self, service: str | None, stamp: str | None = None) -> "LogLine":
        """Return the line with what another container, inside the ones so far, says of it.

        Its stamp is the better one, unless it has no zone: it was made nearer to where the line was logged.
        """
        names = [name for name in (self.service, service) if name]
        if stamp is None or (self.stamp is not None and not stamp.endswith("Z")):
            stamp = self.stamp
        return self._replace(service="/".join(names) or None, stamp=stamp)


class Unwrapper(Protocol):
    """Takes lines out of one kind of container."""

    @property
    def name(self) -> str:
        """What it takes lines out of, for messages: "Docker's json-file"."""
        ...

    @property
    def order(self) -> int:
        """When it is asked: 0 where it has marks of its own, the later the more it has in common with others.

        1: stamps alone; 2: lists and tables; 3: characters; 4: ends of lines; 5: messages of an engine's.
        """
        ...

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether the first lines of a text, as many as fit into a mebibyte, are of this kind."""
        ...

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines that are inside, in constant memory.

        A line that is not of this kind is yielded as it is: copies have other lines in between. What the line
        has been given by outer containers stays, as `LogLine.of` does it.
        """
        ...


def normal_stamp(stamp: str | float) -> str | None:
    """Return a time as `2026-05-01T20:45:00.123456789Z`, without the Z where it has no zone.

    A number, or a text that is one, is the time since the epoch in s, ms, us or ns. None where it is neither.
    """
    if isinstance(stamp, str):
        found = _ISO.fullmatch(stamp)
        if found is not None:
            date, time, fraction, zone = found.groups()
            text = f"{date}T{time}.{(fraction or '').ljust(9, '0')}"
            if zone is None:
                return text
            return f"{text}Z" if zone in _UTC else _in_utc(date, time, text[20:], zone)
        whole, _, fraction = stamp.partition(".")
        if not (whole.isdecimal() and whole.isascii() and len(whole) <= 19):
            return None
        if 9 <= len(whole) <= 11 and fraction.isdecimal():
            return _of_ns(int(whole) * _NS + int(fraction[:9].ljust(9, "0")))
        return _of_number(int(whole))
    return _of_number(stamp)


def _of_number(number: float) -> str | None:
    for below, unit_ns in _UNITS:
        if _EARLIEST <= number < below:
            # A float has no nanoseconds: microseconds are what it was written with.
            whole = number * unit_ns if isinstance(number, int) else round(number * unit_ns / 1_000) * 1_000
            return _of_ns(whole)
    return None


def _of_ns(time_ns: int) -> str | None:
    seconds, rest_ns = divmod(time_ns, _NS)
    try:
        at = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def _in_utc(date: str, time: str, fraction: str, zone: str) -> str | None:
    ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]) if len(zone) > 3 else 0)
    try:
        at = datetime.strptime(f"{date} {time}", "%Y-%m-%d %H:%M:%S")
        at = at + ahead if zone[0] == "-" else at - ahead
    except (ValueError, OverflowError):
        return None
    return f"{at:%Y-%m-%dT%H:%M:%S}.{fraction}Z"
