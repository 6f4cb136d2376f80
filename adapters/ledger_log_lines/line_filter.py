"""Finds the lines of a file that may matter, by what they contain, without splitting it into lines.

Lines end with `\n` or `\r`: a progress bar and the message after it can share what an editor
shows as one line. Line numbers are an editor's.

Of the other lines, those are found that tell how far a start-up reaches: the first one with a stamp, and the
last one before each line that may matter, and before the end of each piece that is read at once.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final, NamedTuple

from ledger_log_lines.linear_search import Search
from ledger_log_lines.plain_text import plain

_CHUNK: Final = 1 << 18
LONGEST: Final = 1 << 16
"""A line with more bytes is not read, and is reported."""
LOOKED_AT: Final = 1 << 13
"""How much of a line is read: those that matter have a few hundred bytes, or 4,000 where they print the whole
configuration of an engine."""
_FINISHED: Final = b"<00:00"
"""What a finished bar has."""
_SHORT: Final = 400


class Line(NamedTuple):
    """A line that may matter."""

    number: int
    text: bytes
    is_too_long: bool = False
    """It has more than LONGEST bytes; `text` is its beginning."""
    before: bytes = b""
    """Of a finished bar, the line before it, which may name its process."""


class LineFilter(NamedTuple):
    """Which lines of a logger's may matter."""

    search: Search
    """Finds what a line contains that may matter."""
    marks: Sequence[bytes]
    """Each line of the logger contains one of these, at the beginning of its stamp."""
    stamp: re.Pattern[bytes]
    """What is at a mark that is a stamp's."""
    has_record: Callable[[str], bool]
    """Whether a plain line is of the logger."""
    passed_over: Search | None = None
    """Finds in a line that may matter that it does not."""

    def lines(self, file: BinaryIO, size: int, progress: Callable[[int], None]) -> Iterator[Line]:
        """Yield the lines of the file's first `size` bytes that may matter, in their order."""
        number, rest, is_skipping, is_first = 1, b"", False, True
        while True:
            chunk = file.read(min(_CHUNK, size))
            size -= len(chunk)
            progress(len(chunk))
            buffer, is_last = rest + chunk, not chunk or size == 0
            begin = 0
            if is_skipping:
                begin = _end_of_line(buffer, 0)
                is_skipping = begin == len(buffer) and not buffer.endswith((b"\n", b"\r"))
            end = len(buffer) if is_last else _begin_of_line(buffer, begin, len(buffer))
            yield from self._in(buffer, begin, end, number, is_first=is_first)
            is_first = is_first and self._first_stamped(buffer, begin, end) is None
            number += buffer.count(b"\n", 0, end)
            rest = buffer[end:]
            if is_last:
                return
            if len(rest) > LONGEST:
                if not is_skipping:
                    yield Line(number, rest[:LOOKED_AT], is_too_long=True)
                is_skipping, rest = True, b""

    def _in(self, buffer: bytes, begin: int, end: int, number: int, *, is_first: bool) -> Iterator[Line]:
        """Yield the lines between two places that may matter."""
        stops = dict(self._that_may_matter(buffer, begin, end))
        long = set(_too_long(buffer, begin, end))
        stamped = [self._first_stamped(buffer, begin, end)] if is_first else []
        after = begin
        for start in (*(stops if long.issubset(stops) else sorted({*stops, *long})), end):
            if start > after:
                stamped.append(self.last_stamped(buffer, after, start))
            after = stops.get(start) or _end_of_line(buffer, start)
        for start in (*long, *stamped):
            if start is not None and start not in stops:
                stops[start] = _end_of_line(buffer, start)
        counted = 0
        for start in sorted(stops):
            number += buffer.count(b"\n", counted, start)
            counted = start
            stop = min(stops[start], end, start + LOOKED_AT)
            text = buffer[start:stop]
            before = _line_before(buffer, begin, start) if _FINISHED in text else b""
            yield Line(number, text, start in long, before)

    def _first_stamped(self, buffer: bytes, begin: int, end: int) -> int | None:
        """Return where the first line begins that is of the logger."""
        first = end
        for mark in self.marks:
            place = buffer.find(mark, begin, first)
            while place >= 0 and not self._is_stamped(buffer, begin, place):
                place = buffer.find(mark, place + 1, first)
            first = first if place < 0 else place
        return None if first == end else _begin_of_line(buffer, begin, first)

    def last_stamped(self, buffer: bytes, begin: int, end: int) -> int | None:
        """Return where the last line begins that is of the logger."""
        last = begin - 1
        for mark in self.marks:
            place = buffer.rfind(mark, last + 1, end)
            while place >= 0 and not self._is_stamped(buffer, begin, place):
                place = buffer.rfind(mark, last + 1, place + len(mark) - 1)
            last = max(last, place)
        return None if last < begin else _begin_of_line(buffer, begin, last)

    def _is_stamped(self, buffer: bytes, begin: int, place: int) -> bool:
        """Whether there is a stamp at a mark, in a line of the logger."""
        if self.stamp.match(buffer, place) is None:
            return False
        start = _begin_of_line(buffer, begin, place)
        text = buffer[start : min(_end_of_line(buffer, place), start + LOOKED_AT)]
        return self.has_record(plain(text.decode(errors="replace")))

    def _that_may_matter(self, buffer: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield where each line begins and ends that may matter."""
        place = begin
        others = self.passed_over
        if others is not None and others(buffer, begin, end) is None:
            others = None
        while (found := self.search(buffer, place, end)) is not None:
            start = _begin_of_line(buffer, begin, found.start())
            place = _end_of_line(buffer, found.end())
            other = None if others is None else others(buffer, start, place)
            # Where processes wrote at once, another record may follow in the same line.
            if other is None or any(buffer.find(mark, other.end(), place) >= 0 for mark in self.marks):
                yield start, place


def _line_before(buffer: bytes, begin: int, start: int) -> bytes:
    """Return the line before one that begins there; no more of it than a prefix has."""
    end = start
    while end > begin and buffer[end - 1] in b"\r\n":
        end -= 1
    first = max(_begin_of_line(buffer, begin, end), end - _SHORT) if end > begin else end
    return buffer[first:end]


def _too_long(buffer: bytes, begin: int, end: int) -> Iterator[int]:
    """Yield where each line begins that has more than LONGEST bytes."""
    while end - begin > LONGEST:
        after = _begin_of_line(buffer, begin, begin + LONGEST + 1)
        if after == begin:
            yield begin
            after = _end_of_line(buffer, begin)
        begin = after


def _begin_of_line(buffer: bytes, begin: int, place: int) -> int:
    """Return where the line that contains a place begins; `begin` if no line ends before it."""
    newline = max(buffer.rfind(b"\n", begin, place), begin - 1)
    return max(buffer.rfind(b"\r", newline + 1, place), newline) + 1


def _end_of_line(buffer: bytes, place: int) -> int:
    """Return the place after the end of the line that contains a place."""
    newline = buffer.find(b"\n", place)
    newline = len(buffer) if newline < 0 else newline + 1
    carriage_return = buffer.find(b"\r", place, newline)
    return newline if carriage_return < 0 else carriage_return + 1
