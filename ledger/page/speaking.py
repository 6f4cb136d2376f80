"""Claims beside the intervals that they speak of: what a mark on the timeline stands for."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ledger.page.subject import Key, Subject
from ledger.reconciliation.causes import UNMATCHED, rounding
from ledger.reconciliation.evidence import data_of, names_of
from ledger.records import CauseShare, Claim, Reconciliation

AGREE: Final = (None, rounding.__name__)


class Held(NamedTuple):
    """A claim, what it was held against, and why the two differ."""

    claim: Claim
    reconciliation: Reconciliation
    causes: tuple[CauseShare, ...]
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
    causes: defaultdict[Key, list[CauseShare]] = defaultdict(list)
    for cause in timeline.causes:
        causes[cause.process, cause.claim].append(cause)
    against = {(row.process, row.claim): row for row in timeline.reconciliation}
    found: list[Held] = []
    for claim in timeline.claims:
        key = (claim.process, claim.claim)
        by_size = tuple(sorted(causes[key], key=lambda cause: -abs(cause.ns)))
        found.append(Held(claim, against[key], by_size, _interval(subject, claim, by_size)))
    return tuple(
        sorted(found, key=lambda one: (not one.differs, -one.size_ns, one.claim.process, one.claim.claim))
    )


def intervals_of(subject: Subject, cause: CauseShare) -> list[int]:
    """Return the places of the intervals that a cause shows in."""
    known = subject.intervals
    keys = ((str(one["process"]), int(one["interval"])) for one in json.loads(cause.intervals))
    return [known[key] for key in keys if key in known]


def spoken_of(subject: Subject, claims: Iterable[Held]) -> set[int]:
    """Return the places of all intervals that claims, or their causes, speak of."""
    found: set[int] = set()
    for one in claims:
        if one.interval is not None:
            found.add(one.interval)
        if one.differs:
            found.update(place for cause in one.causes for place in intervals_of(subject, cause))
    return found


def _interval(subject: Subject, claim: Claim, causes: Sequence[CauseShare]) -> int | None:
    if claim.counts not in ("interval", "addition"):
        return None
    known, ids = subject.intervals, names_of(claim, data_of(claim))
    named = [known[claim.process, number] for number in ids if (claim.process, number) in known]
    if not named and len(causes) == 1:
        # Found by its stage: the remainder's cause says what it was held against.
        named = intervals_of(subject, causes[0])
    intervals = subject.timeline.intervals
    return max(named, key=lambda place: subject.stop_ns(intervals[place]), default=None)
