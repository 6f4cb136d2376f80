"""Takes one container after the other off the lines of a text, as each is recognised by what is left."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from ledger.interchange.unwrapping.lines import ENTRY_POINTS, LogLine, Unwrapper

HEAD_SIZE: Final = 1 << 20
"""How many characters of a text it is recognised by."""
_HEAD_LINES: Final = 2_000
_MAX_DEPTH: Final = 8


class Layers(NamedTuple):
    """Lines without their containers."""

    lines: Iterator[LogLine]
    head: Sequence[LogLine]
    """The first of them."""
    names: tuple[str, ...]
    """The containers, the outermost first."""


@cache
def unwrappers() -> Sequence[Unwrapper]:
    """Return what the installed adapters take lines out of, in the order in which they are asked."""
    found: list[Unwrapper] = [
        entry.load()() for entry in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS))
    ]
    return sorted(found, key=lambda one: one.order)


def without_containers(lines: Iterator[LogLine]) -> Layers:
    """Return lines without the containers that are recognised."""
    names: list[str] = []
    left = list(unwrappers())
    head, lines = begin_of(lines)
    while len(names) < _MAX_DEPTH:
        texts = _texts(head)
        found = next((one for one in left if one.recognises(texts)), None)
        if found is None:
            break
        inner, lines = begin_of(found.unwrap(_split(lines) if names else lines))
        if _texts(inner) == texts and [line.stamp for line in inner] == [line.stamp for line in head]:
            left.remove(found)
        else:
            names.append(found.name)
        head = inner
    return Layers(lines, head, tuple(names))


def _texts(lines: Sequence[LogLine]) -> Sequence[str]:
    return [text for line in lines for text in line.text.split("\n")]


def begin_of(lines: Iterator[LogLine]) -> tuple[Sequence[LogLine], Iterator[LogLine]]:
    """Return the first lines, and all of them."""
    head: list[LogLine] = []
    size = 0
    for line in lines:
        head.append(line)
        size += len(line.text)
        if size >= HEAD_SIZE or len(head) >= _HEAD_LINES:
            break
    return head, chain(head, lines)


def _split(lines: Iterator[LogLine]) -> Iterator[LogLine]:
    for line in lines:
        if "\n" in line.text:
            yield from (line.with_text(text) for text in line.text.split("\n"))
        else:
            yield line
