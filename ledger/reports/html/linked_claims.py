"""Claims together with the interval that each speaks of: what a mark on the timeline stands for."""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.reports.html.subject import Subject
from ledger.reports.model import ReconciledClaim
from ledger.reports.sections import Key
from ledger.timeline.claim_intervals import claim_intervals
from ledger.timeline.records import Cause, Claim


class LinkedClaim(NamedTuple):
    """A claim of the report, and where its interval is."""

    row: ReconciledClaim
    interval: int | None
    """The place of the interval that it speaks of, where that is one; the last of several."""


def linked_claims(subject: Subject) -> tuple[LinkedClaim, ...]:
    """Return a session's claims, in the report's order."""
    timeline = subject.timeline
    keys_of = {
        (claim.process, claim.claim): keys
        for claim, keys in zip(timeline.claims, claim_intervals(timeline), strict=True)
    }
    return tuple(
        LinkedClaim(row, _last(subject, keys_of[row.claim.process, row.claim.claim]))
        for row in subject.report.claims.rows
    )


def is_torchs_sum(claim: Claim) -> bool:
    """Whether a claim is a sum of torch's, such as `compile_times()`.

    That adds up what encloses each other, and comes to many times of what passed: no scale is made for it.
    """
    return claim.source == "torch" and claim.counts == "total"


def keys_of_cause(subject: Subject, cause: Cause) -> list[Key]:
    """Return the intervals that a cause shows in."""
    return [key for key in cause.intervals if key in subject.intervals]


def places_of_claims(subject: Subject, claims: Iterable[LinkedClaim]) -> set[int]:
    """Return the places of all intervals that claims, or the causes of their differences, speak of."""
    places: set[int] = set()
    for row, interval in claims:
        if interval is not None:
            places.add(interval)
        if row.differs:
            for cause in row.causes:
                places.update(subject.intervals[key] for key in keys_of_cause(subject, cause))
    return places


def _last(subject: Subject, keys: Iterable[Key]) -> int | None:
    intervals = subject.timeline.intervals
    places = (subject.intervals[key] for key in keys)
    return max(places, key=lambda place: subject.stop_ns(intervals[place]), default=None)
