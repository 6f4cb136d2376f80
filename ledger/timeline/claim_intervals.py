"""Which intervals a claim is about, for renderers that show the two beside each other."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from ledger.timeline.claim_data import claim_data, names_of
from ledger.timeline.records import Cause, Claim, IntervalKey
from ledger.timeline.timeline import Timeline

_OF_INTERVALS: Final = ("interval", "addition")


def claim_intervals(
    timeline: Timeline, recorded: Collection[tuple[str, int]] | None = None
) -> list[tuple[IntervalKey, ...]]:
    """Return, for each claim of a timeline, the intervals that it is about, in the order that it names.

    Claims of an accumulator are about none; an interval that was named but not recorded is left out. For a
    timeline without its intervals, `recorded` are those of `intervals_in_question` that were.
    """
    if recorded is None:
        recorded = {(interval.process, interval.interval) for interval in timeline.intervals}
    causes: defaultdict[tuple[str, int], list[Cause]] = defaultdict(list)
    for cause in timeline.causes:
        causes[cause.process, cause.claim].append(cause)
    return [
        _about(claim, causes[claim.process, claim.claim], recorded) if claim.counts in _OF_INTERVALS else ()
        for claim in timeline.claims
    ]


def intervals_in_question(timeline: Timeline) -> set[IntervalKey]:
    """Return all that claims may be about, recorded or not: what they name, and where their causes show."""
    keys: set[IntervalKey] = set()
    one_by_one: set[tuple[str, int]] = set()
    for claim in timeline.claims:
        if claim.counts in _OF_INTERVALS:
            one_by_one.add((claim.process, claim.claim))
            keys.update(_named(claim))
    for cause in timeline.causes:
        if (cause.process, cause.claim) in one_by_one:
            keys.update(cause.intervals)
    return keys


def _named(claim: Claim) -> list[IntervalKey]:
    return [IntervalKey(claim.process, number) for number in names_of(claim, claim_data(claim))]


def _about(
    claim: Claim, causes: Sequence[Cause], recorded: Collection[tuple[str, int]]
) -> tuple[IntervalKey, ...]:
    named = tuple(key for key in _named(claim) if key in recorded)
    if named:
        return named
    # A claim that was matched by its stage was compared with one interval, in which all its causes show.
    shown = {key for cause in causes for key in cause.intervals if key in recorded}
    return tuple(shown) if len(shown) == 1 else ()
