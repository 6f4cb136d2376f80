"""The finding of reported times that are far from the measured ones."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from ledger.timeline.findings.evidence import MOST_INTERVALS, Evidence, key_of
from ledger.timeline.findings.finding import ClaimKey, Finding, fitting
from ledger.timeline.findings.window_time import family_of, longest_first, span_of
from ledger.timeline.records import Cause, Reconciliation
from ledger.timeline.spans import union_ns
from ledger.vocabulary import CauseName

_SHARE = 0.05
_LEAST_NS = 100_000_000
_MOST = 3

_NOT_WRONG: Final = ("rounding", "not_in_log")

_BECAUSE: Final[Mapping[CauseName | Literal["unmatched"] | None, str]] = {
    "double_counted": "counted twice",
    "overlapping_ranges": "ranges overlap",
    "role_lumping": "of two roles",
    "cumulative": "a running sum",
    "lost_on_failure": "no failed try",
    "not_reported": "never reported",
    "late": "read too early",
    "omitted_stage": "part left out",
    "mixed_ranks": "mixed ranks",
    "clock": "clock was set",
}
"""Why a claim is off, in as few words as a line has room for."""


class _Wrong(NamedTuple):
    """A claim that is far off."""

    row: Reconciliation
    off_ns: int
    measured_ns: int


def wrong_claim(evidence: Evidence) -> Iterator[Finding]:
    """A claim is off by more than 5 %, a tenth of a second, its last digit, and what is uncertain about both.

    Of each claimant and stage it is the worst one, and of these the three worst. Left alone are torch's sums,
    which are not meant as time that passed, and a process that reports 0 where another one of the session
    reports what it took. The stake is the difference, and no more than what the intervals cover that show it.
    """
    resolution_of = {(one.process, one.claim): one.resolution_ns or 0 for one in evidence.reduced.claims}
    families = {process: family_of(name) for process, name in evidence.names.items()}
    of_claimant: defaultdict[tuple[str, ...], list[_Wrong]] = defaultdict(list)
    rows = evidence.reconciled.reconciliation
    reported = {(row.stage, row.role) for row in rows if row.claimed_ns}
    for row in rows:
        wrong = _wrong(row, resolution_of.get((row.process, row.claim), 0))
        is_elsewhere = row.main_cause == "not_reported" and (row.stage, row.role) in reported
        if wrong is not None and not is_elsewhere and evidence.matters(wrong.off_ns):
            of_claimant[row.source, families.get(row.process, ""), row.stage or ""].append(wrong)
    worst = [min(claims, key=_rank) for claims in of_claimant.values()]
    causes: defaultdict[ClaimKey, list[Cause]] = defaultdict(list)
    for cause in evidence.reconciled.causes:
        causes[ClaimKey(cause.process, cause.claim)].append(cause)
    for wrong in sorted(worst, key=_rank)[:_MOST]:
        key = ClaimKey(wrong.row.process, wrong.row.claim)
        yield _finding(evidence, wrong, key, causes[key])


def _wrong(row: Reconciliation, resolution_ns: int) -> _Wrong | None:
    """Return what is far off; None for what is not, or what nothing was measured for."""
    if row.measured_ns is None or row.difference_ns is None or row.source == "torch":
        return None
    off_ns = abs(row.difference_ns)
    doubt_ns = (row.measured_uncertainty_ns or 0) + resolution_ns
    is_far = off_ns > max(_SHARE * row.measured_ns, _LEAST_NS, doubt_ns)
    return _Wrong(row, off_ns, row.measured_ns) if is_far and row.main_cause not in _NOT_WRONG else None


def _rank(wrong: _Wrong) -> tuple[int, str, int]:
    return -wrong.off_ns, wrong.row.process, wrong.row.claim


def _finding(evidence: Evidence, wrong: _Wrong, key: ClaimKey, causes: list[Cause]) -> Finding:
    row = wrong.row
    by_key = evidence.by_key
    shown = {one: None for cause in causes for one in cause.intervals if one in by_key}
    intervals = longest_first(by_key[one] for one in shown)[:MOST_INTERVALS]
    covered_ns = union_ns(map(span_of, intervals)) if intervals else wrong.off_ns
    stage, why = row.stage or "all", _because(row, causes)
    whats = (f"{row.role} {stage}", row.role) if row.role else (stage,)
    claimed, measured = f"{row.claimed_ns / 1e9:.1f}", f"{wrong.measured_ns / 1e9:.1f}"
    return evidence.finding(
        "wrong_claim",
        min(wrong.off_ns, covered_ns),
        fitting(*(f"{row.source} says {claimed} s of {what}, it was {measured} s: {why}" for what in whats)),
        f"Believe the {measured} s; the query `why` takes the difference apart",
        intervals=map(key_of, intervals),
        claims=(key,),
        process=row.process,
        role=row.role,
        component=row.component,
    )


def _because(row: Reconciliation, causes: list[Cause]) -> str:
    main = max(
        (one for one in causes if one.cause == row.main_cause), key=lambda one: abs(one.ns), default=None
    )
    if main is not None and main.cause == "omitted_stage" and main.stage:
        return "part left out" if main.stage == row.stage else f"no {main.stage}"
    return _BECAUSE.get(row.main_cause, "unexplained")
