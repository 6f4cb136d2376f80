"""Takes a line of a log apart into what vLLM's logger put together: process, stamp, place, message."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from ledger_log_lines.plain_text import CONTAINER_STAMP, FRAME, without_container_stamp
from ledger_log_lines.stamps import Calendar, iso_wall_ns

STAMP_NS: Final = 1_000_000_000
"""Stamps are cut to whole seconds."""
_JSON_STAMP_NS: Final = 1_000_000

_HEAD: Final = re.compile(
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) (?P<stamp>\d\d-\d\d \d\d:\d\d:\d\d) "
    # Until 0.7 there was no bracket in front.
    r"\[?(?P<place>[^\[\]\s:]+:\d+)\] ?"
)
_PROCESS: Final = re.compile(
    # Ray does not know the name at first; the beginning of what somebody copied may lack its first character.
    r"(?:\(|^)(?:(?P<name>[^()\s=]+) )?(?:rank=(?P<rank>\d{1,9}) )?pid=(?P<pid>\d{1,18})"
    r"(?:, ip=(?P<host>[^()\s]+))?\)"
)
_PROCESS_ALONE: Final = re.compile(r"(?:\([^()]{1,99}pid=\d{1,18}[^()]{0,99}\)\s*)+")
# What belongs to the next record of the same line, where two processes wrote at once.
_NEXT: Final = re.compile(rf"(?:{_PROCESS.pattern}\s*)+$".replace("?P<", "?P<next_"))
_REPEATED: Final = re.compile(r" ?\[repeated (\d{1,9})x across [^\]]*\].*$", re.DOTALL)
"""Ray shows equal lines of several workers once."""
_ACTOR: Final = re.compile(r"\[actor=[^\]]*\] ")
_JSON_TEXTS: Final = ("asctime", "levelname", "message", "name", "processName")
"""The fields of vLLM's JSON formatter, from 0.32 on, and there is `process`, a number."""


class Speaker(NamedTuple):
    """The process that logged a line, as its prefix names it."""

    name: str | None = None
    pid: int | None = None
    rank: int | None = None
    host: str | None = None
    """Named by Ray, where the process is on another host than the one that shows the line."""


class Record(NamedTuple):
    """What vLLM's logger was given, and what it and others put around that."""

    speaker: Speaker
    stamp: str
    at_ns: int | None
    """None where there is no such time as the stamp says."""
    unit_ns: int
    """What the stamp is cut to."""
    wall_ns: int | None
    place: str
    """Of the source, `monitor.py:53`; where only the logger is known, its name."""
    message: str
    repeated: int | None = None
    """How many equal lines this one stands for, by Ray."""


_WHOLE: Final = re.compile(
    r"(?:\((?P<name>[^()\s]+) pid=(?P<pid>\d{1,18})\) )?(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) "
    r"(?P<stamp>\d\d-\d\d \d\d:\d\d:\d\d) \[(?P<place>[^\[\]\s:]+:\d+)\] (?P<message>[^\x1b\r\n]*)[\r\n]*"
)


@lru_cache(256)
def _speaker(name: str, pid: str) -> Speaker:
    return Speaker(name, int(pid))


def whole_record(line: str, calendar: Calendar) -> Record | None:
    """Return the record of a line to which nothing was added, as most are; None for all others."""
    match = _WHOLE.fullmatch(line)
    if match is None:
        return None
    name, pid, _, stamp, place, message = match.groups()
    # Another record, or what copies and Ray put into a line.
    if (
        "INFO " in message
        or "**" in message
        or "\u00a0" in message
        or "WARNING " in message
        or "ERROR " in message
        or "DEBUG " in message
        or "CRITICAL " in message
        or "[repeated " in message
        or message.startswith("[actor=")
    ):
        return None
    speaker = Speaker() if pid is None else _speaker(name, pid)
    return Record(speaker, stamp, calendar.at_ns(stamp), STAMP_NS, None, place, message.strip(FRAME))


def has_record(text: str) -> bool:
    """Tell whether a plain line is of vLLM's logger."""
    return _HEAD.search(text) is not None or _of_json(text) is not None


def before_records(text: str) -> str:
    """Return what stands before the first record of a plain line: all of it where there is none."""
    head = _HEAD.search(text)
    if head is not None:
        return text[: head.start()]
    return text if _of_json(text) is None else ""


def records(text: str, calendar: Calendar) -> Iterator[Record]:
    """Yield the records in a plain line: mostly one or none; more where processes wrote at once."""
    heads = list(_HEAD.finditer(text))
    if not heads:
        fields = _of_json(text)
        if fields is not None:
            yield _from_json(fields, calendar)._replace(wall_ns=_unwrapped_wall_ns(text))
        return
    begin = 0
    for number, head in enumerate(heads):
        before = text[begin : head.start()]
        begin = head.end()
        message = text[begin : heads[number + 1].start()] if number + 1 < len(heads) else text[begin:]
        if number + 1 < len(heads):
            message = _NEXT.sub("", message)
        message = _ACTOR.sub("", message, count=1) if message.startswith("[actor=") else message
        repeated = _REPEATED.search(message)
        if repeated is not None:
            message = message[: repeated.start()]
        yield Record(
            speaker_of(before), head["stamp"], calendar.at_ns(head["stamp"]), STAMP_NS, iso_wall_ns(before),
            head["place"], message.strip(FRAME), None if repeated is None else int(repeated[1]),
        )  # fmt: skip


def speaker_of(before: str) -> Speaker:
    """Return the process that a text's last prefix names: Ray's, or another one's, is in front of its own."""
    last, rank, host = None, None, None
    for last in _PROCESS.finditer(before):
        rank, host = last["rank"] or rank, last["host"] or host
    if last is None:
        return Speaker()
    return Speaker(last["name"], int(last["pid"]), None if rank is None else int(rank), host)


def is_process_alone(text: str) -> bool:
    """Tell whether a plain line has nothing but the prefixes that name its process."""
    return _PROCESS_ALONE.fullmatch(text) is not None


def _unwrapped_wall_ns(text: str) -> int | None:
    stamp = CONTAINER_STAMP.match(text)
    return None if stamp is None else iso_wall_ns(stamp[0])


def _of_json(text: str) -> Mapping[str, Any] | None:
    if '"asctime"' not in text:
        return None
    text = without_container_stamp(text)
    if not text.startswith("{"):
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    known = cast("dict[str, Any]", fields)
    texts = {name: value for name in _JSON_TEXTS if isinstance(value := known.get(name), str)}
    if len(texts) < len(_JSON_TEXTS) or type(known.get("process")) is not int:
        return None
    if texts["name"].split(".")[0] != "vllm":
        return None
    # JSON can spell out halves of characters, which are no text.
    whole = {name: value.encode(errors="replace").decode() for name, value in texts.items()}
    return {**whole, "process": known["process"]}


def _from_json(fields: Mapping[str, Any], calendar: Calendar) -> Record:
    date, _, fraction = fields["asctime"].partition(",")
    stamp = date[5:]
    at_ns = calendar.at_ns(stamp)
    unit_ns = STAMP_NS
    if at_ns is not None and re.fullmatch(r"\d{3}", fraction):
        at_ns, unit_ns = at_ns + int(fraction) * _JSON_STAMP_NS, _JSON_STAMP_NS
    pid = fields["process"]
    speaker = Speaker(fields["processName"] or None, pid if 0 <= pid < 10**18 else None)
    return Record(
        speaker, fields["asctime"], at_ns, unit_ns, None, fields["name"], fields["message"].strip(FRAME)
    )
