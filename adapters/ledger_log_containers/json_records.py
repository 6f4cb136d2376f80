"""JSON that log stores and drivers write: a record a line, or documents with any number of records."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import ijson

from ledger.adapters import LogLine, normal_stamp
from ledger_log_containers.prefixed_lines import LONGEST
from ledger_log_containers.record_fields import (
    Record,
    is_partial,
    line_of,
    service_of,
    stamp_of,
    text_of,
)

_SAMPLE: Final = 200
_BEFORE: Final = " \t\r\x1e\ufeff"
_EVENT: Final = "data: "
"""In front of records that are sent as events, as `journalctl -o json-sse` does."""
_MAX_ITEMS: Final = 1_000
"""How much is kept of what is still open: of lists of records none is."""
_DEEPEST: Final = 64
"""What is nested deeper is left out."""
_ROW: Final = ["field", "value"]


class JsonLines:
    """A record a line: Docker's json-file, journald, Loki, GCP, Fluent Bit, …"""

    name = "JSON records"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether half of the first lines are records."""
        some = [line for line in lines if line.strip(_BEFORE)][:_SAMPLE]
        found = sum(1 for line in some if _is_of_records(line))
        return found * 2 > len(some)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the records' lines; those that were cut into several records are joined."""
        begun: dict[object, LogLine] = {}
        for line in lines:
            text = _without_event(line.text)
            record = None if line.is_cut else _mapping(text)
            found = None if record is None else line_of(record)
            if record is None or found is None:
                inner = list(lines_in([text])) if text[:1] in ("{", "[") and not line.is_cut else []
                yield from (_inside(line, one) for one in inner)
                if not inner:
                    yield line
                continue
            key = (found.service, record.get("stream"))
            before = begun.pop(key, None)
            whole = found if before is None else before.with_text(before.text + found.text)
            if is_partial(record, found.text) and len(whole.text) < LONGEST:
                begun[key] = whole
            else:
                yield _inside(line, whole)
        yield from begun.values()


class JsonDocument:
    """Documents of many lines: what query commands and interfaces of log stores answer."""

    name = "a JSON document of records"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether the beginning of a document has a record."""
        begin = "\n".join(lines).lstrip(_BEFORE + "\n")
        return (
            begin[:1] in ("{", "[")
            and next(lines_in([begin]), None) is not None
            and not JsonLines().recognises(lines)
        )

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the records' lines."""
        return lines_in(line.text if line.is_cut else f"{line.text}\n" for line in lines)


class JsonStrings:
    """A list of strings, each a line."""

    name = "a JSON list of lines"
    order = 2

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether a text begins with a list of strings."""
        begin = "\n".join(lines).lstrip(_BEFORE + "\n")
        return begin[:1] == "[" and begin[1:].lstrip()[:1] == '"' and _is_json(begin)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the strings."""
        for text in strings_in(line.text if line.is_cut else f"{line.text}\n" for line in lines):
            yield LogLine(text.removesuffix("\n"))


def lines_in(texts: Iterable[str]) -> Iterator[LogLine]:
    """Yield the lines of the records in JSON documents, as far as those are whole, in constant memory."""
    found: list[LogLine] = []
    walk = _Walk(found.append)
    for event, value in _events(texts):
        walk.take(event, value)
        if found:
            yield from found
            found.clear()


def strings_in(texts: Iterable[str]) -> Iterator[str]:
    """Yield the strings that are in lists of a document."""
    depth = 0
    for event, value in _events(texts):
        depth += (event == "start_array") - (event == "end_array")
        if event == "string" and depth:
            yield value


def _events(texts: Iterable[str]) -> Iterator[tuple[str, Any]]:
    events = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, multiple_values=True, use_float=True)
    try:
        for text in texts:
            parser.send(text.encode("utf-8", "replace"))
            yield from events
            events.clear()
    except (ijson.JSONError, StopIteration):
        # Cut off, or something else follows: what was whole before that is there.
        yield from events


class _Walk:
    """Builds what documents contain, and passes on each record as soon as it ends."""

    def __init__(self, take: Callable[[LogLine], None]) -> None:
        self._take: Final = take
        self._open: list[dict[str, object] | list[object]] = []
        self._keys: list[str] = []

    def take(self, event: str, value: Any) -> None:
        """Take an event of the parser's."""
        if event == "start_map":
            self._open.append({})
            self._keys.append("")
        elif event == "start_array":
            self._open.append([])
            self._keys.append("")
        elif event == "map_key":
            self._keys[-1] = value
        elif event in ("end_map", "end_array"):
            ended = self._open.pop()
            self._keys.pop()
            line = self._line_of_map(ended) if isinstance(ended, dict) else self._line_of_list(ended)
            if line is None:
                if len(self._open) < _DEEPEST:
                    self._put(ended)
            else:
                self._take(line.with_text(line.text.removesuffix("\n")))
        else:
            self._put(value)

    def _put(self, value: object) -> None:
        if not self._open:
            return
        inside = self._open[-1]
        if len(inside) >= _MAX_ITEMS:
            return
        if isinstance(inside, dict):
            inside[self._keys[-1]] = value
        else:
            inside.append(value)

    def _line_of_map(self, ended: dict[str, object]) -> LogLine | None:
        line = line_of(ended)
        inside = self._open[-1] if self._open else None
        if (line is None or line.stamp is None) and isinstance(inside, list):
            # Fluent Bit's: a stamp, or a list that has it, and maybe a tag, before the record.
            text = text_of(ended) if line is None else line.text
            stamp = next((found for one in inside if (found := _stamp_in(one)) is not None), None)
            if text is not None and stamp is not None:
                line = LogLine(text, stamp, service_of(ended))
        if line is None or line.service is not None:
            return line
        return line._replace(service=self._service_around())

    def _line_of_list(self, ended: list[object]) -> LogLine | None:
        around = self._open[-2] if len(self._open) > 1 else None
        if isinstance(around, dict) and self._keys[-2] == "values" and 2 <= len(ended) <= 3:
            stamp, text = ended[:2]
            if isinstance(stamp, str) and isinstance(text, str):
                # Loki's: each set of labels has its own lines in order.
                labels = around.get("stream") or around.get("metric")
                service = service_of(cast("Record", labels)) if isinstance(labels, Mapping) else None
                source = json.dumps(labels, sort_keys=True)
                return LogLine(text, normal_stamp(stamp), service, source)
        rows = [cast("Record", one) for one in ended if isinstance(one, Mapping)]
        if rows and len(rows) == len(ended) and all(sorted(one) == _ROW for one in rows):
            # A row of CloudWatch's Insights, whose stamps are in UTC without saying so.
            record = {str(one["field"]): one["value"] for one in rows}
            text, stamp = text_of(record), stamp_of(record)
            if text is not None:
                return LogLine(
                    text, f"{stamp}Z" if stamp and not stamp.endswith("Z") else stamp, service_of(record)
                )
        return None

    def _service_around(self) -> str | None:
        """Return what the maps around a record say of who wrote it, as OpenTelemetry's resources do."""
        for around in reversed(self._open):
            if isinstance(around, dict) and (service := service_of(around)) is not None:
                return service
        return None


def _is_of_records(text: str) -> bool:
    text = _without_event(text)
    if text[:1] not in ("{", "["):
        return False
    record = _mapping(text)
    if record is not None and line_of(record) is not None:
        return True
    # A line that is longer than what is looked at is a document.
    return text[-1:] in ("}", "]") and next(lines_in([text]), None) is not None


def _is_json(begin: str) -> bool:
    """Whether a text is JSON as far as it goes."""
    try:
        ijson.basic_parse_coro(ijson.sendable_list(), multiple_values=True).send(begin.encode())
    except (ValueError, ijson.JSONError):
        return False
    return True


def _without_event(text: str) -> str:
    return text.strip(_BEFORE).removeprefix(_EVENT)


def _mapping(text: str) -> Record | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Record", found) if isinstance(found, dict) else None


def _inside(outer: LogLine, inner: LogLine) -> LogLine:
    return (
        outer.with_text(inner.text.removesuffix("\n"))
        .of(inner.service, inner.stamp)
        ._replace(source=outer.source or inner.source)
    )


def _stamp_in(value: object) -> str | None:
    if isinstance(value, list):
        return next(
            (found for one in cast("list[object]", value) if (found := _stamp_in(one)) is not None), None
        )
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return normal_stamp(value)
    return None
