"""Replaces the lines of a program that torch quotes, and the values that its guards compare with."""

import re
from collections.abc import Callable
from typing import Final

from ledger.events.redaction.patterns import Kind

GUARDS: Final = frozenset({"recompile_reason", "guard", "guards"})
"""Keys of data under which guards stand: `text == 'bb'  # return len(text)  # x.py:9 in f`."""

_COMMENT: Final = "# "
_PLACE: Final = re.compile(r".*(?::\d+|<path-\d+>|<file-\d+>) in \S.*")
_FRAME: Final = re.compile(r'\s*File "?[^"\n]*"?, line \d+(?:, in .*)?')
_MARKS: Final = re.compile(r"[\s^~]+")
"""What stands below a line to show where in it something is."""
_COMPARES: Final = re.compile(r"==|!=|<=|>=|\b(?:in|is)\b")
_LITERAL: Final = re.compile(
    r"(?P<before>[\w\])]\[)?(?P<text>[bru]{0,2}(?:'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"))"
)
_PLACEHOLDER: Final = re.compile(r"['\"]?<[a-z]+(?:-\d+)?>['\"]?")

Whole = Callable[[Kind, str], str]


def without_quoted_lines(text: str, whole: Whole) -> str:
    """Return a text in which quoted lines of a program are placeholders: those below frames and in guards."""
    if _COMMENT not in text and "File " not in text:
        return text
    lines = text.split("\n")
    is_below_frame = False
    for place, line in enumerate(lines):
        if is_below_frame and line.strip() and not _FRAME.fullmatch(line):
            indent = line[: len(line) - len(line.lstrip())]
            if indent:
                lines[place] = "" if _MARKS.fullmatch(line) else indent + _whole(line.strip(), whole)
                continue
        is_below_frame = _FRAME.fullmatch(line) is not None
        if not is_below_frame and line.count(_COMMENT) > 1:
            lines[place] = _without_comment(line, whole)
    return "\n".join(lines)


def without_compared_values(text: str, whole: Whole) -> str:
    """Return guards in which each text that something is compared with is a placeholder."""
    return "\n".join(_without_values(line, whole) for line in text.split("\n"))


def _without_comment(line: str, whole: Whole) -> str:
    guard, _, rest = line.partition(_COMMENT)
    code, _, place = rest.rpartition(_COMMENT)
    if not _PLACE.fullmatch(place) or not code.strip():
        return line
    blanks = code[len(code.rstrip()) :]
    return f"{guard}{_COMMENT}{_whole(code.strip(), whole)}{blanks}{_COMMENT}{place}"


def _without_values(line: str, whole: Whole) -> str:
    if (compares := _COMPARES.search(line)) is None or _FRAME.fullmatch(line):
        return line
    begin = compares.end()

    def replaced(found: re.Match[str]) -> str:
        if found["before"] or _PLACEHOLDER.fullmatch(found["text"]):
            return found[0]  # `config['name']` is a name
        return whole("value", found["text"])

    return line[:begin] + _LITERAL.sub(replaced, line[begin:])


def _whole(code: str, whole: Whole) -> str:
    return code if _PLACEHOLDER.fullmatch(code) else whole("code", code)
