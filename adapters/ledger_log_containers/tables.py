"""Rows of CSV exports, and lines as literals of Python."""

import ast
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Final

from ledger.adapters import LogLine, normal_stamp
from ledger_log_containers.record_fields import line_of, stamp_of, text_of

_SAMPLE: Final = 50
_DELIMITERS: Final = ",;\t"
_QUOTE: Final = re.compile(r"""[bru]{0,2}['"]""")
_LITERAL: Final = re.compile(r"""[bru]{0,2}(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")""")
_LITERALS: Final = re.compile(rf"{_LITERAL.pattern}(?:\s*,\s*{_LITERAL.pattern})*")
_FLUENT: Final = re.compile(r"\[\d+\] (?P<tag>\S+): (?P<record>\[.*\])")
_ARROW: Final = re.compile(r'(?<!\\)"=>(?=["\d{\[tfn-])')
_KIBANA: Final = re.compile(
    r"(?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2}), (?P<year>\d{4}) @ (?P<time>\d\d:\d\d:\d\d(?:\.\d{1,9})?)"
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
csv.field_size_limit(1 << 24)


class Csv:
    """CSV with a row of names, or with a stamp in one column and the line in another one."""

    name = "a CSV export"
    order = 2

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether the rows are lines of a log."""
        return _columns(lines) is not None

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the rows' lines."""
        begin = list(islice(lines, _SAMPLE))
        found = _columns([line.text for line in begin])
        if found is None:
            yield from begin
            yield from lines
            return
        delimiter, names = found
        rows = csv.reader((f"{line.text}\n" for line in chain(begin, lines)), delimiter=delimiter)
        for number, row in enumerate(rows):
            if names is None:
                line = _line_of_columns(row)
            elif number:
                line = _line_of_row(dict(zip(names, row, strict=False)))
            else:
                continue
            if line is not None:
                yield line.with_text(line.text.strip("\n"))


class PythonLiterals:
    """A list of strings as Python prints it, or a string a line."""

    name = "strings as Python prints them"
    order = 2

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether most lines are literals."""
        some = [text for line in lines if (text := line.strip(" \t\r[](),"))]
        return bool(some) and sum(1 for line in some if _LITERALS.fullmatch(line)) * 10 >= 9 * len(some)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield what the literals stand for."""
        for line in lines:
            for literal in _literals(line.text):
                try:
                    value = ast.literal_eval(literal)
                except (ValueError, SyntaxError):
                    continue
                text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
                yield from (line.with_text(one) for one in text.removesuffix("\n").split("\n"))


class FluentBit:
    """Fluent Bit's standard output, in Ruby's notation: it becomes JSON."""

    name = "Fluent Bit's output"
    order = 0

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether most lines are records."""
        some = [line for line in lines if line.strip()]
        return sum(1 for line in some if _FLUENT.fullmatch(line)) * 2 > len(some)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the records as JSON, of the service that the tag names."""
        for line in lines:
            found = _FLUENT.fullmatch(line.text)
            if found is None:
                yield line
            else:
                yield line.with_text(_ARROW.sub('":', found["record"])).of(found["tag"])


def _literals(text: str) -> Iterator[str]:
    """Yield the literals in a text, up to one that does not end."""
    place = 0
    while (quote := _QUOTE.search(text, place)) is not None:
        literal = _LITERAL.match(text, quote.start())
        if literal is None:
            return
        yield literal[0]
        place = literal.end()


def _columns(lines: Sequence[str]) -> tuple[str, Sequence[str] | None] | None:
    """Return a CSV file's delimiter and its columns' names, if it has any; None where it is no log."""
    begin = [line.lstrip("\ufeff") for line in lines[:_SAMPLE]]
    for delimiter in _DELIMITERS:
        rows = _first_rows(begin, delimiter)
        names = [name.strip().removeprefix("_source.") for name in rows[0]] if len(rows) > 1 else []
        whole = [row for row in rows[1:] if len(row) == len(names) > 1]
        named = [_line_of_row(dict(zip(names, row, strict=True))) for row in whole]
        if text_of(dict.fromkeys(names, "")) is not None and any(named):
            return delimiter, names
        found = [_line_of_columns(row) for row in rows[:-1] if len(row) == len(rows[0]) > 1]
        # A comma after a stamp without a zone is also how Python's logging begins milliseconds.
        is_quoted = sum(1 for line in begin if f'{delimiter}"' in line) * 2 > len(begin)
        if len(found) == len(rows) - 1 > 0 and all(
            line is not None and (is_quoted or (line.stamp or "").endswith("Z")) for line in found
        ):
            return delimiter, None
    return None


def _first_rows(texts: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader([f"{text}\n" for text in texts], delimiter=delimiter) if row]
    except csv.Error:
        return []


def _line_of_row(row: Mapping[str, str]) -> LogLine | None:
    text = text_of(row)
    if text is None:
        return None
    line = line_of(row)
    stamp = stamp_of(row) or next(
        (found for one in row.values() if (found := _kibana(one)) is not None), None
    )
    return LogLine(text, stamp, None if line is None else line.service)


def _line_of_columns(row: Sequence[str]) -> LogLine | None:
    """Return the line in the longest column of a row that has a stamp in another one."""
    stamps = [normal_stamp(one) or _kibana(one) for one in row]
    others = [one for one, stamp in zip(row, stamps, strict=True) if stamp is None]
    stamp = next(filter(None, stamps), None)
    return None if stamp is None or not others else LogLine(max(others, key=len), stamp)


def _kibana(text: str) -> str | None:
    """Return a time as Kibana shows it, in the reader's zone."""
    found = _KIBANA.fullmatch(text.strip())
    if found is None or found["month"] not in _MONTHS:
        return None
    month = _MONTHS.index(found["month"]) + 1
    return normal_stamp(f"{found['year']}-{month:02}-{int(found['day']):02}T{found['time']}")
