"""The state of a session so far: takes events one by one, and keeps what is open and the totals.

The reducer looks at all events of a session at once. This takes them in their order and keeps what is
top-level, so that after each event the totals are those that the reducer derives from the events up to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from pydantic_core import from_json

from ledger.events.rows import EventRow
from ledger.timeline.enclosure import EnclosingSpan, Outermost
from ledger.timeline.spans import union_ns
from ledger.timeline.stage_events import Lost, Start, start_of_row
from ledger.vocabulary import ROLE_OF_TORCH, Activity


class Group(NamedTuple):
    """What a total is of."""

    process: str
    role: str | None
    activity: Activity


@dataclass(slots=True, eq=False)
class StartedInterval:
    """An interval that has begun."""

    process: str
    start: Start
    role: str | None
    """Its own, or its nearest ancestor's: what encloses it in time is known only when that has ended."""
    parent: "StartedInterval | None"
    end_ns: int | None = None
    """None while it is open; what was abandoned ends with its last descendant's event so far."""
    is_stopped: bool = False
    last_ns: int = 0
    """Of what was abandoned: the time of its last descendant's event."""
    children: "list[StartedInterval]" = field(default_factory=lambda: list[StartedInterval]())


class Change(NamedTuple):
    """An interval has begun (`end_ns` is none), has ended, or has turned out to end later."""

    begun: StartedInterval
    end_ns: int | None


class IncrementalReducer:
    """Takes a session's events, those of one process in their order, and says what each changes.

    Rules 1 to 3 of the reducer, as far as they can be applied before the end.
    """

    def __init__(self) -> None:
        self._processes: defaultdict[str, _Process] = defaultdict(_Process)
        self._is_ended = False

    def take(self, row: EventRow) -> list[Change]:
        """Return what an event changes."""
        process = self._processes[row.process]
        if row.kind == "stage_started":
            process.is_over |= self._is_ended
            return process.begin(row.process, start_of_row(row))
        if row.kind == "stage_stopped":
            assert row.interval is not None
            return process.stop(row.interval, row.at_ns)
        if row.kind == "process_left":
            return process.leave()
        if row.kind == "process_lost":
            body = body_of(row)
            process = self._processes[str(body["lost"])]
            if (alive_ns := body.get("alive_ns")) is not None:
                process.lost = process.lost or Lost(row.at_ns, alive_ns)
            return process.leave()
        if row.kind == "session_ended":
            self._is_ended = True
            return [change for each in self._processes.values() for change in each.leave()]
        return []


@dataclass(slots=True)
class _Process:
    begun: dict[int, StartedInterval] = field(default_factory=dict[int, StartedInterval])
    is_over: bool = False
    has_abandoned: bool = False
    lost: Lost | None = None

    def begin(self, process: str, start: Start) -> list[Change]:
        if start.interval in self.begun:
            return []
        parent = None if start.parent is None else self.begun.get(start.parent)
        begun = StartedInterval(process, start, start.role or (parent.role if parent else None), parent)
        self.begun[start.interval] = begun
        if parent is not None:
            parent.children.append(begun)
        if self.is_over or (parent is not None and parent.end_ns is not None):
            return [*self._abandon([begun]), *self._go_on_above(begun, start.at_ns)]
        return [Change(begun, None), *self._go_on_above(begun, start.at_ns)]

    def stop(self, interval: int, at_ns: int) -> list[Change]:
        begun = self.begun.get(interval)
        if begun is None or begun.is_stopped or at_ns < begun.start.at_ns:
            return []
        begun.is_stopped, begun.end_ns = True, at_ns
        below = [child for child in begun.children if not child.is_stopped]
        changes = [Change(begun, at_ns), *self._abandon(below)] if below else [Change(begun, at_ns)]
        return changes + self._go_on_above(begun, at_ns)

    def leave(self) -> list[Change]:
        self.is_over = True
        # In the order in which they began, so that a parent's end is known before its children's.
        # What its session's end had ended already goes on for as long as the process was seen alive.
        ending = [
            begun
            for begun in self.begun.values()
            if begun.end_ns is None or (self.lost is not None and not begun.is_stopped)
        ]
        return self._abandon(ending)

    def _abandon(self, begun: Iterable[StartedInterval]) -> list[Change]:
        """End what can't go on, and all that is open below it."""
        below: dict[StartedInterval, None] = {}
        waiting = list(begun)[::-1]
        while waiting:
            one = waiting.pop()
            if one not in below:
                below[one] = None
                waiting += one.children
        for one in reversed(below):
            own_ns = one.end_ns if one.is_stopped and one.end_ns is not None else one.start.at_ns
            one.last_ns = max(one.last_ns, own_ns, *(child.last_ns for child in one.children))
        self.has_abandoned = True
        return [change for one in below if not one.is_stopped for change in self._ended(one)]

    def _go_on_above(self, begun: StartedInterval, at_ns: int) -> list[Change]:
        """Let what was abandoned above an event's interval end as late as that event."""
        if not self.has_abandoned:
            return []
        above: list[StartedInterval] = []
        around = begun.parent
        while around is not None:
            above.append(around)
            around = around.parent
        changes: list[Change] = []
        for one in reversed(above):
            one.last_ns = max(one.last_ns, at_ns)
            if one.end_ns is not None and not one.is_stopped and (ended := self._ended(one)):
                changes += ended
                changes += self._abandon([child for child in one.children if not child.is_stopped])
        return changes

    def _ended(self, begun: StartedInterval) -> Iterator[Change]:
        """Give what was abandoned its end, where that is another one than before."""
        end_ns = begun.last_ns if self.lost is None else self.lost.end_ns(begun.last_ns)
        if begun.parent is not None and begun.parent.end_ns is not None:
            end_ns = max(begun.start.at_ns, min(end_ns, begun.parent.end_ns))
        if end_ns != begun.end_ns:
            begun.end_ns = end_ns
            yield Change(begun, end_ns)


class RunningTotals:
    """What is open, and what is top-level, as the changes so far make it."""

    def __init__(self) -> None:
        self._open: dict[StartedInterval, None] = {}
        self._with_role: defaultdict[Group, Outermost] = defaultdict(Outermost)
        self._without: defaultdict[Group, Outermost] = defaultdict(Outermost)
        """What has no role but that of what encloses it: as long as nothing with one does."""
        self._giving: defaultdict[tuple[str, Activity], Outermost] = defaultdict(Outermost)
        """What gives its role to what it encloses."""
        self._groups: defaultdict[str, set[Group]] = defaultdict(set)
        """By process, those that have totals."""
        self.group_count = 0
        """How many these are."""

    @property
    def open(self) -> list[StartedInterval]:
        """The open intervals, in the order in which they began."""
        return list(self._open)

    @property
    def open_count(self) -> int:
        """How many are open."""
        return len(self._open)

    def opened_last(self, most: int) -> list[StartedInterval]:
        """Return the open intervals that began last, in the order in which they began."""
        return list(islice(reversed(self._open), most))[::-1]

    def apply(self, change: Change) -> None:
        """Take a change."""
        begun, end_ns = change
        if end_ns is None:
            self._open[begun] = None
            return
        self._open.pop(begun, None)
        start, process, activity = begun.start, begun.process, begun.start.activity
        span = EnclosingSpan(start.at_ns, end_ns, start.seq)
        if begun.role is not None:
            self._add(self._with_role, Group(process, begun.role, activity), span)
            if start.role is not None:
                self._giving[process, activity].add(span)
                for role in (ROLE_OF_TORCH, None):
                    if (without := self._without.get(Group(process, role, activity))) is not None:
                        without.remove_inside(span)
        elif not self._giving[process, activity].encloses(span):
            role = ROLE_OF_TORCH if start.source == "torch" else None
            self._add(self._without, Group(process, role, activity), span)

    def totals_ns(self, process: str | None = None) -> dict[Group, int]:
        """Return, by process, role and activity, the length of the union of what is top-level so far.

        Those of one process, or of all.
        """
        if process is None:
            groups = chain.from_iterable(self._groups.values())
        else:
            groups = iter(self._groups.get(process, ()))
        totals = {group: self._total_ns(group) for group in sorted(groups, key=_by_name)}
        return {group: total_ns for group, total_ns in totals.items() if total_ns}

    def _total_ns(self, group: Group) -> int:
        with_role, without = self._with_role.get(group), self._without.get(group)
        if with_role is not None and without is not None and with_role.length_ns:
            return union_ns([*with_role, *without])
        return sum(outermost.length_ns for outermost in (with_role, without) if outermost is not None)

    def _add(self, outermost: defaultdict[Group, Outermost], group: Group, span: EnclosingSpan) -> None:
        outermost[group].add(span)
        groups = self._groups[group.process]
        if group not in groups:
            groups.add(group)
            self.group_count += 1

    def copy(self) -> "RunningTotals":
        """Return a state of its own, as this one is now."""
        copied = RunningTotals()
        copied._open = self._open.copy()
        copied._groups.update({process: groups.copy() for process, groups in self._groups.items()})
        copied.group_count = self.group_count
        for mine, its in (
            (self._with_role, copied._with_role),
            (self._without, copied._without),
            (self._giving, copied._giving),
        ):
            its.update({key: outermost.copy() for key, outermost in mine.items()})  # pyright: ignore[reportArgumentType, reportCallIssue]
        return copied


def body_of(row: EventRow) -> dict[str, Any]:
    """Return what an event's row keeps as JSON because it has no column of its own."""
    return from_json(row.body) if row.body else {}


def _by_name(group: Group) -> tuple[str, str, str]:
    return group.process, group.role or "", group.activity
