"""What a report says of one session: typed sections, which every renderer shows.

Nothing in here is text to be drawn, save titles and sentences. Durations are integer nanoseconds; renderers
round them to milliseconds. A renderer may show fewer rows than a section has, never others.
"""

from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from ledger.durations import seconds
from ledger.formatting import NO_STAGE, counted
from ledger.reports.startup_tree import StageNode
from ledger.timeline.findings import Finding
from ledger.timeline.records import (
    Anomaly,
    Cause,
    Claim,
    Gap,
    Interval,
    Process,
    Reconciliation,
    SessionTotal,
    SourceTotal,
    StartupWindow,
)
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import UNMATCHED, WINDOW_ENDS, WINDOW_STARTS, CauseName

ROUNDING: Final[CauseName] = "rounding"
_AGREE: Final = (None, ROUNDING)


class Heading(NamedTuple):
    """Which session it is."""

    session: str
    label: str | None
    outcome: str
    command: str | None
    """In one line; None where nobody recorded it."""
    started_at: str | None
    versions: tuple[tuple[str, str], ...]
    """What the session ran with: name and version."""
    session_count: int
    """How many sessions the ledger has, this one included."""
    other_sessions: tuple[str, ...]
    """The newest of the others, oldest first."""


class TotalRow(NamedTuple):
    """A role's time over the processes."""

    total: SessionTotal
    slowest: str
    """The name of the process with the maximum."""
    open_count: int
    """Intervals of the role and activity that have no stop yet."""


class StartupRow(NamedTuple):
    """The time of a window that is charged to one process's intervals of one stage."""

    window: StartupWindow
    process: str | None
    """None where no process was there."""
    stage: str | None
    """None for time in no interval."""
    package: str | None
    """Of imports: whose modules they are."""
    duration_ns: int

    @property
    def stage_name(self) -> str:
        """The stage, of imports with the package."""
        return NO_STAGE if self.stage is None else " ".join(filter(None, (self.stage, self.package)))

    @property
    def share(self) -> float:
        """Which part of the window that is, from 0 to 1."""
        return self.duration_ns / self.window.duration_ns


class SourceRow(NamedTuple):
    """What one source's intervals say of a role's time in one process."""

    process: str
    """The process's name, as in every row: its id where it has none."""
    total: SourceTotal


class ReconciledClaim(NamedTuple):
    """A claim, what it is compared with, and why the two differ."""

    process: str
    claim: Claim
    reconciliation: Reconciliation
    causes: tuple[Cause, ...]
    """The largest first. They add up to the difference."""

    @property
    def differs(self) -> bool:
        """Whether it differs by more than rounding explains."""
        return self.reconciliation.main_cause not in (*_AGREE, UNMATCHED)

    @property
    def is_unmatched(self) -> bool:
        """Whether there is no interval to compare it with."""
        return self.reconciliation.main_cause == UNMATCHED

    @property
    def size_ns(self) -> int:
        """The absolute difference."""
        return abs(self.reconciliation.difference_ns or 0)


class IntervalRow(NamedTuple):
    """One interval."""

    process: str
    interval: Interval

    @property
    def at_least_ns(self) -> int | None:
        """Its duration; of an open one, the time so far."""
        interval = self.interval
        return interval.open_ns if interval.duration_ns is None else interval.duration_ns

    @property
    def failure(self) -> str | None:
        """What failed it: an exception, a signal or an exit code; "lost" where its process ended in it."""
        interval = self.interval
        if interval.outcome == "abandoned":
            return "lost"
        exit_code = (interval.data or {}).get("exit_code")
        return interval.error or (None if exit_code is None else f"exit code {exit_code}")

    @property
    def last_line(self) -> str | None:
        """The last line that a process printed when an exception ended it."""
        text = (self.interval.data or {}).get("last_line")
        return None if text is None else str(text)

    @property
    def circumstances(self) -> str | None:
        """When it ended by its log, and how long after what, where its data says so."""
        data = self.interval.data or {}
        logged_at, after = data.get("logged_at"), data.get("after")
        parts = [] if logged_at is None else [f"at {logged_at}"]
        if after is not None and self.interval.duration_ns is not None:
            parts.append(f"{seconds(self.interval.duration_ns)} s after {after}")
        return ", ".join(parts) or None


class ProcessRow(NamedTuple):
    """One process, and how it ended."""

    name: str
    process: Process
    in_stage: str | None
    """The last stage without a stop, of a process that did not leave."""


class AnomalyRow(NamedTuple):
    """One contradiction in the events."""

    process: str
    anomaly: Anomaly


class GapRow(NamedTuple):
    """Something that a recorder knows it did not see."""

    process: str
    gap: Gap


class Kind(NamedTuple):
    """All anomalies, or all gaps, of one name."""

    what: str
    number: int
    example: str | None


Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Section(Generic[Row]):
    """One question's answer: rows in the order in which they are shown."""

    title: str
    rows: tuple[Row, ...]
    if_empty: str = "None."
    """What to say where there are no rows."""
    in_ledger: int = 0
    """How many rows the ledger has, where only the first of them were read."""

    @property
    def number(self) -> int:
        """How many rows there are, with those that were not read."""
        return max(self.in_ledger, len(self.rows))


@dataclass(frozen=True, slots=True)
class ClaimSection(Section[ReconciledClaim]):
    """All claims: those that disagree come first, torch's last of them, and the largest difference first."""

    @property
    def differing(self) -> tuple[ReconciledClaim, ...]:
        """The claims that differ by more than rounding explains."""
        return tuple(row for row in self.rows if row.differs)

    @property
    def summary(self) -> str:
        """How many claims agree, in a sentence."""
        if not self.rows:
            return self.if_empty
        unmatched = sum(row.is_unmatched for row in self.rows)
        agreeing = len(self.rows) - len(self.differing) - unmatched
        sentence = f"{agreeing} of {len(self.rows)} reported times agree with the measured ones"
        return sentence + (f"; {unmatched} could not be matched to an interval" if unmatched else "")


@dataclass(frozen=True, slots=True)
class KindSection(Section[Row]):
    """Rows that are also counted by what they are."""

    kinds: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class StartupSection(Section[StartupRow]):
    """Where the time from the command to ready went: the rows of each window add up to it."""

    windows: tuple[StartupWindow, ...] = ()
    tree: tuple[StageNode, ...] = ()
    """The first window's outermost stages, in the order of their starts."""

    @property
    def summary(self) -> str:
        """How long each window was, in a sentence."""
        return "; ".join(
            f"{seconds(window.duration_ns)} s from {WINDOW_STARTS[window.began_by]} "
            f"to {WINDOW_ENDS[window.ended_by]}, {seconds(window.unattributed_ns)} s of it unattributed"
            for window in self.windows
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report says of a session."""

    timeline: Timeline
    """The records that all of it is derived from."""
    heading: Heading
    startup: StartupSection
    totals: Section[TotalRow]
    claims: ClaimSection
    unattributed: Section[IntervalRow]
    sources: Section[SourceRow]
    processes: Section[ProcessRow]
    failed: Section[IntervalRow]
    unended: Section[IntervalRow]
    anomalies: KindSection[AnomalyRow]
    gaps: KindSection[GapRow]
    findings: tuple[Finding, ...]
    """What is worth most first."""
    missing_hooks: tuple[str, ...]
    clock_notes: tuple[str, ...]
    """How well the processes' times can be compared, where that is in doubt."""
    ledger_notes: tuple[str, ...]
    """What a reader should know of the ledger: lines it could not read."""

    @property
    def result(self) -> str:
        """How long it took to be ready, or how it ended before."""
        windows = self.startup.windows
        if not windows:
            claims = self.timeline.claims
            if not claims or self.timeline.intervals:
                return f"{self.heading.outcome}; nothing says how long it took"
            longest_ns = max(claim.claimed_ns for claim in claims)
            reported = f"{counted(len(claims), 'duration')}, up to {seconds(longest_ns)} s"
            return f"{self.heading.outcome}; nothing says when; {reported}"
        first = windows[0]
        took = f"{seconds(first.duration_ns)} s"
        if first.ended_by.endswith("_ready"):
            again = f", and {counted(len(windows) - 1, 'more time')} after that" if windows[1:] else ""
            return f"ready after {took} ({first.ended_by}){again}"
        failed = next((row for row in self.failed.rows if row.failure), None)
        if self.heading.outcome == "failed" and failed is not None:
            return f"failed after {took}: {failed.failure} in {failed.interval.stage}"
        return f"{self.heading.outcome} after {took}"
