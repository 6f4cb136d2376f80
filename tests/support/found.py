"""Findings as a rule would make them, for what shows findings."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ledger.reports.html import Subject
from ledger.timeline.findings import Finding
from ledger.timeline.records import Interval, IntervalKey
from ledger.vocabulary import FindingName

SECOND = 1_000_000_000


def finding(
    name: FindingName, stake_ns: int, summary: str, advice: str, intervals: Iterable[Interval] = ()
) -> Finding:
    """Return a finding that some intervals show."""
    keys = tuple(IntervalKey(one.process, one.interval) for one in intervals)
    process = keys[0].process if keys else None
    return Finding("session", name, stake_ns, process, None, None, summary, advice, keys)


def with_findings(subject: Subject, findings: Sequence[Finding]) -> Subject:
    """Return a session to show with these findings, and no others."""
    report = replace(subject.report, findings=tuple(findings))
    return Subject(report, subject.on_clock, subject.lives, subject.warning)


def seven_findings(subject: Subject, texts: str = "forward was compiled again") -> Subject:
    """Return a session with seven findings, each shown by one interval more than the one before."""
    longest = sorted(subject.timeline.intervals, key=lambda one: -(one.duration_ns or 0))
    # Not what encloses all.
    inner = longest[10:] or longest
    return with_findings(
        subject,
        [
            finding(
                "recompiles", (7 - number) * SECOND, f"{texts} {number}", f"Do {number}; see `recompiles`",
                inner[: 1 + number],
            )
            for number in range(7)
        ],
    )  # fmt: skip
