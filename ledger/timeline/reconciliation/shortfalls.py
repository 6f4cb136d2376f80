"""Why time that was measured is not counted: moment by moment, and once for all claims that lack it alike.

A session may have thousands of claims of one accumulator. They differ in what they count; what they don't
count they lack for the same reasons. These are added up by cause and stage, and so what a claim lacks of a
long time is the difference of two sums.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from ledger.timeline.enclosure import by_enclosure
from ledger.timeline.reconciliation.causes import OF_SHORTFALL, innermost
from ledger.timeline.reconciliation.evidence import Evidence, is_seen_by_all, span_of
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.reconciliation.parts import Breakdown, Part
from ledger.timeline.reconciliation.stretches import Asked
from ledger.timeline.reconciliation.surroundings import Surroundings
from ledger.timeline.records import Claim, Interval
from ledger.timeline.spans import Span
from ledger.vocabulary import CauseName

_FEW: Final = 8


class _Sums(NamedTuple):
    """The entries of one cause and stage."""

    places: list[int]
    shown_by: list[Interval]
    """What shows each."""
    ns: list[int]
    """How long they are together, before each of them and after the last."""


class Reasons:
    """Why claims of a kind do not count some time: an entry for as long as it stays the same."""

    def __init__(self, surroundings: Surroundings, asked: Asked, measured: Match) -> None:
        self._starts: Final = surroundings.starts
        self._found: Final[list[tuple[CauseName, Interval] | None]] = []
        rules = _holding(surroundings, asked, innermost(measured.intervals))
        for at, outermost in enumerate(surroundings.around["outermost"]):
            # Of an accumulator, nothing is measured where none of its intervals is around.
            found = None
            if outermost is not None or not asked.is_of_accumulator:
                for cause, around in rules:
                    if (shown_by := around[at]) is not None:
                        found = cause, shown_by
                        break
            self._found.append(found)

    def add_to(self, parts: Breakdown, span: Span) -> None:
        """Add why a time is not counted to the parts of a difference."""
        starts = self._starts
        first, past = bisect_left(starts, span.start_ns), bisect_right(starts, span.stop_ns) - 1
        # Sums are worth while where much is added up.
        if past - first <= _FEW or past - first <= len(self._sums):
            self._add_each(parts, *span)
            return
        self._add_each(parts, span.start_ns, starts[first])
        within: list[tuple[int, int, int, Part]] = []
        for part, sums in self._sums.items():
            begin, end = bisect_left(sums.places, first), bisect_left(sums.places, past)
            if begin < end:
                within.append((sums.places[begin], begin, end, part))
        for _, begin, end, part in sorted(within):
            sums = self._sums[part]
            parts.add(*part, sums.ns[begin] - sums.ns[end], sums.shown_by[begin:end])
        self._add_each(parts, starts[past], span.stop_ns)

    def _add_each(self, parts: Breakdown, begin_ns: int, stop_ns: int) -> None:
        starts, at = self._starts, bisect_right(self._starts, begin_ns) - 1
        while begin_ns < stop_ns:
            end_ns = min(stop_ns, starts[at + 1]) if at + 1 < len(starts) else stop_ns
            if (found := self._found[at]) is not None:
                cause, shown_by = found
                parts.add(cause, shown_by.stage, begin_ns - end_ns, (shown_by,))
            begin_ns, at = end_ns, at + 1

    @cached_property
    def _sums(self) -> Mapping[Part, _Sums]:
        sums: defaultdict[Part, _Sums] = defaultdict(lambda: _Sums([], [], [0]))
        # What is around after the last stop is nothing, so that entry has no reason.
        for place, found in enumerate(self._found[:-1]):
            if found is not None:
                cause, shown_by = found
                of_part = sums[cause, shown_by.stage]
                of_part.places.append(place)
                of_part.shown_by.append(shown_by)
                of_part.ns.append(of_part.ns[-1] + self._starts[place + 1] - self._starts[place])
        return sums


def _holding(
    surroundings: Surroundings, asked: Asked, otherwise: Interval
) -> list[tuple[CauseName, Sequence[Interval | None]]]:
    """Return the causes that may hold, in order, each with what shows it at all times.

    `otherwise` says best what went on where nothing does.
    """
    found: list[tuple[CauseName, Sequence[Interval | None]]] = []
    for cause, rule in OF_SHORTFALL:
        if (what := rule(asked)) is not None:
            around = surroundings.around[what]
            found.append((cause, [one or otherwise for one in around] if what == "stage" else around))
    return found


class Shortfalls:
    """Why the claims of a session do not count what was measured."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._surroundings: dict[tuple[object, ...], Surroundings] = {}
        self._reasons: dict[tuple[object, ...], Reasons] = {}

    def of_accumulator(
        self, claim: Claim, measured: Match, asked: Asked, unseen: Sequence[Interval]
    ) -> Reasons:
        """Return the reasons of a claim of an accumulator, at any time.

        `unseen` are those of the intervals that it was counted for which speak for no other claim.
        """
        is_torch = claim.source == "torch"
        if unseen:
            return Reasons(self._around(measured, is_torch, unseen), asked, measured)
        # A match lives as long as the session's claims are reconciled, and accumulators share theirs.
        key = (id(measured), is_torch)
        if key not in self._surroundings:
            self._surroundings[key] = self._around(measured, is_torch, ())
        if (*key, asked) not in self._reasons:
            self._reasons[(*key, asked)] = Reasons(self._surroundings[key], asked, measured)
        return self._reasons[(*key, asked)]

    def _around(self, measured: Match, is_torch: bool, unseen: Sequence[Interval]) -> Surroundings:
        roles = {interval.role for interval in measured.intervals}
        process, seen = measured.process, self._evidence.visible(measured.process, is_torch=is_torch)
        if len(roles) == 1:
            seen = self._evidence.visible_of_role(process, *roles, is_torch=is_torch)
        visible = sorted({*seen, *unseen}, key=by_enclosure) if unseen else seen
        return Surroundings(visible, {interval.interval for interval in measured.intervals}, roles)

    def of_intervals(
        self, claim: Claim, measured: Match, asked: Asked, unseen: Sequence[Interval], span: Span
    ) -> Reasons:
        """Return the reasons of a claim of intervals, within a span."""
        process, is_torch = measured.process, claim.source == "torch"
        roles = {interval.role for interval in measured.intervals}
        if len(roles) == 1 and not unseen and measured.spans == tuple(map(span_of, measured.intervals)):
            # One of its intervals is around whatever was measured.
            key = (process, is_torch, *roles)
            if key not in self._surroundings:
                seen = self._evidence.visible_of_role(process, *roles, is_torch=is_torch)
                self._surroundings[key] = Surroundings(seen, (), roles)
            if (*key, asked) not in self._reasons:
                self._reasons[(*key, asked)] = Reasons(self._surroundings[key], asked, measured)
            return self._reasons[(*key, asked)]
        near = [one for one in self._evidence.near(process, span) if is_torch or is_seen_by_all(one)]
        near += [one for one in unseen if span_of(one).overlaps(span)]
        near.sort(key=by_enclosure)
        ids = {interval.interval for interval in measured.intervals}
        return Reasons(Surroundings(near, ids, roles), asked, measured)
