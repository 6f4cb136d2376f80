"""Which intervals a claim is about, for renderers that show the two beside each other."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from ledger.timeline.claim_data import claim_data, names_of
from ledger.timeline.records import Cause, Claim, IntervalKey
from ledger.timeline.timeline import Timeline

_OF_INTERVALS: Final = ("interval", "addition")


def claim_intervals(timeline: Timeline) -> list[tuple[IntervalKey, ...]]:
    """Return, for each claim of a timeline, the intervals that it is about, in the order that it names.

    Claims of an accumulator are about none; an interval that was named but not recorded is left out.
    """
    recorded = {(interval.process, interval.interval) for interval in timeline.intervals}
    causes: defaultdict[tuple[str, int], list[Cause]] = defaultdict(list)
    for cause in timeline.causes:
        causes[cause.process, cause.claim].append(cause)
    return [
        _about(claim, causes[claim.process, claim.claim], recorded) if claim.counts in _OF_INTERVALS else ()
        for claim in timeline.claims
    ]


def _about(
    claim: Claim, causes: Sequence[Cause], recorded: Collection[tuple[str, int]]
) -> tuple[IntervalKey, ...]:
    keys = [IntervalKey(claim.process, number) for number in names_of(claim, claim_data(claim))]
    named = tuple(key for key in keys if key in recorded)
    if named:
        return named
    # A claim that was matched by its stage was compared with one interval, in which all its causes show.
    shown = {key for cause in causes for key in cause.intervals if key in recorded}
    return tuple(shown) if len(shown) == 1 else ()
