"""Outputs of notebooks, and recordings of terminals."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, cast

import ijson

from ledger.adapters import LogLine, normal_stamp
from ledger_log_containers.prefixed_lines import LONGEST

_OUTPUT: Final = ("cells", "", "outputs", "")
"""Where a notebook has an output: names, and nothing for a place in a list."""
_DEEPEST: Final = 8


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
        last = 0
        for output, text in _outputs(lines):
            rest += text if output == last or not rest else f"\n{text}"
            last = output
            *whole, rest = rest.split("\n")
            yield from map(LogLine, whole)
            if len(rest) > LONGEST:
                yield LogLine(rest)
                rest = ""
        if rest:
            yield LogLine(rest)


class Asciicast:
    """A recording of asciinema's, of any version; a line's stamp is that of its first character."""

    name = "a recording of asciinema's"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether it begins with the header."""
        return bool(lines) and _header(lines[0]) is not None

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines that were shown."""
        first = next(lines, None)
        header = None if first is None else _header(first.text)
        if header is None:
            yield from lines
            return
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
            if len(rest) > LONGEST:
                yield LogLine(rest, stamp)
                rest = ""
        if rest:
            yield LogLine(rest.removesuffix("\r"), stamp)


def _outputs(lines: Iterator[LogLine]) -> Iterator[tuple[int, str]]:
    """Yield what outputs contain, each with the number of its output."""
    events = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, use_float=True)
    keys: list[str] = []
    output = 0
    try:
        for line in lines:
            parser.send((line.text if line.is_cut else f"{line.text}\n").encode("utf-8", "replace"))
            for event, value in cast("list[tuple[str, str]]", events):
                if event.startswith("start_"):
                    keys.append("")
                    output += (
                        event == "start_map" and len(keys) == len(_OUTPUT) + 1 and tuple(keys[:-1]) == _OUTPUT
                    )
                elif event.startswith("end_"):
                    keys.pop()
                elif event == "map_key":
                    keys[-1] = value
                elif event == "string" and len(keys) < _DEEPEST and _is_text(keys):
                    yield output, value
            events.clear()
    except (ijson.JSONError, StopIteration):
        events.clear()


def _is_text(keys: Sequence[str]) -> bool:
    """Whether a string is shown: `text` of an output, or plain text of its data, as a list or as one."""
    place = keys[len(_OUTPUT) :]
    return tuple(keys[: len(_OUTPUT)]) == _OUTPUT and (
        place[:1] == ["text"] or place[:2] == ["data", "text/plain"]
    )


def _header(text: str) -> Mapping[str, Any] | None:
    value = _value(text)
    if not isinstance(value, Mapping):
        return None
    header = cast("Mapping[str, Any]", value)
    return header if "version" in header and ("width" in header or "term" in header) else None


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
