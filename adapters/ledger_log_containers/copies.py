"""What copying does to lines: Markdown's marks, lost escape characters, hard ends of lines."""

import html
import quopri
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, pairwise
from typing import Final

from ledger.adapters import LogLine
from ledger_log_containers.prefixed_lines import LONGEST

_FENCE: Final = re.compile(r"[\s>]*(?:```+[^`]*|~~~+[^~]*)")
_QUOTE: Final = re.compile(r"\s*(?:>\s?)+")
_SEEN_ESCAPE: Final = r"(?:\u241b|\ufffd|\^\[|\\x1b|\\u001b|\\033|\\e|#033)"
"""What shows an escape character that is none any more."""
_LOST_COLOUR: Final = re.compile(rf"(?:{_SEEN_ESCAPE}\[[\d;]*|\[\d{{1,3}}(?:;\d{{1,3}})*)m(?!\])")
_LOST_RESET: Final = re.compile(rf"(?:{_SEEN_ESCAPE}\[[\d;]*|(?<!\x1b)\[(?:0(?:;0)?|39|22|49))m(?!\])")
_SPACES: Final = re.compile("[\u00a0\u2007\u202f\u2009\u3000]")
_HYPHENS: Final = re.compile("[\u2010\u2011\u2212]")
_INVISIBLE: Final = re.compile("[\u200b\u200c\u2060\ufeff\u00ad]")
_ENTITY: Final = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|mdash|ndash|#\d{2,5}|#x[0-9a-fA-F]{2,5});")
_BACKSLASH: Final = re.compile(r"\\([\[\](){}_*`#+.!<>|~-])")
_HEAD: Final = re.compile(
    r"(?:\x1b\[[\d;]*m)*(?:\(\S+ (?:rank=\d+ )?pid=\d+|(?:INFO|WARNING|ERROR|DEBUG|CRITICAL)\b)"
)
_MAIL_WIDTH: Final = 76
_NUMBERED: Final = re.compile(r"=(?:3D|20|09|[C-E][0-9A-F]=)")
_LEVEL: Final = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d")
_HEAD_SIZE: Final = 24
_CLOCK: Final = re.compile(r"\d\d:\d\d:\d\d")
_NARROWEST, _WIDEST = 40, 400
_SAMPLE: Final = 2_000


class Fences:
    """Markdown with the log between fences; where none of it is outside, what is outside is left out."""

    name = "Markdown's fences"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether there is a fence with something between it and the next one."""
        return any(_FENCE.fullmatch(line) for line in lines)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines that are not a fence."""
        begin = list(islice(lines, _SAMPLE))
        are_all = _has_clock_outside(line.text for line in begin)
        is_inside = False
        for line in chain(begin, lines):
            if _FENCE.fullmatch(line.text):
                is_inside = not is_inside
            elif is_inside or are_all or _CLOCK.search(line.text) is not None:
                yield line


class Quotes:
    """Lines of a mail or of Markdown, each behind `>`."""

    name = "quoted lines"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether most lines are quoted."""
        some = [line for line in lines if line.strip()]
        return sum(1 for line in some if _QUOTE.match(line)) * 2 > len(some)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines without their marks."""
        for line in lines:
            mark = _QUOTE.match(line.text)
            yield line if mark is None else line.with_text(line.text[mark.end() :])


class Characters:
    """Spaces of other kinds, entities, backslashes, and colours whose escape character was lost."""

    name = "a copy's characters"
    order = 3

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether any line has such characters."""
        text = "\n".join(lines)
        return (
            _SPACES.search(text) is not None
            or _INVISIBLE.search(text) is not None
            or _HYPHENS.search(text) is not None
            or _ENTITY.search(text) is not None
            or self._has_backslashes(lines)
            or _LOST_RESET.search(text) is not None
        )

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines as they were."""
        for line in lines:
            text = line.text
            if "&" in text:
                text = html.unescape(text)
            if "\\[" in text:
                text = _BACKSLASH.sub(r"\1", text)
            if "m" in text and "[" in text:
                text = _LOST_COLOUR.sub(_kept_if_whole, text)
            if not text.isascii():
                text = _INVISIBLE.sub("", _SPACES.sub(" ", _HYPHENS.sub("-", text)))
            yield line.with_text(text)

    def _has_backslashes(self, lines: Sequence[str]) -> bool:
        some = [line for line in lines if _CLOCK.search(line)]
        return any("\\[" in line and "\\]" in line for line in some)


class QuotedPrintable:
    """A mail as it is sent: long lines end in `=` and go on."""

    name = "quoted-printable text"
    order = 3

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether lines go on, and characters are written as numbers."""
        if any(len(line) > _MAIL_WIDTH for line in lines):
            return False
        going_on = sum(1 for line in lines if line.endswith("="))
        return going_on > 1 and any(_NUMBERED.search(line) for line in lines)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines in one piece."""
        whole: LogLine | None = None
        for line in lines:
            whole = line if whole is None else whole.with_text(whole.text + line.text)
            if line.text.endswith("=") and len(whole.text) < LONGEST:
                whole = whole.with_text(whole.text[:-1])
            else:
                yield _decoded(whole)
                whole = None
        if whole is not None:
            yield _decoded(whole)


class LineEnds:
    """`cat -A`: a `$` at each line's end."""

    name = "marked line ends"
    order = 3

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether each line ends so."""
        return len(lines) > 1 and all(line.endswith("$") for line in lines if line)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines without it."""
        return (line.with_text(line.text.removesuffix("$")) for line in lines)


class HardEnds:
    """Lines that a terminal broke at its last column."""

    name = "lines broken at a width"
    order = 4

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether the longest lines have one length, and go on with lines that have no stamp."""
        return self._width(lines) is not None

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines in one piece."""
        begin = list(islice(lines, _SAMPLE))
        width = self._width([line.text for line in begin]) or _WIDEST
        whole: LogLine | None = None
        last = 0
        for line in chain(begin, lines):
            is_broken = whole is not None and last in (width, width - 1) and len(whole.text) < LONGEST
            if whole is not None and is_broken and (not _has_head(line.text) or _cuts_head(whole, line)):
                whole = whole.with_text(whole.text + (" " if last < width else "") + line.text)
            else:
                if whole is not None:
                    yield whole
                whole = line
            last = len(line.text)
        if whole is not None:
            yield whole

    def _width(self, lines: Sequence[str]) -> int | None:
        width = max(map(len, lines), default=0)
        if not _NARROWEST <= width <= _WIDEST:
            return None
        after = [line for before, line in pairwise(lines) if len(before) == width]
        going_on = sum(1 for line in after if line and not _has_head(line))
        return width if going_on >= 2 and going_on * 2 > len(after) else None


def _has_clock_outside(texts: Iterable[str]) -> bool:
    """Whether a part of the log is outside of the fences."""
    is_inside = False
    for text in texts:
        if _FENCE.fullmatch(text):
            is_inside = not is_inside
        elif not is_inside and _CLOCK.search(text) is not None:
            return True
    return False


def _decoded(line: LogLine) -> LogLine:
    text = quopri.decodestring(line.text.encode("utf-8", "surrogateescape"))
    return line.with_text(text.decode("utf-8", "surrogateescape"))


def _has_head(text: str) -> bool:
    """Whether a line begins a record or a bar: it has a stamp, a level or a process in front."""
    return _CLOCK.search(text, 0, 80) is not None or _HEAD.match(text) is not None or "%|" in text


def _cuts_head(before: LogLine, after: LogLine) -> bool:
    """Whether a record's head, behind a bar that shares its line, is in both."""
    end = before.text[-_HEAD_SIZE:]
    return any(
        head.start() < len(end) < head.end() for head in _LEVEL.finditer(end + after.text[:_HEAD_SIZE])
    )


def _kept_if_whole(found: re.Match[str]) -> str:
    """Return nothing for a colour that lost its escape character; whole ones are for the log's reader."""
    return found[0] if found.start() and found.string[found.start() - 1] == "\x1b" else ""
