"""Reads the tables of `torch._dynamo.utils.compile_times()`: printed, logged at exit, or returned."""

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

TITLE: Final = "TorchDynamo compilation metrics:"
_NAME: Final = r"(?P<name>[^\s,]{1,300})"
_VALUE: Final = r"\d{1,9}(?:\.\d{1,9})?(?:e-\d{1,2})?"
_HEADER: Final = re.compile(r"Function(?: {2,}|, )Runtimes \(s\)|")
_RULE: Final = re.compile(r"-{3,} {2,}-{3,}")
"""Below the heads. In a copy with lines broken at a width, it is what all others are as long as."""
_ROW: Final = re.compile(rf"{_NAME}(?: {{2,}}|, )(?P<values>{_VALUE}(?:, {_VALUE})*)")
_RETURNED: Final = re.compile(r"\(\['[^']{1,300}'.*\], \['[\d., ]*'.*\]\)", re.DOTALL)
_RETURNED_BEGIN: Final = re.compile(r"\(\[(?:'[^']{1,300}'(?:, )?){1,1000}\], \['\d")
_PRINTED_NS: Final = 100_000
_RETURNED_NS: Final = 1_000


class Timed(NamedTuple):
    """What torch took for one function."""

    name: str
    seconds: tuple[float, ...]
    """Of each call; one number where it is their sum, or there was one call."""
    resolution_ns: int
    text: str


def is_row_or_header(text: str) -> bool:
    """Whether a line goes on with a table: its heads, or a row."""
    rest = _without_rule(text)
    return bool(text.strip()) and (_HEADER.fullmatch(rest) is not None or _ROW.fullmatch(rest) is not None)


def is_header(text: str) -> bool:
    """Whether a line has the heads of a table's columns."""
    return text.strip().startswith("Function") and _HEADER.fullmatch(text.strip()) is not None


def row_in(text: str) -> Timed | None:
    """Return a row of a printed table."""
    match = _ROW.fullmatch(_without_rule(text))
    if match is None:
        return None
    return Timed(match["name"], _numbers(match["values"]), _PRINTED_NS, match[0])


def is_returned(text: str) -> bool:
    """Whether a line is what `compile_times("csv")` returns."""
    return _RETURNED_BEGIN.match(text.strip()) is not None


def returned_in(text: str) -> Iterator[Timed]:
    """Yield what `compile_times("csv")` returned: names, and the numbers of each."""
    if _RETURNED.fullmatch(text.strip()) is None:
        return
    try:
        names, values = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return
    for name, numbers in zip(names, values, strict=False):
        if (
            isinstance(name, str)
            and isinstance(numbers, str)
            and re.fullmatch(rf"{_VALUE}(?:, {_VALUE})*", numbers)
        ):
            yield Timed(name, _numbers(numbers), _RETURNED_NS, f"{name}: {numbers}")


def _without_rule(text: str) -> str:
    text = text.strip()
    rule = _RULE.match(text)
    return text if rule is None else text[rule.end() :].strip()


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(", ")))
