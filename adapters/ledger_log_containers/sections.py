"""Sections of a text: files behind each other, and records of a field a line."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ledger.adapters import LogLine
from ledger_log_containers.record_fields import line_of

_FILE: Final = re.compile(r"==> (?P<name>.+) <==")
_FIELD: Final = re.compile(r"\s*(?P<name>_{0,2}[A-Z][A-Z0-9_]*)=(?P<value>.*)", re.DOTALL)
_VERBOSE: Final = re.compile(r"(?:[A-Z][a-z]{2} )?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* \S+ \[.*\]")


class FileHeads:
    """`tail` and `head` of several files: each is a service."""

    name = "several files"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether a text begins with a file's name."""
        first = next((line for line in lines if line.strip()), "")
        return _FILE.fullmatch(first) is not None

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the files' lines."""
        name: str | None = None
        for line in lines:
            found = _FILE.fullmatch(line.text)
            if found is not None:
                name = found["name"]
            else:
                yield line.of(name)


class JournalFields:
    """`journalctl -o export` and `-o verbose`: a field a line."""

    name = "a journal's fields"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether most lines are fields, and messages are among them."""
        some = [line for line in lines if line.strip()]
        fields = [found for line in some if (found := _FIELD.fullmatch(line)) is not None]
        heads = sum(1 for line in some if _VERBOSE.fullmatch(line))
        has_message = any(found["name"] == "MESSAGE" for found in fields)
        return has_message and (len(fields) + heads) * 10 >= len(some) * 8

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the messages."""
        record: dict[str, str] = {}
        for line in lines:
            found = _FIELD.fullmatch(line.text)
            if found is not None:
                record[found["name"].lstrip() if found["name"] not in record else "also"] = found["value"]
            elif not line.text.strip() or _VERBOSE.fullmatch(line.text):
                yield from _message(record)
                record = {}
                if line.text.strip():
                    stamp = line.text[: line.text.index(" [")]
                    record["timestamp"] = re.sub(r"^[A-Z][a-z]{2} ", "", stamp)
        yield from _message(record)


def _message(record: dict[str, str]) -> Iterator[LogLine]:
    line = line_of(record)
    if line is not None:
        yield line
