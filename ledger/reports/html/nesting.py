"""Lays one thread's intervals into rows, as a flame chart does: each below what encloses it.

An interval stands in the first row that is free when it begins, below all that enclose it. Those that merely
cross it, as threads of a pool and guesses of a log do, only keep it out of their own row. All that would be
deeper than DEEPEST stands there, one over the other.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.timeline.enclosure import enclosure_key

DEEPEST: Final = 40
"""Twice as deep as torch's compiles nest. A thousand stages that never stopped would be a thousand deep."""


class Span(NamedTuple):
    """An interval's time on the one clock, and its place among all of the session."""

    start_ns: int
    stop_ns: int
    place: int


class Nested(NamedTuple):
    """A span in its row; `around` is the place of the innermost one that encloses it."""

    span: Span
    row: int
    around: int | None


def nested(spans: Sequence[Span]) -> list[Nested]:
    """Return the spans in rows, each after all that enclose it."""
    found: list[Nested] = []
    running: list[Nested] = []
    for span in sorted(spans, key=lambda span: enclosure_key(*span)):
        running = [other for other in running if _goes_on(other.span, span.start_ns)]
        around = [other for other in running if other.span.stop_ns >= span.stop_ns]
        innermost = max(around, key=lambda other: other.row, default=None)
        taken = {other.row for other in running}
        row = 0 if innermost is None else innermost.row + 1
        while row in taken:
            row += 1
        one = Nested(span, min(row, DEEPEST), None if innermost is None else innermost.span.place)
        found.append(one)
        if row < DEEPEST:
            running.append(one)
    return found


def _goes_on(span: Span, at_ns: int) -> bool:
    # What ends where another begins leaves it its row; what takes no time has to be somewhere as well.
    return span.stop_ns > at_ns or span.start_ns == span.stop_ns == at_ns
