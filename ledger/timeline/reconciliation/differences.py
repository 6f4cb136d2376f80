"""Finds the causes of where the claims of a session differ from what was measured."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from ledger.timeline.reconciliation.coverage import CoveredSpan
from ledger.timeline.reconciliation.evidence import Evidence
from ledger.timeline.reconciliation.matching import Match
from ledger.timeline.reconciliation.overlay import Measured, Overlay
from ledger.timeline.reconciliation.parts import Breakdown
from ledger.timeline.reconciliation.shortfalls import Shortfalls
from ledger.timeline.records import Claim
from ledger.timeline.spans import Span, merged


class Differences:
    """Where the claims of a session differ from what was measured."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence: Final = evidence
        self._shortfalls: Final = Shortfalls(evidence)
        self._measured: Final[dict[int, Measured]] = {}

    def add(self, parts: Breakdown, claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]) -> None:
        """Add the causes of a claim whose claimant counted these pieces."""
        self.overlay(claim, measured, pieces).add_to(parts, self.in_order(measured))

    def overlay(self, claim: Claim, measured: Match, pieces: Sequence[CoveredSpan]) -> Overlay:
        """Return a claim, laid over what was measured."""
        return Overlay(self._evidence, self._shortfalls, claim, measured, pieces)

    def add_since_reading(self, parts: Breakdown, claim: Claim, measured: Match) -> None:
        """Add the causes of a claim of an accumulator of which nothing tells what it counted.

        It may have held all that was measured before it was read. What began later it has not.
        """
        read_ns = self._evidence.read_ns(claim, measured.process)
        union, union_stops, starts, reached = self.in_order(measured)
        if read_ns is None or (held := bisect_left(starts, read_ns)) == len(starts):
            return
        laid = self.overlay(claim, measured, ())
        first = 0
        if held:
            until_ns = reached[held - 1]
            first = bisect_right(union_stops, until_ns)
            # Next to where counting ended, what is no longer than an edge is known is left out.
            while first < len(union) and until_ns >= max(until_ns, union[first].start_ns) - laid.edge_ns:
                rest = Span(max(until_ns, union[first].start_ns), union[first].stop_ns)
                if rest.stop_ns - rest.start_ns > laid.edge_ns:
                    laid.add_uncounted(parts, rest)
                first += 1
        if first < len(union):
            laid.add_uncounted(parts, Span(union[first].start_ns, union[-1].stop_ns))

    def in_order(self, measured: Match) -> Measured:
        """Return the measured time of a claim, in order."""
        # A match lives as long as the session's claims are reconciled; accumulators share theirs.
        if (found := self._measured.get(id(measured))) is None:
            spans = sorted(measured.spans)
            starts, stops = [span.start_ns for span in spans], [span.stop_ns for span in spans]
            union = [span for span in merged(spans) if span.start_ns < span.stop_ns]
            union_stops = [span.stop_ns for span in union]
            found = Measured(union, union_stops, starts, list(accumulate(stops, max)))
            self._measured[id(measured)] = found
        return found
