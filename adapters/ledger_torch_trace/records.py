"""Splits a trace into records: a line with a glog prefix and JSON metadata, then a payload led by tabs.

    V1122 16:02:47.517000 7589 torch/_dynamo/utils.py:2350] {"chromium_event": {}, …, "has_payload": "4e99…"}
    <tab>{
    <tab>"name": "dynamo",

Traces are large and mostly not about time: a record's kind is recognised without parsing it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

CHUNK_BYTES: Final = 1 << 20
MAX_RECORD_BYTES: Final = 32 << 20
"""A longer record is passed over: torch's own for compile stages have some kilobytes, and metrics 40."""
_KEPT_OF_TOO_LONG: Final = 4_096

SPAN: Final = "chromium_event"
METRICS: Final = frozenset(
    f"{direction}compilation_metrics{moment}" for direction in ("", "bwd_") for moment in ("", "_runtime")
)
"""The kinds of metrics records."""

# A line of a payload that was empty but for its tab is empty in copies whose trailing blanks were removed.
_BREAK: Final = re.compile(rb"\n(?=[^\t\r\n])")
_HEAD: Final = re.compile(
    rb"[A-Z]+(?P<stamp>\d{4} \d\d:\d\d:\d\d\.\d{1,6})\d* (?P<pid>\d{1,18}) [^\n]+?:\d+\] "
    rb"(?P<metadata>\{\"(?P<kind>\w+)\": )"
)


class Raw(NamedTuple):
    """A record as it stands in the file, without the newline that ends it."""

    line: int
    """The number of its first line, from 1."""
    text: bytes
    is_too_long: bool = False
    """`text` is only its beginning."""


class Record(NamedTuple):
    """A record, split into its parts."""

    line: int
    pid: int
    stamp: str
    """When it was logged, `1122 16:02:47.517000`: in the process's zone, without a year."""
    kind: str
    """The first key of the metadata: `chromium_event`, `compilation_metrics`, …."""
    metadata: bytes
    """A JSON text."""
    tabbed: bytes | None
    """The payload as it stands in the file, after its first tab."""

    @property
    def payload(self) -> bytes | None:
        """What torch logged: each newline of it was written with a tab after it."""
        return None if self.tabbed is None else self.tabbed.replace(b"\n\t", b"\n")

    @property
    def is_about_time(self) -> bool:
        """Whether it is of a kind that is read here."""
        return self.kind == SPAN or self.kind in METRICS


def chunks(path: Path, size: int, progress: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the first `size` bytes of a file in pieces: what is appended meanwhile is not read."""
    with path.open("rb", buffering=0) as file:
        while size > 0 and (chunk := file.read(min(CHUNK_BYTES, size))):
            size -= len(chunk)
            yield chunk
            progress(len(chunk))


def split(pieces: Iterable[bytes], max_bytes: int = MAX_RECORD_BYTES) -> Iterator[Raw]:
    """Yield the records of a file that comes in pieces. A record ends before a line without a leading tab."""
    line = 1
    rest = b""
    too_long: Raw | None = None
    for piece in pieces:
        # The last byte was searched without its successor.
        searched = max(len(rest) - 1, 0)
        rest += piece
        start = 0
        for found in _BREAK.finditer(rest, searched):
            end = found.start()
            yield too_long or Raw(line, rest[start:end])
            too_long = None
            line += rest.count(b"\n", start, end + 1)
            start = end + 1
        rest = rest[start:]
        if len(rest) > max_bytes:
            too_long = too_long or Raw(line, rest[:_KEPT_OF_TOO_LONG], is_too_long=True)
            line += rest.count(b"\n", 0, len(rest) - 1)
            rest = rest[-1:]
    if too_long is not None:
        yield too_long
    elif rest:
        yield Raw(line, rest[:-1] if rest.endswith(b"\n") else rest)


def parse(raw: Raw) -> Record | None:
    """Return a record's parts; None if it does not begin as torch's records do.

    Its lines may end as they do on Windows.
    """
    head = _HEAD.match(raw.text)
    if head is None:
        return None
    text = raw.text.replace(b"\r\n", b"\n").rstrip(b"\r\n") if b"\r" in raw.text else raw.text.rstrip(b"\n")
    first, tab, tabbed = text.partition(b"\n\t")
    metadata = first[head.start("metadata") :]
    stamp, kind = head["stamp"].decode("ascii"), head["kind"].decode("ascii")
    return Record(raw.line, int(head["pid"]), stamp, kind, metadata, tabbed if tab else None)


def is_trace(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a trace, or one that has lost its beginning."""
    lines = (line for line in head.split(b"\n") if line.strip() and not line.startswith(b"\t"))
    return _HEAD.match(next(lines, b"")) is not None
