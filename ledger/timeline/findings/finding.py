"""The record of a finding."""

from typing import Final, NamedTuple

from ledger.formatting import cut
from ledger.timeline.records import IntervalKey
from ledger.vocabulary import FindingName

LONGEST: Final = 69
"""A summary, or an advice, beside its time on a line of 80 columns."""


class ClaimKey(NamedTuple):
    """What names a claim within its session."""

    process: str
    claim: int


class Finding(NamedTuple):
    """Something that a reader can act upon. Findings may overlap, and are never added up."""

    session: str
    finding: FindingName
    stake_ns: int
    """At most what would be gone if it were mended, and never more than its intervals show."""
    process: str | None
    """None where it is about several."""
    role: str | None
    component: str | None
    summary: str
    """What, how much and why: a sentence without a period."""
    advice: str
    """What to do: a sentence without a period."""
    intervals: tuple[IntervalKey, ...]
    """The intervals that show it, the longest first."""
    claims: tuple[ClaimKey, ...] = ()

    @property
    def stake_s(self) -> float:
        """`stake_ns` in seconds."""
        return self.stake_ns / 1e9


def fitting(*forms: str) -> str:
    """Return the first form of a text that is not too long; the last one cut, where all are."""
    return next((form for form in forms if len(form) <= LONGEST), cut(forms[-1], LONGEST))
