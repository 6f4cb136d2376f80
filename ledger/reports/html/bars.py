"""The bars: what each role took on the clock, beside what each source and each claim makes of it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ledger.formatting import NO_ROLE, counted, cut
from ledger.reports.html.linked_claims import LinkedClaim, is_torchs_sum
from ledger.reports.html.subject import Subject
from ledger.reports.model import ReconciledClaim
from ledger.timeline.records import SourceTotal
from ledger.vocabulary import ACTIVITY_OF, Activity

ALL_ROLES: Final = "all roles"
_CLAIMS: Final = 6
_AGREEING: Final = 3
_TEXT: Final = 120
_WORTH: Final = 100
"""What takes less than a part in so many of the longest is in the tables alone."""

Group = tuple[str | None, Activity]


class Bar(NamedTuple):
    """A bar; the first of a group is a headline without any."""

    label: str
    role: str | None
    ns: int | None = None
    measured_ns: int | None = None
    """The measurement to compare it with."""
    kind: str = "head"
    """`head`, `clock`, `source` or `claim`."""
    text: str | None = None
    """What a claim was read from."""


def bars(subject: Subject, claims: Sequence[LinkedClaim]) -> list[Bar]:
    """Return the bars of a session, role by role, the longest first."""
    sources: defaultdict[Group, list[SourceTotal]] = defaultdict(list)
    for total in subject.timeline.source_totals:
        sources[total.role, total.activity].append(total)
    sums = sum(is_torchs_sum(row.claim) for row, _ in claims)
    by_group = _claims(subject, [one for one in claims if not is_torchs_sum(one.row.claim)])
    found: list[Bar] = []
    rows = subject.report.totals.rows
    longest_ns = max((row.total.max_ns for row in rows), default=0)
    small = [row.total for row in rows if row.total.max_ns * _WORTH <= longest_ns]
    for total, slowest, _ in rows:
        group = (total.role, total.activity)
        of_group = by_group.pop(group, [])
        if total in small:
            continue
        found.append(Bar(f"{total.role or NO_ROLE} · {total.activity}", total.role))
        found.append(Bar(f"on the clock, {slowest}", total.role, total.max_ns, None, "clock"))
        found += _sources(subject, sources[group], total.max_ns)
        found += _claim_bars(of_group, total.role)
    for (role, activity), others in by_group.items():
        if max(one.claim.claimed_ns for one in others) * _WORTH > longest_ns:
            found.append(Bar(f"{role or ALL_ROLES} · {activity}", role))
            found += _claim_bars(others, role)
    if small and found:
        found.append(
            Bar(f"{counted(len(small), 'more total')}, too small to be seen, in the table", None, kind="more")
        )
    if sums and found:
        found.append(Bar(f"{counted(sums, 'sum')} of torch's own, in the table of claims", None, kind="more"))
    return found


def _claims(subject: Subject, claims: Sequence[LinkedClaim]) -> dict[Group, list[ReconciledClaim]]:
    """Return the claims about a role's time as a whole, or about a top-level interval of it."""
    found: defaultdict[Group, list[ReconciledClaim]] = defaultdict(list)
    for row, place in claims:
        claim = row.claim
        interval = None if place is None else subject.timeline.intervals[place]
        if claim.counts in ("total", "ranks"):
            found[claim.role, ACTIVITY_OF.get(claim.stage or "", "compile")].append(row)
        elif interval is not None and interval.is_top_level:
            found[interval.role, interval.activity].append(row)
    return found


def _sources(subject: Subject, totals: Sequence[SourceTotal], measured_ns: int) -> Iterator[Bar]:
    """Yield a bar for each source, of the process in which it has the most."""
    longest: dict[str, SourceTotal] = {}
    for total in sorted(totals, key=lambda total: (-total.total_ns, total.process)):
        longest.setdefault(total.source, total)
    for source, total in longest.items():
        name = subject.process_name(total.process)
        yield Bar(f"source {source}, {name}", total.role, total.total_ns, measured_ns, "source")


def _claim_bars(claims: Sequence[ReconciledClaim], role: str | None) -> Iterator[Bar]:
    def by_worth(one: ReconciledClaim) -> tuple[bool, bool, int]:
        return not one.differs, one.claim.counts not in ("total", "ranks"), -one.claim.claimed_ns

    shown = sorted(claims, key=by_worth)
    del shown[max(_AGREEING, min(_CLAIMS, sum(one.differs for one in claims))) :]
    for one in shown:
        claim = one.claim
        text = cut(claim.text or claim.stage or "", _TEXT)
        yield Bar(
            f"{claim.source} says: {text}", role, claim.claimed_ns, one.reconciliation.measured_ns, "claim",
            claim.text,
        )  # fmt: skip
    if more := len(claims) - len(shown):
        yield Bar(f"{counted(more, 'more claim')} in the table below", role, kind="more")
