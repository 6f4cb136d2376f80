"""Messages that were copied without what vLLM's logger put in front of them.

Where a container says when they were written, they are read; elsewhere they are counted, to say what is
missing.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from ledger.adapters import LogLine
from ledger_log_lines.plain_text import plain
from ledger_vllm.messages import Durations, Occurrence
from ledger_vllm_log.message_meaning import meaning_of
from ledger_vllm_log.records import Speaker, has_record, speaker_of

_FRONT: Final = re.compile(
    r"(?:\([^()]*pid=\d+[^()]*\) ?)?(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):? ?)?"
    r"(?:\d\d:\d\d:\d\d(?:[.,]\d+)? ?)?(?:\[[^\[\]]*:\d+\] ?)?(?:[-:] )?"
)
_BULLET: Final = re.compile(r"[-*\u2022] ")


class BareMessages:
    """An unwrapper of messages with a container's stamps: they become records of vLLM's JSON logger."""

    name = "messages without their logger's stamps"
    order = 5

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether there are such messages, and no other ones."""
        return not any(has_record(plain(line)) for line in lines) and any(map(_message_in, lines))

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines; those that are messages and have a stamp as records."""
        for line in lines:
            message = None if line.stamp is None else _message_in(line.text)
            yield line if message is None or line.stamp is None else _record(line, line.stamp, message)


def unwrapper() -> BareMessages:
    """Return the unwrapper: what the entry point names."""
    return BareMessages()


def what_is_missing(head: bytes) -> str | None:
    """Return what keeps a text from being read that has messages of vLLM's; None where it has none."""
    lines = [line.decode(errors="replace") for line in head.splitlines()]
    count = sum(1 for line in lines if _message_in(line) is not None)
    if not count:
        return None
    found = "a line is a message" if count == 1 else f"{count} lines are messages"
    return (
        f"no time stamps: {found} of vLLM's without the logger's `INFO MM-DD hh:mm:ss [file.py:line]`; "
        "import the log that they were copied from, or a copy that keeps the beginnings of lines"
    )


def _message_in(text: str) -> str | None:
    """Return the known message that a line without a stamp is."""
    text = _BULLET.sub("", plain(text), count=1)
    front = _FRONT.match(text)
    for message in dict.fromkeys((text, text if front is None else text[front.end() :])):
        if isinstance(meaning_of(message), Durations | Occurrence):
            return message
    return None


def _record(line: LogLine, stamp: str, message: str) -> LogLine:
    speaker = speaker_of(plain(line.text)) if "pid=" in line.text else Speaker()
    fields = {
        "asctime": f"{stamp[:10]} {stamp[11:19]},{stamp[20:23]}",
        "levelname": "INFO",
        "name": "vllm",
        "processName": speaker.name or "",
        # Less than any process's: none is known.
        "process": -1 if speaker.pid is None else speaker.pid,
        "message": message,
    }
    return line.with_text(json.dumps(fields))
