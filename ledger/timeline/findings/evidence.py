"""What the rules of findings look at: everything that is derived from a session's events."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from ledger.timeline.compilations import Compilations
from ledger.timeline.findings.finding import ClaimKey, Finding, fitting
from ledger.timeline.findings.subjects import STAGES_LOOKED_AT
from ledger.timeline.process_names import process_names
from ledger.timeline.reconciliation import Reconciled
from ledger.timeline.records import Interval, IntervalKey, StartupPiece, StartupWindow
from ledger.timeline.reducer import Reduced
from ledger.vocabulary import FindingName

_MINIMUM_NS = 100_000_000
_MINIMUM_SHARE = 0.02
MOST_INTERVALS: Final = 100
"""How many intervals a finding names at most."""


class Evidence:
    """What is derived from a session's events, and what several rules ask of it."""

    def __init__(self, reduced: Reduced, reconciled: Reconciled, compiled: Compilations) -> None:
        self.reduced = reduced
        self.reconciled = reconciled
        self.compiled = compiled

    @cached_property
    def names(self) -> Mapping[str, str]:
        """What to call each process."""
        return process_names(self.reduced.processes)

    @cached_property
    def by_stage(self) -> Mapping[str, Sequence[Interval]]:
        """The intervals of each stage that a rule looks at, by process and start."""
        found: dict[str, list[Interval]] = {stage: [] for stage in STAGES_LOOKED_AT}
        for interval in self.reduced.intervals:
            if interval.stage in STAGES_LOOKED_AT:
                found[interval.stage].append(interval)
        return found

    @cached_property
    def compiles(self) -> Mapping[IntervalKey, Interval]:
        """The interval that each of torch's compiles is."""
        keys = {IntervalKey(each.process, each.interval) for each in self.compiled.compilations}
        return {key: one for one in self.reduced.intervals if (key := key_of(one)) in keys} if keys else {}

    @cached_property
    def by_key(self) -> Mapping[IntervalKey, Interval]:
        """The intervals by what names them."""
        return {key_of(interval): interval for interval in self.reduced.intervals}

    @cached_property
    def is_one_clock(self) -> bool:
        """Whether all processes are of one host, so that their times can be compared."""
        return len({process.host for process in self.reduced.processes}) <= 1

    @cached_property
    def windows(self) -> Sequence[StartupWindow]:
        """The times from command to ready."""
        return self.reduced.startup_windows

    @cached_property
    def pieces(self) -> Sequence[StartupPiece]:
        """What those times are cut into."""
        return self.reduced.startup_breakdown

    @cached_property
    def start_ns(self) -> int:
        """How long the starts took, all windows together."""
        return sum(window.duration_ns for window in self.windows)

    def matters(self, stake_ns: int, share: float = _MINIMUM_SHARE) -> bool:
        """Whether a stake is worth a reader's time: a tenth of a second, and a part of the start."""
        return stake_ns >= max(_MINIMUM_NS, share * self.start_ns)

    def finding(
        self,
        name: FindingName,
        stake_ns: int,
        summary: str,
        advice: str,
        *,
        of: Interval | None = None,
        intervals: Iterable[IntervalKey] = (),
        claims: Iterable[ClaimKey] = (),
        process: str | None = None,
        role: str | None = None,
        component: str | None = None,
    ) -> Finding:
        """Return a finding; its process, role and component are those of the interval `of`, where given."""
        session = self.reduced.session
        if of is not None:
            process, role, component = of.process, of.role, of.component
            intervals = intervals or (key_of(of),)
        return Finding(
            session.session if session else "",
            name,
            stake_ns,
            process,
            role,
            component,
            fitting(summary),
            fitting(advice),
            tuple(intervals)[:MOST_INTERVALS],
            tuple(claims),
        )


def key_of(interval: Interval) -> IntervalKey:
    """Return what names an interval within its session."""
    return IntervalKey(interval.process, interval.interval)
