"""Sessions as text: events as the lines of a journal, and an end mark that shows that a file is complete."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ledger.errors import InvalidEvent, InvalidLines, LedgerError, NewerLedger
from ledger.events.models import EVENT_FORMAT, Event, EventBase, parse_event, to_line

LONGEST: Final = 1 << 26
"""Bytes of a line. No event comes near, and a foreign file may be one line of gigabytes."""
_TAIL_BYTES: Final = 4_096
_SHOWN: Final = 60
_EMPTY: Final = "an empty file: there is nothing to read"
_NO_END: Final = "incomplete last line"
_GET_WHOLE: Final = "ask for the whole file, or take what is there with `compile-ledger import --unchecked`"
_FOREIGN: Final = (
    (b"SQLite format 3\0", "a SQLite file; a ledger is named by itself, not imported"),
    (b"\x1f\x8b", "compressed; unpack it first (`gunzip`)"),
    (b"PK\x03\x04", "compressed; unpack it first (`unzip`)"),
    (b"\x28\xb5\x2f\xfd", "compressed; unpack it first (`unzstd`)"),
)


class EndMark(BaseModel):
    """The last line of an export, by which the lines before it are checked to be complete and in order.

    Later versions may add fields to it, so unknown ones are ignored.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", defer_build=True)

    kind: Literal["end_of_export"] = "end_of_export"
    event_format: int = Field(ge=1)
    events: int = Field(ge=0)
    """How many lines there are before it, since the end mark before it."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """The digest of those lines with their newlines."""


class Bad(NamedTuple):
    """A line that is no event."""

    reason: str
    text: bytes


class Line(NamedTuple):
    """One line of a file: an event, an end mark, or what is neither."""

    number: int
    """From 1."""
    size: int
    """In bytes, with its newline."""
    content: Event | EndMark | Bad


def lines_of(events: Iterable[Event]) -> Iterator[bytes]:
    """Yield events as lines, and the end mark after them; several such exports may stand in one file."""
    digest, number = hashlib.sha256(), 0
    for event in events:
        line = to_line(event)
        digest.update(line)
        number += 1
        yield line
    mark = EndMark(event_format=EVENT_FORMAT, events=number, sha256=digest.hexdigest())
    yield mark.model_dump_json().encode() + b"\n"


def looks_like_lines(head: bytes) -> bool:
    """Tell from a file's beginning whether it is of such lines, whole or not."""
    kinds = [str(model.model_fields["kind"].default) for model in (*EventBase.__subclasses__(), EndMark)]
    plain = head.replace(b'": "', b'":"')
    return any(f'"kind":"{kind}"'.encode() in plain for kind in kinds)


def read_events(path: str | os.PathLike[str]) -> Iterator[Event]:
    """Return the events of a file that was exported, after the whole of it was read and found as it was.

    In constant memory. Raises InvalidLines, with the line, where the file is cut, reordered, edited or
    something else; NewerLedger where a newer version wrote it.
    """
    file = Path(path)
    for _ in checked_lines(file):
        pass
    # Checked again: somebody may have written to it meanwhile.
    return (line.content for line in checked_lines(file) if isinstance(line.content, EventBase))


def checked_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of an exported file. Raises as `read_events` does, as soon as a fault is met."""
    digest, number, begin, last = hashlib.sha256(), 0, 1, 0
    for line, text in _numbered(path):
        last = line.number
        if isinstance(line.content, Bad):
            raise _fault(path, line.number, line.content)
        if not isinstance(line.content, EndMark):
            digest.update(text)
            number += 1
        elif (line.content.events, line.content.sha256) == (number, digest.hexdigest()):
            digest, number, begin = hashlib.sha256(), 0, line.number + 1
        else:
            raise _changed(path, line.content, begin, line.number, number)
        yield line
    if not last:
        raise InvalidLines(f"{path}: {_EMPTY}")
    if number:
        raise InvalidLines(f"{path}: cut off after line {last}: there is no end mark; {_GET_WHOLE}")


def unchecked_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file as they are, whatever end marks say: a journal's copy, or one edited by hand.

    Raises InvalidLines where it can't be read, or is no text at all.
    """
    return (line for line, _ in _numbered(path))


def _numbered(path: Path) -> Iterator[tuple[Line, bytes]]:
    """Yield each line that is not blank, and the text that a digest is made of."""
    try:
        with path.open("rb") as file:
            _refuse_foreign(path, file)
            number = 0
            while text := file.readline(LONGEST):
                number += 1
                if len(text) == LONGEST:
                    raise InvalidLines(f"{path}, line {number}: longer than {LONGEST:,} bytes: no event")
                # A mail program or git may have made each newline two bytes; in JSON there is no such byte.
                line = text.rstrip(b"\r\n")
                if line:
                    is_whole = text.endswith(b"\n")
                    yield Line(number, len(text), _content(line, is_whole)), line + b"\n"
    except OSError as error:
        raise InvalidLines(f"{path}: {error.strerror or error}") from error


def _content(line: bytes, is_whole: bool) -> Event | EndMark | Bad:
    if line.startswith(b'{"kind":"end_of_export"'):
        try:
            return EndMark.model_validate_json(line)
        except ValidationError:
            return Bad("an incomplete end mark" if is_whole else _NO_END, line)
    try:
        event = parse_event(line)
    except InvalidEvent as error:
        return Bad(str(error) if is_whole else _NO_END, line)
    # Only its newline shows that the recorder was done with it.
    return event if is_whole else Bad(_NO_END, line)


def _refuse_foreign(path: Path, file: BinaryIO) -> None:
    head = file.read(_TAIL_BYTES)
    file.seek(0)
    if not head:
        raise InvalidLines(f"{path}: {_EMPTY}")
    for magic, kind in _FOREIGN:
        if head.startswith(magic):
            raise InvalidLines(f"{path}: {kind}")
    if b"\0" in head:
        raise InvalidLines(f"{path}: a binary file, not events as lines")


def _fault(path: Path, number: int, bad: Bad) -> LedgerError:
    """Return the error for a file with a line that is not an event."""
    written = _event_format(path)
    if written > EVENT_FORMAT:
        return NewerLedger(
            f"{path}: written by a newer compile-ledger (event format {written}, this one knows "
            f"{EVENT_FORMAT}); upgrade with `pip install -U compile-ledger`"
        )
    if number == 1 and not looks_like_lines(bad.text):
        shown = bad.text[:_SHOWN].decode(errors="replace")
        kind = "JSON, but no event of ours" if bad.text.lstrip()[:1] in (b"{", b"[") else "not JSON"
        return InvalidLines(
            f"{path}: its first line is {kind}: {shown!r}; `compile-ledger import` takes logs and traces"
        )
    if bad.reason == _NO_END:
        return InvalidLines(f"{path}, line {number}: cut off in the middle; {_GET_WHOLE}")
    return InvalidLines(f"{path}, line {number}: no event: {bad.reason}; {_GET_WHOLE}")


def _event_format(path: Path) -> int:
    """Return the format that a file's last line says it has; ours where it says nothing."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        last = file.read().rstrip().rpartition(b"\n")[2]
    mark = _content(last, True)
    return mark.event_format if isinstance(mark, EndMark) else EVENT_FORMAT


def _changed(path: Path, mark: EndMark, begin: int, end: int, number: int) -> InvalidLines:
    where = f"{path}, lines {begin} to {end}"
    if number != mark.events:
        return InvalidLines(f"{where}: {number} events where {mark.events} were exported; {_GET_WHOLE}")
    return InvalidLines(f"{where}: not as they were exported: edited, or in another order; {_GET_WHOLE}")
