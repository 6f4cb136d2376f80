"""Claims beside the intervals that they speak of: what a mark on the timeline stands for."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from ledger.reports.html.subject import Key, Subject
from ledger.timeline.claim_intervals import claim_intervals, intervals_of
from ledger.timeline.reconciliation.causes import UNMATCHED, rounding
from ledger.timeline.records import Cause, Claim, Reconciliation

AGREE: Final = (None, rounding.__name__)


class Held(NamedTuple):
    """A claim, what it was held against, and why the two differ."""

    claim: Claim
    reconciliation: Reconciliation
    causes: tuple[Cause, ...]
    interval: int | None
    """The place of the interval that it speaks of, where that is one; the last of several."""

    @property
    def differs(self) -> bool:
        """Whether it differs by more than the rounding explains."""
        return self.reconciliation.main_cause not in (*AGREE, UNMATCHED)

    @property
    def size_ns(self) -> int:
        """How far it is from what was measured."""
        return abs(self.reconciliation.difference_ns or 0)


def held(subject: Subject) -> tuple[Held, ...]:
    """Return a session's claims: those that differ first, by how much."""
    timeline = subject.timeline
    causes: defaultdict[Key, list[Cause]] = defaultdict(list)
    for cause in timeline.causes:
        causes[cause.process, cause.claim].append(cause)
    found: list[Held] = []
    for claim, row, keys in zip(
        timeline.claims, timeline.reconciliation, claim_intervals(timeline), strict=True
    ):
        by_size = sorted(causes[claim.process, claim.claim], key=lambda cause: -abs(cause.ns))
        found.append(Held(claim, row, tuple(by_size), _last(subject, keys)))
    return tuple(
        sorted(found, key=lambda one: (not one.differs, -one.size_ns, one.claim.process, one.claim.claim))
    )


def places_of(subject: Subject, cause: Cause) -> list[int]:
    """Return the places of the intervals that a cause shows in."""
    known = subject.intervals
    return [known[key] for key in intervals_of(cause) if key in known]


def places_spoken_of(subject: Subject, claims: Iterable[Held]) -> set[int]:
    """Return the places of all intervals that claims, or their causes, speak of."""
    found: set[int] = set()
    for one in claims:
        if one.interval is not None:
            found.add(one.interval)
        if one.differs:
            found.update(place for cause in one.causes for place in places_of(subject, cause))
    return found


def _last(subject: Subject, keys: Iterable[Key]) -> int | None:
    intervals = subject.timeline.intervals
    places = (subject.intervals[key] for key in keys)
    return max(places, key=lambda place: subject.stop_ns(intervals[place]), default=None)
