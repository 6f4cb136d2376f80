"""Some time that a claimant counted more often, or less often, than it was measured; as the rules see it."""

from typing import NamedTuple

from ledger.timeline.reconciliation.covering import Covering
from ledger.timeline.reconciliation.evidence import Evidence
from ledger.timeline.records import Claim
from ledger.timeline.spans import Span


class Excess(NamedTuple):
    """Time that is counted more often than it was measured."""

    claim: Claim
    evidence: Evidence
    process: str
    """Whose time it is."""
    span: Span
    covering: Covering
    """What of the claimant's covers it."""


class Asked(NamedTuple):
    """What the rules ask of a claim that does not count what was measured, and of the time."""

    is_zero: bool
    """Whether nothing at all is claimed."""
    is_of_accumulator: bool
    is_itemised: bool
    """Whether it says itself which intervals it adds up."""
    is_late: bool
    """Whether it came after ready, when the number had been read already."""
    is_shown: bool
    """Whether intervals show that the claimant's clock did not run then."""

    @property
    def is_never_added(self) -> bool:
        """Whether an accumulator does not hold it, and not because of its stage, as some say themselves."""
        return self.is_of_accumulator and not self.is_itemised
