"""What a reader of a session can act upon, with the time at stake: one small rule for each finding.

A pure function of what is derived from a session's events. A rule gets the evidence and yields findings; so a
new one is a row in the vocabulary and a function in one of the modules beside this one. Findings may overlap,
so they are never added up.
"""

from ledger.timeline.findings.finding import ClaimKey, Finding

__all__ = ["ClaimKey", "Finding"]
