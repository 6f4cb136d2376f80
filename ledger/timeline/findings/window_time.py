"""How much of some intervals lies between the command and ready."""

from collections.abc import Iterable
from typing import Final

from ledger.timeline.findings.evidence import Evidence
from ledger.timeline.records import Interval
from ledger.timeline.spans import Span, merged, union_ns

NUMBERS: Final = "0123456789_- "
"""What stands at the end of the names of processes that are alike: Worker_0, Worker_1."""


def span_of(interval: Interval) -> Span:
    """Return an interval's time: of an open one, up to the last event of its process."""
    stop_ns = interval.stop_ns
    return Span(
        interval.start_ns, interval.start_ns + (interval.open_ns or 0) if stop_ns is None else stop_ns
    )


def within_windows(evidence: Evidence, intervals: Iterable[Interval]) -> list[Span]:
    """Return the union of intervals of one host, cut to the windows.

    Of several hosts the times are not on the windows' clock: there nothing is cut.
    """
    spans = merged(map(span_of, intervals))
    if not evidence.is_one_clock:
        return spans
    return [
        Span(max(span.start_ns, window.start_ns), min(span.stop_ns, window.stop_ns))
        for window in evidence.windows
        for span in spans
        if span.start_ns < window.stop_ns and window.start_ns < span.stop_ns
    ]


def within_windows_ns(evidence: Evidence, intervals: Iterable[Interval]) -> int:
    """Return how long the union of intervals is within the windows, and no longer than these are."""
    return min(union_ns(within_windows(evidence, intervals)), evidence.start_ns)


def longest_first(intervals: Iterable[Interval]) -> list[Interval]:
    """Return intervals, the longest first."""
    return sorted(intervals, key=lambda one: (-(one.duration_ns or 0), one.process, one.interval))


def family_of(name: str) -> str:
    """Return a process's name without the number at its end."""
    return name.rstrip(NUMBERS)
