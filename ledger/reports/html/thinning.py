"""Chooses which intervals are drawn one by one, and gathers the others in blocks.

A session of torch's has tens of thousands of intervals, nearly all of them narrower than a pixel. Drawn one
by one are those that anybody may look for (spoken of by a claim, then top-level ones, what is not torch's,
what failed or has no end), then the longest, until there are DRAWN, together with all that enclose them.
What is left lies, with all that it encloses, within one that is drawn: neighbours there, no further apart
than the eye can see, are one block, which says how many they are and how long they took.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.reports.html.nesting import DEEPEST, Nested
from ledger.timeline.records import Interval
from ledger.timeline.spans import Span as Time
from ledger.timeline.spans import union_ns

DRAWN: Final = 2_000
"""A browser draws so many anew, at a step of the zoom, in a tenth of a second."""
_BLOCKS: Final = DRAWN // 2
_EYE: Final = 500
"""Into so many parts the eye divides the width of a screen."""


class Block(NamedTuple):
    """Neighbours that are not drawn one by one."""

    row: int
    start_ns: int
    stop_ns: int
    places: tuple[int, ...]
    """All of them, with what they enclose."""
    union_ns: int
    """The time that passed in them on the clock."""


class Thinned(NamedTuple):
    """What is drawn of a session, thread by thread."""

    drawn: tuple[tuple[Nested, ...], ...]
    blocks: tuple[tuple[Block, ...], ...]


def thinned(
    threads: Sequence[Sequence[Nested]],
    intervals: Sequence[Interval],
    claimed: Collection[int],
    length_ns: int,
    limit: int = DRAWN,
) -> Thinned:
    """Choose what is drawn of the nested intervals of each thread.

    `claimed` are the places of those that a claim speaks of; `length_ns` is the length of the session.
    """
    everything = {one.span.place: one for thread in threads for one in thread}
    kept = _kept(everything, intervals, claimed, limit)
    gap_ns = length_ns // _EYE
    blocks = [_blocks(thread, kept, gap_ns) for thread in threads]
    while sum(map(len, blocks)) > max(_BLOCKS, len(kept)) and gap_ns < length_ns:
        gap_ns = 2 * gap_ns + 1
        blocks = [_blocks(thread, kept, gap_ns) for thread in threads]
    drawn = [tuple(one for one in thread if one.span.place in kept) for thread in threads]
    return Thinned(tuple(drawn), tuple(map(tuple, blocks)))


def is_looked_for(interval: Interval) -> bool:
    """Tell whether an interval is more than a part of torch's work."""
    return interval.is_top_level or interval.source != "torch" or interval.outcome != "completed"


def _kept(
    everything: Mapping[int, Nested], intervals: Sequence[Interval], claimed: Collection[int], limit: int
) -> set[int]:
    able = [one for one in everything.values() if one.row < DEEPEST]
    if len(able) <= limit:
        return {one.span.place for one in able}

    def by_worth(one: Nested) -> tuple[bool, bool, int, int]:
        span = one.span
        is_special = is_looked_for(intervals[span.place])
        return span.place not in claimed, not is_special, span.start_ns - span.stop_ns, span.place

    kept: set[int] = set()
    for one in sorted(able, key=by_worth):
        if len(kept) >= limit:
            break
        around: int | None = one.span.place
        while around is not None and around not in kept:
            kept.add(around)
            around = everything[around].around
    return kept


class _Root(NamedTuple):
    """An interval that is not drawn though what encloses it is, and all that it encloses."""

    one: Nested
    inside: list[int]


def _blocks(thread: Sequence[Nested], kept: Collection[int], gap_ns: int) -> list[Block]:
    root_of: dict[int, _Root] = {}
    rows: defaultdict[int, list[_Root | None]] = defaultdict(list)
    """By row: what is not drawn, and None where something is."""
    for one in thread:
        place = one.span.place
        if place in kept:
            rows[one.row].append(None)
        elif one.around is not None and one.around not in kept:
            root_of[place] = root_of[one.around]
            root_of[place].inside.append(place)
        else:
            root_of[place] = _Root(one, [place])
            rows[one.row].append(root_of[place])
    return [block for roots in rows.values() for block in _neighbours(roots, gap_ns)]


def _neighbours(roots: Sequence[_Root | None], gap_ns: int) -> list[Block]:
    blocks: list[Block] = []
    together: list[_Root] = []
    for root in (*roots, None):
        is_near = (
            root is not None
            and together
            and root.one.span.start_ns - together[-1].one.span.stop_ns <= gap_ns
            and root.one.around == together[-1].one.around
        )
        if together and not is_near:
            blocks.append(_block(together))
            together = []
        if root is not None:
            together.append(root)
    return blocks


def _block(roots: Sequence[_Root]) -> Block:
    times = [Time(root.one.span.start_ns, root.one.span.stop_ns) for root in roots]
    return Block(
        roots[0].one.row,
        times[0].start_ns,
        max(time.stop_ns for time in times),
        tuple(place for root in roots for place in root.inside),
        union_ns(times),
    )
