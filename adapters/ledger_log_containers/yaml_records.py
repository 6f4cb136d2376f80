"""YAML that log stores answer: a document for each record, as `gcloud logging read` prints them."""

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Final, cast

from ledger import MissingExtra
from ledger.adapters import LogLine
from ledger_log_containers.prefixed_lines import LONGEST
from ledger_log_containers.record_fields import Record, line_of

_BETWEEN: Final = "---"
_FIELD: Final = re.compile(r"(?P<item>- )?(?P<indent> *)[A-Za-z_][\w.@/-]{0,99}:(?: |$)")
_SAMPLE: Final = 200


class YamlDocuments:
    """Records in YAML, each a document, or an item of a list."""

    name = "YAML records"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether the first document or item is a record. Raises MissingExtra where it seems to be one."""
        begin = [line for line in lines if line.strip()][:_SAMPLE]
        if not begin or (begin[0] != _BETWEEN and not _FIELD.match(begin[0])):
            return False
        for first, end in _bounds(begin):
            # The last one may be cut.
            if end < len(begin) or len(lines) <= _SAMPLE:
                return _looks_like_record(begin[first:end]) and _line_in(begin[first:end]) is not None
        return False

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the records' lines. A document that is not one comes through as it is."""
        waiting: list[LogLine] = []
        size = 0
        for line in lines:
            begins = line.text == _BETWEEN or (line.text.startswith("- ") and not line.is_cut)
            if (begins and waiting) or size > LONGEST:
                yield from _taken(waiting)
                waiting, size = [], 0
            if line.text != _BETWEEN:
                waiting.append(line)
                size += len(line.text)
        yield from _taken(waiting)


def _bounds(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where each document or item begins and ends."""
    first = 0
    for number, line in enumerate(lines):
        if line == _BETWEEN or line.startswith("- "):
            if number > first:
                yield first, number
            first = number + (line == _BETWEEN)
    if first < len(lines):
        yield first, len(lines)


def _looks_like_record(lines: Sequence[str]) -> bool:
    return sum(1 for line in lines if _FIELD.match(line)) >= 2


def _line_in(lines: Sequence[str]) -> LogLine | None:
    record = _loaded("\n".join(lines))
    return None if record is None else line_of(record)


def _loaded(text: str) -> Record | None:
    try:
        yaml = import_module("yaml")
    except ImportError as error:
        raise MissingExtra.of("reading YAML", "PyYAML", "yaml") from error
    # Stamps stay texts, and a text is never a number: no type is guessed.
    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        found: object = yaml.load(text, loader)  # a BaseLoader makes texts, lists and mappings alone
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if isinstance(found, list) and len(items := cast("list[object]", found)) == 1:
        found = items[0]
    return cast("Record", found) if isinstance(found, dict) else None


def _taken(lines: Sequence[LogLine]) -> Iterator[LogLine]:
    if not lines:
        return
    found = _line_in([line.text for line in lines])
    if found is None:
        yield from lines
    else:
        yield lines[0].with_text(found.text.removesuffix("\n")).of(found.service, found.stamp)
