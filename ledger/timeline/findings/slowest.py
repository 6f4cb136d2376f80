"""Of intervals that several processes have alike, those of the process in which they took longest."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ledger.timeline.findings.evidence import Evidence, key_of
from ledger.timeline.findings.window_time import longest_first, within_windows_ns
from ledger.timeline.records import Interval, IntervalKey
from ledger.timeline.spans import union_ns


class Slowest(NamedTuple):
    """The process in which some intervals took longest, and which others had them too."""

    process: str
    stake_ns: int
    """The union of its intervals."""
    intervals: Sequence[Interval]
    """Its intervals, the longest first."""
    on_ranks: str
    """How many processes had them, in words: " on 8 ranks"; empty for one alone."""

    @property
    def keys(self) -> tuple[IntervalKey, ...]:
        """What names its intervals."""
        return tuple(map(key_of, self.intervals))


def slowest_within_start(evidence: Evidence, intervals: Iterable[Interval]) -> Slowest:
    """Return the process whose intervals took longest within the start; of equals the one with the first id.

    There is at least one interval.
    """
    return _slowest(evidence, intervals, lambda own: within_windows_ns(evidence, own))


def slowest(evidence: Evidence, intervals: Iterable[Interval]) -> Slowest:
    """Return the same of intervals that have stopped, wherever they lie."""
    return _slowest(
        evidence, intervals, lambda own: union_ns((one.start_ns, one.stop_ns or one.start_ns) for one in own)
    )


def _slowest(
    evidence: Evidence, intervals: Iterable[Interval], length_ns: Callable[[Sequence[Interval]], int]
) -> Slowest:
    by_process: defaultdict[str, list[Interval]] = defaultdict(list)
    for interval in {key_of(one): one for one in intervals}.values():
        by_process[interval.process].append(interval)
    lengths_ns = {process: length_ns(own) for process, own in sorted(by_process.items())}
    process = max(lengths_ns, key=lengths_ns.__getitem__)
    on_ranks = ""
    if len(by_process) > 1:
        ranks = {one.process for one in evidence.reduced.processes if one.rank is not None}
        on_ranks = f" on {len(by_process)} {'ranks' if by_process.keys() <= ranks else 'processes'}"
    return Slowest(process, lengths_ns[process], longest_first(by_process[process]), on_ranks)
