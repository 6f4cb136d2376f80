"""The parts that a claim's difference is taken apart into."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import starmap
from operator import attrgetter
from typing import Final

from ledger.timeline.records import Cause, Claim, Interval, IntervalKey
from ledger.vocabulary import CauseName

Part = tuple[CauseName, str | None]
"""A cause, and the stage that it shows in."""
_key_of: Final = attrgetter(*IntervalKey._fields)


class Breakdown:
    """A difference by cause and stage: the size of each part, and the intervals that show it."""

    def __init__(self) -> None:
        self._ns: defaultdict[Part, int] = defaultdict(int)
        self._shown_by: defaultdict[Part, dict[int, Interval]] = defaultdict(dict)
        # By identity, since the whole of an interval takes long to hash; there is one of each.

    def add(self, cause: CauseName, stage: str | None, ns: int, shown_by: Iterable[Interval]) -> None:
        """Add to what a cause explains in a stage, with the intervals that show it."""
        self._ns[cause, stage] += ns
        shown = self._shown_by[cause, stage]
        for interval in shown_by:
            shown[id(interval)] = interval

    def add_all_of(self, other: "Breakdown") -> None:
        """Add all that another one has."""
        for part, ns in other._ns.items():
            self._ns[part] += ns
            self._shown_by[part].update(other._shown_by[part])

    @property
    def ns(self) -> int:
        """How much is explained."""
        return sum(self._ns.values())

    @property
    def main_cause(self) -> CauseName | None:
        """The cause of the largest part."""
        parts: list[tuple[int, CauseName]] = [(abs(ns), cause) for (cause, _), ns in self._ns.items() if ns]
        return max(parts)[1] if parts else None

    def shares(self, claim: Claim) -> Iterator[Cause]:
        """Yield the parts as records."""
        for (cause, stage), ns in self._ns.items():
            if ns:
                shown_by = tuple(starmap(IntervalKey, map(_key_of, self._shown_by[cause, stage].values())))
                yield Cause(claim.session, claim.process, claim.claim, cause, stage, ns, shown_by)
