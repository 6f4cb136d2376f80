"""Reads CompilationMetrics as Python prints them: in one line, in a list, or over many lines by pprint."""

import ast
import re
from collections.abc import Iterator
from typing import Final

BEGIN: Final = "CompilationMetrics("
_MOST: Final = 1 << 22
"""A record with more characters is not read; one of torch 2.13's has 40,000."""
# Strings do not go on in the next line. What is in them counts for nothing.
_TOKENS: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[(\[{]|[)\]}]|CompilationMetrics\(")
_OPENING: Final = frozenset("([{")

Metrics = dict[str, object]


class MetricsReader:
    """Collects the text of records over the lines of a file."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size, self._depth = 0, 0
        self.line = 0
        """Where the record begins that is being read, or that was read last."""

    def __bool__(self) -> bool:
        """Whether a record goes on in the next line."""
        return self._depth > 0

    def take(self, text: str, line: int) -> Iterator[Metrics | None]:
        """Yield each record that ends in a line; None for one that cannot be read."""
        begin = 0
        for token in _TOKENS.finditer(text):
            found = token[0]
            if self._depth == 0:
                if found == BEGIN:
                    self._parts, self._size, self._depth = [], 0, 1
                    begin, self.line = token.start(), line
            elif found == BEGIN or found in _OPENING:
                self._depth += 1
            elif found in ")]}":
                self._depth -= 1
                if self._depth == 0:
                    self._parts.append(text[begin : token.end()])
                    yield _parsed("".join(self._parts))
        if self._depth:
            self._parts.append(text[begin:] + "\n")
            self._size += len(text) - begin
            if self._size > _MOST:
                self._depth = 0
                yield None


def _parsed(text: str) -> Metrics | None:
    """Return the fields whose values are plain constants."""
    try:
        call = ast.parse(text, mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(call, ast.Call):
        return None
    values: Metrics = {}
    for keyword in call.keywords:
        if keyword.arg is not None and isinstance(keyword.value, ast.Constant):
            values[keyword.arg] = keyword.value.value
    return values or None
