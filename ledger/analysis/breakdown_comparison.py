"""Compares where the time from the command to ready went in two sets of sessions, stage by stage.

torch's own stages are its compile's inner workings, and have hundreds of names: their time counts for the
compile stage around them that is not torch's, or else for torch's outermost one.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ledger.analysis.comparison import median_ns
from ledger.timeline.records import Interval, IntervalKey, StartupPiece
from ledger.timeline.timeline import Timeline


class StageKey(NamedTuple):
    """What time is added up by; without a stage, it is in none."""

    stage: str | None
    role: str | None


class Medians(NamedTuple):
    """The median of some time in each of two sets of sessions; a session without it counts as 0."""

    a_ns: int
    b_ns: int

    @property
    def difference_ns(self) -> int:
        """How much longer it takes in `b` than in `a`."""
        return self.b_ns - self.a_ns


class BreakdownComparison(NamedTuple):
    """Two sets of breakdowns. Each median is taken by itself: those of the stages need not add up."""

    whole: Medians
    stages: tuple[tuple[StageKey, Medians], ...]
    """Those that take longest in either set first."""
    ended_by: tuple[str, ...]
    """What the sessions' windows end by."""
    of_a: tuple[Counter[StageKey], ...]
    of_b: tuple[Counter[StageKey], ...]
    """Each session's time by stage."""

    def together(self, keys: Sequence[StageKey]) -> Medians:
        """Return the medians of several stages' time together."""
        return _medians(
            [sum(times[key] for key in keys) for times in self.of_a],
            [sum(times[key] for key in keys) for times in self.of_b],
        )


def compare_breakdowns(a: Sequence[Timeline], b: Sequence[Timeline]) -> BreakdownComparison:
    """Compare two sets of sessions by their first windows. Raises ValueError if a set has none."""
    of_a = tuple(stage_times(timeline) for timeline in a if timeline.startup_windows)
    of_b = tuple(stage_times(timeline) for timeline in b if timeline.startup_windows)
    if not of_a or not of_b:
        raise ValueError("both sets need a session with a breakdown")
    stages = {
        key: _medians([times[key] for times in of_a], [times[key] for times in of_b])
        for key in {key for times in (*of_a, *of_b) for key in times}
    }
    ordered = sorted(
        stages.items(), key=lambda item: (-max(item[1]), item[0].stage or "", item[0].role or "")
    )
    windows = [timeline.startup_windows[0] for timeline in (*a, *b) if timeline.startup_windows]
    return BreakdownComparison(
        _medians([times.total() for times in of_a], [times.total() for times in of_b]),
        tuple(ordered),
        tuple(dict.fromkeys(window.ended_by for window in windows)),
        of_a,
        of_b,
    )


def stage_times(timeline: Timeline) -> Counter[StageKey]:
    """Return how long each stage has a session's first window, in nanoseconds; they add up to it exactly."""
    intervals = {IntervalKey(one.process, one.interval): one for one in timeline.intervals}
    times: Counter[StageKey] = Counter()
    for piece in timeline.startup_breakdown:
        if piece.window == 0:
            times[_key(piece, intervals)] += piece.duration_ns
    return times


def _key(piece: StartupPiece, intervals: dict[IntervalKey, Interval]) -> StageKey:
    if piece.process is None or piece.interval is None:
        return StageKey(None, None)
    interval = intervals[IntervalKey(piece.process, piece.interval)]
    while interval.source == "torch" and interval.enclosing is not None:
        around = intervals[IntervalKey(piece.process, interval.enclosing)]
        if around.activity != "compile":
            break  # it does more than to compile
        interval = around
    return StageKey(interval.stage, interval.role)


def _medians(a: Sequence[int], b: Sequence[int]) -> Medians:
    return Medians(median_ns(a), median_ns(b))
