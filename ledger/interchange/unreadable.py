"""Says in one line why a file can't be read: what it is, what is missing, and what could be read instead."""

import re
from typing import Final

_MAGICS: Final = (
    (b"\x89PNG", "a picture: copy its text into a file"),
    (b"\xff\xd8\xff", "a picture: copy its text into a file"),
    (b"GIF8", "a picture: copy its text into a file"),
    (b"%PDF", "a PDF document: copy its text into a file"),
    (b"SQLite format 3\0", "an SQLite database; a ledger is read by `compile-ledger report`, not imported"),
    (b"PAR1", "Parquet, which has no lines: export the log as text or JSON"),
    (b"ARROW1", "Arrow's, which has no lines: export the log as text or JSON"),
    (b"\x7fELF", "a program: import what it logged"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: extract it, and import the log in it"),
    (b"Rar!", "a rar archive: extract it, and import the log in it"),
)
_TIME: Final = re.compile(rb"\d\d?:\d\d:\d\d|\b1[5-9]\d{8}(?:\d{3}|\.\d)|T\d{6}Z?\b")
_LEVEL: Final = re.compile(rb"\b(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL)\b")
_JSON: Final = re.compile(rb'\{[}"]|\[[\]\[{"]')
_LOOKED_AT: Final = 1_000
_MANY: Final = 4
"""One line in so many has to have a time stamp for a text to be a log with them."""


def what_is_missing(head: bytes) -> str:
    """Return what keeps a file from being read, by its beginning, as the middle of a sentence."""
    for magic, what in _MAGICS:
        if head.startswith(magic):
            return what
    if b"\0" in head:
        return "binary data (not text in UTF-8 or UTF-16): export it as text or JSON"
    begin = b"".join(head[:_LOOKED_AT].split())
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        return "nothing but white space"
    if _JSON.match(begin):
        return (
            "JSON, but no log: nothing in it is a line of a log (a field `log`, `message`, `MESSAGE`, "
            "`textPayload`, `line` …) or a record of a trace"
        )
    if begin[:1] == b"<":
        return "markup without a line of a log in it: save the log as text"
    stamped = sum(1 for line in lines if _TIME.search(line))
    count = f"none of its first {len(lines):,} lines has one" if len(lines) > 1 else "its line has none"
    if stamped * _MANY < len(lines):
        some = f"{stamped:,} of its first {len(lines):,} lines have one" if stamped else count
        return f"no time stamps: {some}" + (
            "" if any(map(_LEVEL.search, lines)) else ", and no level is named"
        )
    return "no line of a logger that is known: its lines have time stamps, but are of another program"
