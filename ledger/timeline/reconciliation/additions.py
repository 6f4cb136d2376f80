"""What was added up in an accumulator, by the time that it was read: each sum is computed once."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ledger.timeline.reconciliation.evidence import Accumulator, Evidence, Taken
from ledger.timeline.records import Claim, Interval


class AddedUp:
    """The sums of what the processes of a session added up."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._sums: dict[Accumulator, Mapping[str | None, _Sums]] = {}

    def when_read(self, total: Claim, process: str) -> Iterable[tuple[str | None, Taken]]:
        """Yield what a process had added up when an accumulator was read: by accumulator, else by role."""
        number = len(self._evidence.additions_to(total, process))
        for name, sums in self._sums_of(self._evidence.accumulator(total, process)).items():
            if up_to := bisect_left(sums.places, number):
                yield name, Taken(sums.ns[up_to], tuple(sums.intervals[: sums.numbers[up_to]]))

    def _sums_of(self, accumulator: Accumulator) -> "Mapping[str | None, _Sums]":
        if accumulator not in self._sums:
            found: dict[str | None, _Sums] = {}
            for place, addition in enumerate(self._evidence.additions_of(accumulator)):
                name = self._evidence.data(addition).accumulator
                sums = found.setdefault(addition.role if name is None else name, _Sums([], [0], [], [0]))
                sums.places.append(place)
                sums.ns.append(sums.ns[-1] + addition.claimed_ns)
                sums.intervals.extend(self._evidence.named(addition))
                sums.numbers.append(len(sums.intervals))
            self._sums[accumulator] = found
        return self._sums[accumulator]


class _Sums(NamedTuple):
    """Additions to one accumulator, or of one role."""

    places: list[int]
    """Which of all additions they are."""
    ns: list[int]
    """How much there was before each, and after the last."""
    intervals: list[Interval]
    numbers: list[int]
    """Of how many intervals that was."""
