"""From intervals to totals: rules 4 to 6 and 8 of the reducer. A total is the length of a union."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from ledger.timeline.records import Interval, RoleTotal, SessionTotal, SourceTotal
from ledger.vocabulary import Activity, Source

_role, _activity, _is_top_level = (attrgetter(name) for name in ("role", "activity", "is_top_level"))
_spans_of_sources: Final = attrgetter("role", "activity", "source", "start_ns", "stop_ns")

Group = tuple[str | None, Activity]
"""A role and an activity."""


@dataclass(slots=True)
class _Sum:
    """Adds spans up, which come by their start, as a union and one by one."""

    union_ns: int = 0
    sum_ns: int = 0
    number: int = 0
    reached_ns: int = 0

    def add(self, start_ns: int, stop_ns: int) -> None:
        self.number += 1
        self.sum_ns += stop_ns - start_ns
        if stop_ns > self.reached_ns:
            self.union_ns += stop_ns - max(start_ns, self.reached_ns)
            self.reached_ns = stop_ns


@dataclass(slots=True)
class _Open:
    number: int = 0
    longest_ns: int = 0


def role_totals(intervals: Sequence[Interval]) -> list[RoleTotal]:
    """Rule 5: per role and activity of one process, the union of its top-level intervals.

    `intervals` are those of the process, by start.
    """
    top_level: defaultdict[Group, _Sum] = defaultdict(_Sum)
    still_open: defaultdict[Group, _Open] = defaultdict(_Open)
    numbers = Counter(zip(map(_role, intervals), map(_activity, intervals), strict=True))
    for interval in filter(_is_top_level, intervals):
        if interval.stop_ns is not None:
            top_level[interval.role, interval.activity].add(interval.start_ns, interval.stop_ns)
    for interval in intervals:
        if interval.open_ns is not None:
            waiting = still_open[interval.role, interval.activity]
            waiting.number += 1
            waiting.longest_ns = max(waiting.longest_ns, interval.open_ns)
    totals: list[RoleTotal] = []
    for group in sorted(numbers, key=_sort_key):
        total, waiting = top_level[group], still_open[group]
        totals.append(
            RoleTotal(
                intervals[0].session, intervals[0].process, *group,
                total_ns=total.union_ns, crossing_ns=total.sum_ns - total.union_ns,
                open_ns=waiting.longest_ns, top_level_count=total.number,
                interval_count=numbers[group], open_count=waiting.number,
            )
        )  # fmt: skip
    return totals


def source_totals(intervals: Sequence[Interval]) -> list[SourceTotal]:
    """Rule 6: the same among one source's intervals alone, beside the sum of all of them."""
    sums: defaultdict[tuple[str | None, Activity, Source], _Sum] = defaultdict(_Sum)
    for role, activity, source, start_ns, stop_ns in map(_spans_of_sources, intervals):
        total = sums[role, activity, source]
        if stop_ns is not None:
            total.add(start_ns, stop_ns)
    return [
        SourceTotal(
            intervals[0].session, intervals[0].process, role, activity, source,
            total_ns=total.union_ns, naive_sum_ns=total.sum_ns,
            double_counted_ns=total.sum_ns - total.union_ns,
        )
        for (role, activity, source), total in sorted(sums.items(), key=lambda item: _sort_key(item[0]))
    ]  # fmt: skip


def session_totals(
    totals: Iterable[RoleTotal], intervals: Iterable[Interval], domain_of: Mapping[str, object]
) -> list[SessionTotal]:
    """Rule 8: per role and activity, the maximum over processes, the union on the clock, and the sum.

    `domain_of` gives each process's clock domain; there is no union where two processes' domains differ.
    """
    groups: defaultdict[Group, list[RoleTotal]] = defaultdict(list)
    for total in totals:
        groups[total.role, total.activity].append(total)
    unions: defaultdict[Group, _Sum] = defaultdict(_Sum)
    top_level = (interval for interval in intervals if interval.is_top_level)
    for interval in sorted(top_level, key=lambda interval: interval.start_ns):
        if interval.stop_ns is not None:
            unions[interval.role, interval.activity].add(interval.start_ns, interval.stop_ns)
    found: list[SessionTotal] = []
    for group in sorted(groups, key=_sort_key):
        of_group = groups[group]
        slowest = min(of_group, key=lambda total: (-total.total_ns, total.process))
        is_one_clock = len({domain_of[total.process] for total in of_group}) == 1
        found.append(
            SessionTotal(
                slowest.session, *group,
                max_ns=slowest.total_ns,
                union_ns=unions[group].union_ns if is_one_clock else None,
                sum_ns=sum(total.total_ns for total in of_group),
                slowest_process=slowest.process,
                process_count=len(of_group),
            )
        )  # fmt: skip
    return found


def _sort_key(group: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(name or "" for name in group)
