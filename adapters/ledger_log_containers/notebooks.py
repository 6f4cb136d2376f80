"""Outputs of notebooks, and recordings of terminals."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, cast

import ijson

from ledger.adapters import LogLine, normal_stamp

_TEXTS: Final = ("outputs.item.text", "outputs.item.text.item")
_MIME: Final = ".data.text/plain"


class Notebook:
    """A Jupyter notebook: what its cells printed, in their order."""

    name = "a notebook"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether a document has a notebook's fields."""
        begin = "\n".join(lines)
        return (
            begin.lstrip()[:1] == "{"
            and '"cells"' in begin
            and ('"cell_type"' in begin or '"nbformat"' in begin)
        )

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines of the cells' outputs."""
        rest = ""
        last = ""
        for prefix, text in _outputs(lines):
            rest += text if prefix == last or not rest else f"\n{text}"
            last = prefix
            *whole, rest = rest.split("\n")
            yield from map(LogLine, whole)
        if rest:
            yield LogLine(rest)


class Asciicast:
    """A recording of asciinema's, of any version; a line's stamp is that of its first character."""

    name = "a recording of asciinema's"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether it begins with the header."""
        header = _value(lines[0]) if lines else None
        return isinstance(header, Mapping) and "version" in header and ("width" in header or "term" in header)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines that were shown."""
        first = next(lines, None)
        if first is None:
            return
        header = cast("Mapping[str, Any]", _value(first.text))
        begin_s = header.get("timestamp")
        events = chain.from_iterable(_events_of(header) if header["version"] == 1 else map(_event, lines))
        elapsed, rest, stamp = 0.0, "", None
        for time, text in events:
            elapsed = time if header["version"] == 2 else elapsed + time
            now = normal_stamp(begin_s + elapsed) if isinstance(begin_s, int | float) else None
            stamp = stamp if rest else now
            *whole, rest = (rest + text).split("\n")
            for one in whole:
                yield LogLine(one.removesuffix("\r"), stamp)
                stamp = now
        if rest:
            yield LogLine(rest.removesuffix("\r"), stamp)


def _outputs(lines: Iterator[LogLine]) -> Iterator[tuple[str, str]]:
    events = ijson.sendable_list()
    parser = ijson.parse_coro(events, use_float=True)
    cells = 0
    try:
        for line in lines:
            parser.send((line.text if line.is_cut else f"{line.text}\n").encode("utf-8", "replace"))
            for prefix, event, value in cast("list[tuple[str, str, str]]", events):
                cells += (prefix, event) == ("cells.item.outputs.item", "start_map")
                if event == "string" and (prefix.endswith(_TEXTS) or _MIME in prefix):
                    yield str(cells), value
            events.clear()
    except (ijson.JSONError, StopIteration):
        events.clear()


def _event(line: LogLine) -> list[tuple[float, str]]:
    value = _value(line.text)
    if not isinstance(value, list) or len(cast("list[object]", value)) < 3:
        return []
    time, kind, text = cast("list[object]", value)[:3]
    # What was typed takes time too.
    return [(float(time), str(text) if kind == "o" else "")] if isinstance(time, int | float) else []


def _events_of(header: Mapping[str, Any]) -> Iterator[list[tuple[float, str]]]:
    for time, text in header.get("stdout", ()):
        yield [(float(time), str(text))]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
