"""Which intervals a claim speaks of, for those who show the two beside each other."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from ledger.timeline.reconciliation.evidence import data_of, names_of
from ledger.timeline.records import Cause, Claim, IntervalKey
from ledger.timeline.timeline import Timeline

_OF_INTERVALS: Final = ("interval", "addition")


def claim_intervals(timeline: Timeline) -> list[tuple[IntervalKey, ...]]:
    """Return, for each claim of a timeline, the intervals that it speaks of, in the order of their naming.

    Those of an accumulator speak of none; what a claim names and nobody recorded is left out.
    """
    known = {(interval.process, interval.interval) for interval in timeline.intervals}
    causes: defaultdict[tuple[str, int], list[Cause]] = defaultdict(list)
    for cause in timeline.causes:
        causes[cause.process, cause.claim].append(cause)
    return [
        _spoken_of(claim, causes[claim.process, claim.claim], known) if claim.counts in _OF_INTERVALS else ()
        for claim in timeline.claims
    ]


def _spoken_of(
    claim: Claim, causes: Sequence[Cause], known: Collection[tuple[str, int]]
) -> tuple[IntervalKey, ...]:
    keys = [IntervalKey(claim.process, number) for number in names_of(claim, data_of(claim))]
    named = tuple(key for key in keys if key in known)
    if named:
        return named
    # One that was found by its stage is held against one interval: what all of it shows in, if it is one.
    shown = {key for cause in causes for key in cause.intervals if key in known}
    return tuple(shown) if len(shown) == 1 else ()
