"""The text of HTML, of whole pages and of pieces.

Python's own parser takes quadratic time for marks that do not end, and no more than lines is needed of it.
"""

import html
import re
from collections.abc import Iterator, Sequence
from typing import Final

from ledger.adapters import LogLine
from ledger_log_containers.prefixed_lines import LONGEST

_NAMES: Final = (
    "a|abbr|article|b|blockquote|body|br|button|code|dd|details|div|dl|dt|em|font|footer|form|h[1-6]|head|header|hr"
    "|html|i|img|input|kbd|label|li|link|main|meta|nav|ol|p|pre|s|samp|script|section|small|span|strong|style|sub"
    "|summary|sup|svg|table|tbody|td|tfoot|th|thead|time|title|tr|tt|u|ul|var"
)
"""Other names are no marks: models print some of their own, as `<think>`."""
_MARK: Final = re.compile(
    rf"<!--|<!doctype[^<>]*>|<(?P<end>/?)(?P<name>{_NAMES})(?:[\s/][^<>]*)?>", re.IGNORECASE
)
_UNENDED: Final = re.compile(rf"</?(?:{_NAMES})\s[^<>]*", re.IGNORECASE)
_PAGE: Final = re.compile(r"\s*<(?:!doctype html|html|body|pre|table|div|code|samp)\b", re.IGNORECASE)
_BREAKS: Final = re.compile(
    r"br|div|p|tr|li|pre|h[1-6]|table|ul|ol|section|samp|body|dt|dd|blockquote", re.IGNORECASE
)
_CELLS: Final = ("td", "th")
_HIDDEN: Final = ("script", "style", "title", "svg")
_MAX_MARK: Final = 1 << 12


class Html:
    """A page, or a piece of one."""

    name = "HTML"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether it begins as a page does, or many of its lines have marks."""
        some = [line for line in lines if line.strip()]
        if some and _PAGE.match(some[0]) is not None:
            return True
        marked = sum(1 for line in some if _MARK.search(line))
        return marked > 0 and marked * 3 >= len(some)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines of the text."""
        page = _Page()
        begun = ""
        for line in lines:
            text = f"{begun} {line.text}" if begun else line.text
            last = text.rfind("<", max(0, len(text) - _MAX_MARK))
            begun = text[last:] if last >= 0 and _UNENDED.fullmatch(text, last) is not None else ""
            for one in page.lines_in(text[: len(text) - len(begun)]):
                if one.strip():
                    yield line.with_text(one)
        if begun.strip():
            yield LogLine(begun)


class _Page:
    """What is in front of the next line of a page."""

    def __init__(self) -> None:
        self._until = ""
        """What ends the part that is not shown."""
        self._hidden = 0

    def lines_in(self, text: str) -> Sequence[str]:
        """Return the lines that a line of the source shows."""
        shown: list[str] = []
        lower = text.lower()
        place = 0
        while True:
            if self._until:
                end = lower.find(self._until, place)
                self._hidden += (len(text) if end < 0 else end) - place
                if end < 0 and self._hidden <= LONGEST:
                    break
                # What is hidden for longer is no page's.
                place = place if end < 0 else end + len(self._until)
                self._until, self._hidden = "", 0
            mark = _MARK.search(text, place)
            shown.append(text[place:] if mark is None else text[place : mark.start()])
            if mark is None:
                break
            place = mark.end()
            shown.append(self._take(mark))
        return html.unescape("".join(shown)).replace("\u00a0", " ").split("\n")

    def _take(self, mark: re.Match[str]) -> str:
        """Take a mark, and return what it shows."""
        if mark[0] == "<!--":
            self._until = "-->"
        name = (mark["name"] or "").lower()
        if name in _HIDDEN and not mark["end"]:
            self._until = f"</{name}>"
        if _BREAKS.fullmatch(name) is not None:
            return "\n"
        return " " if name in _CELLS and not mark["end"] else ""
