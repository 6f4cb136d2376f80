"""From intervals to totals: rules 4 to 6 and 8 of the reducer. A total is the length of a union."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from operator import attrgetter
from typing import Any, Final

from ledger.timeline.records import Interval, RoleTotal, SessionTotal, SourceTotal
from ledger.vocabulary import Activity, Source

_role, _activity, _is_top_level, _start_ns = (
    attrgetter(name) for name in ("role", "activity", "is_top_level", "start_ns")
)
_spans_of_sources: Final = attrgetter("role", "activity", "source", "start_ns", "stop_ns", "open_ns")

Group = tuple[str | None, Activity]
"""A role and an activity."""
SourceGroup = tuple[str | None, Activity, Source]


@dataclass(slots=True)
class Sum:
    """Adds spans up, which come by their start, as a union and one by one."""

    union_ns: int = 0
    sum_ns: int = 0
    number: int = 0
    reached_ns: int = 0

    def add(self, start_ns: int, stop_ns: int) -> None:
        """Add a span."""
        self.number += 1
        self.sum_ns += stop_ns - start_ns
        if stop_ns > self.reached_ns:
            self.union_ns += stop_ns - max(start_ns, self.reached_ns)
            self.reached_ns = stop_ns


@dataclass(slots=True)
class _Open:
    number: int = 0
    longest_ns: int = 0


class ProcessTotals:
    """The totals of one process, rules 5 and 6, as its intervals come: by start."""

    def __init__(self) -> None:
        self._numbers: Final = Counter[Group]()
        self._top_level: Final = defaultdict[Group, Sum](Sum)
        self._open: Final = defaultdict[Group, _Open](_Open)
        self._of_sources: Final = defaultdict[SourceGroup, Sum](Sum)

    def add(self, intervals: Sequence[Interval]) -> None:
        """Add the intervals that come next."""
        self._numbers.update(zip(map(_role, intervals), map(_activity, intervals), strict=True))
        for interval in filter(_is_top_level, intervals):
            if interval.stop_ns is not None:
                self._top_level[interval.role, interval.activity].add(interval.start_ns, interval.stop_ns)
        of_sources = self._of_sources
        for role, activity, source, start_ns, stop_ns, open_ns in map(_spans_of_sources, intervals):
            total = of_sources[role, activity, source]
            if stop_ns is not None:
                total.add(start_ns, stop_ns)
            elif open_ns is not None:
                waiting = self._open[role, activity]
                waiting.number += 1
                waiting.longest_ns = max(waiting.longest_ns, open_ns)

    def ended(self) -> "ProcessTotals":
        """Return a copy without what is still open."""
        copied = ProcessTotals()
        copied._numbers.update(self._numbers)
        for group, waiting in self._open.items():
            copied._numbers[group] -= waiting.number
        copied._top_level.update((group, replace(total)) for group, total in self._top_level.items())
        copied._of_sources.update((group, replace(total)) for group, total in self._of_sources.items())
        return copied

    def to_json(self) -> list[Any]:
        """Return it, nothing of it open, as what JSON can hold."""
        return [
            [[*group, number] for group, number in self._numbers.items()],
            [[*group, *astuple(total)] for group, total in self._top_level.items()],
            [[*group, *astuple(total)] for group, total in self._of_sources.items()],
        ]

    @classmethod
    def from_json(cls, kept: Sequence[Any]) -> "ProcessTotals":
        """Return what `to_json` made that of."""
        totals = cls()
        numbers, top_level, of_sources = kept
        totals._numbers.update({(role, activity): number for role, activity, number in numbers})
        totals._top_level.update({(each[0], each[1]): Sum(*each[2:]) for each in top_level})
        totals._of_sources.update({(each[0], each[1], each[2]): Sum(*each[3:]) for each in of_sources})
        return totals

    def role_totals(self, session: str, process: str) -> list[RoleTotal]:
        """Rule 5: per role and activity, the union of the top-level intervals."""
        totals: list[RoleTotal] = []
        for group in sorted((group for group, number in self._numbers.items() if number), key=_sort_key):
            total, waiting = self._top_level[group], self._open[group]
            totals.append(
                RoleTotal(
                    session, process, *group,
                    total_ns=total.union_ns, crossing_ns=total.sum_ns - total.union_ns,
                    open_ns=waiting.longest_ns, top_level_count=total.number,
                    interval_count=self._numbers[group], open_count=waiting.number,
                )
            )  # fmt: skip
        return totals

    def source_totals(self, session: str, process: str) -> list[SourceTotal]:
        """Rule 6: the same among one source's intervals alone, beside the sum of all of them."""
        return [
            SourceTotal(
                session, process, role, activity, source,
                total_ns=total.union_ns, naive_sum_ns=total.sum_ns,
                double_counted_ns=total.sum_ns - total.union_ns,
            )
            for (role, activity, source), total in sorted(
                self._of_sources.items(), key=lambda item: _sort_key(item[0])
            )
        ]  # fmt: skip


def unions_of(intervals: Iterable[Interval]) -> dict[Group, int]:
    """Return, by role and activity, the length of the union of the top-level intervals of all processes."""
    unions: defaultdict[Group, Sum] = defaultdict(Sum)
    top_level = (interval for interval in intervals if interval.is_top_level)
    for interval in sorted(top_level, key=_start_ns):
        if interval.stop_ns is not None:
            unions[interval.role, interval.activity].add(interval.start_ns, interval.stop_ns)
    return {group: total.union_ns for group, total in unions.items()}


def session_totals(
    totals: Iterable[RoleTotal], unions: Mapping[Group, int], domain_of: Mapping[str, object]
) -> list[SessionTotal]:
    """Rule 8: per role and activity, the maximum over processes, the union on the clock, and the sum.

    `domain_of` gives each process's clock domain; there is no union where two processes' domains differ.
    """
    groups: defaultdict[Group, list[RoleTotal]] = defaultdict(list)
    for total in totals:
        groups[total.role, total.activity].append(total)
    found: list[SessionTotal] = []
    for group in sorted(groups, key=_sort_key):
        of_group = groups[group]
        slowest = min(of_group, key=lambda total: (-total.total_ns, total.process))
        is_one_clock = len({domain_of[total.process] for total in of_group}) == 1
        found.append(
            SessionTotal(
                slowest.session, *group,
                max_ns=slowest.total_ns,
                union_ns=unions.get(group, 0) if is_one_clock else None,
                sum_ns=sum(total.total_ns for total in of_group),
                slowest_process=slowest.process,
                process_count=len(of_group),
            )
        )  # fmt: skip
    return found


def _sort_key(group: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(name or "" for name in group)
