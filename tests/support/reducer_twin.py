"""The reducer's slow, obvious twin: the definitions of the design, one function each.

An interval's time is the set of the nanoseconds that it covers, so a union is a union and a length is a
count. That is quadratic and worse, and needs small times; in return there is nothing here to get wrong but
the definitions. It knows nothing of `ledger.timeline.reducer`. The session's own row is not derived here.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from pydantic_core import to_json

from ledger.events.models import (
    Event,
    GapNoted,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    ProcessLost,
    SessionEnded,
    StageStarted,
    StageStopped,
    TotalClaimed,
)
from ledger.timeline.records import (
    Claim,
    Gap,
    Interval,
    Milestone,
    Process,
    RoleTotal,
    SessionTotal,
    SourceTotal,
)

AnomalyKey = tuple[str, str, int | None, int | None]
"""(process, what, interval, ns)"""


class Twin(NamedTuple):
    """What the reducer's result has to equal; the anomalies as a sorted list of what identifies them."""

    processes: tuple[Process, ...]
    intervals: tuple[Interval, ...]
    role_totals: tuple[RoleTotal, ...]
    source_totals: tuple[SourceTotal, ...]
    session_totals: tuple[SessionTotal, ...]
    claims: tuple[Claim, ...]
    anomalies: list[AnomalyKey]
    milestones: tuple[Milestone, ...]
    gaps: tuple[Gap, ...]


def twin(events: Iterable[Event]) -> Twin:
    """Return what the definitions make of the events of one session."""
    distinct = list({(event.process, event.seq): event for event in events}.values())
    # A process that only tells of another's loss is no process.
    names = sorted({event.process for event in distinct if not isinstance(event, ProcessLost)})
    processes = [ProcessTwin(distinct, name) for name in names]
    intervals = [process.record(i) for process in processes for i in process.starts]
    role_totals = [row for process in processes for row in process.role_totals()]
    source_totals = [row for process in processes for row in process.source_totals()]
    by_seq = sorted(distinct, key=lambda event: (event.process, event.seq))
    return Twin(
        processes=tuple(process.row() for process in processes),
        intervals=tuple(sorted(intervals, key=lambda i: (i.process, i.start_ns, i.start_seq))),
        role_totals=tuple(sorted(role_totals, key=lambda t: (t.process, t.role or "", t.activity))),
        source_totals=tuple(
            sorted(source_totals, key=lambda t: (t.process, t.role or "", t.activity, t.source))
        ),
        session_totals=session_totals(processes),
        claims=tuple(claim_of(event) for event in by_seq if isinstance(event, TotalClaimed)),
        anomalies=sorted_anomalies(
            anomaly
            for process in processes
            for anomaly in [*process.pairing_anomalies(), *process.parent_anomalies()]
        ),
        milestones=tuple(
            Milestone(event.session, event.process, event.at_ns, event.name)
            for event in by_seq
            if isinstance(event, MilestoneReached)
        ),
        gaps=tuple(
            Gap(event.session, event.process, event.at_ns, event.what, event.count, event.detail)
            for event in by_seq
            if isinstance(event, GapNoted)
        ),
    )


def sorted_anomalies(anomalies: Iterable[AnomalyKey]) -> list[AnomalyKey]:
    """Sort anomalies, none before any number."""
    return sorted(anomalies, key=lambda a: (a[0], a[1], -1 if a[2] is None else a[2], a[3] or 0))


def moment(event: Event) -> tuple[int, int]:
    """Return an event's place in its process's order."""
    return (event.at_ns, event.seq)


def patched(started: Mapping[str, object] | None, stopped: Mapping[str, object] | None) -> str | None:
    """The data of an interval's two events, as SQLite lays one object over another."""
    if started is None and stopped is None:
        return None
    texts = [to_json(data or {}, inf_nan_mode="strings").decode() for data in (started, stopped)]
    return _SQLITE.execute("SELECT json_patch(?, ?)", texts).fetchone()[0]


_SQLITE = sqlite3.connect(":memory:", check_same_thread=False)


class ProcessTwin:
    """One process's intervals, by id, and the rules over them."""

    def __init__(self, events: list[Event], process: str) -> None:
        self.process = process
        self.events = [event for event in events if event.process == process]
        self.session = self.events[0].session
        self.latest = max(event.at_ns for event in self.events)
        self.left = next((event for event in self.events if isinstance(event, ProcessLeft)), None)
        self.lost = next(
            (event for event in events if isinstance(event, ProcessLost) and event.lost == process), None
        )
        session_ended = any(isinstance(event, SessionEnded) for event in events)
        self.over = self.left is not None or self.lost is not None or session_ended
        joins = [event for event in self.events if isinstance(event, ProcessJoined)]
        self.joined = min(joins, key=lambda event: event.seq, default=None)
        self.renamed = max(joins, key=lambda event: event.seq, default=None)
        # Each of these is a function of the interval's id, worked out once.
        ids = sorted({event.interval for event in self.events if isinstance(event, StageStarted)})
        self.starts = {i: self.first_start(i) for i in ids}
        self.stops = {i: self.stop_of(i) for i in ids}
        self.ends = {i: self.end(i) for i in ids}
        self.closed = [i for i in ids if self.ends[i] is not None]
        self.open = [i for i in ids if self.ends[i] is None]
        self.roles = {i: self.role(i) for i in ids}

    # Rule 1: pairing.

    def first_start(self, i: int) -> StageStarted:
        return min(
            (event for event in self.events if isinstance(event, StageStarted) and event.interval == i),
            key=moment,
        )

    def stop_of(self, i: int) -> StageStopped | None:
        later_stops = [
            event
            for event in self.events
            if isinstance(event, StageStopped)
            and event.interval == i
            and moment(event) > moment(self.starts[i])
        ]
        return min(later_stops, key=moment, default=None)

    def pairing_anomalies(self) -> Iterable[AnomalyKey]:
        for event in self.events:
            if isinstance(event, StageStarted) and event is not self.starts[event.interval]:
                yield self.process, "duplicate_start", event.interval, None
            if isinstance(event, StageStopped):
                if event.interval not in self.starts:
                    yield self.process, "orphan_stop", event.interval, None
                elif moment(event) < moment(self.starts[event.interval]):
                    yield self.process, "stop_before_start", event.interval, None
                elif event is not self.stops[event.interval]:
                    yield self.process, "duplicate_stop", event.interval, None

    # Links by parent id. A link to what started later is not followed, so they never go round.

    def parent(self, i: int) -> int | None:
        parent = self.starts[i].parent
        if parent is None or parent not in self.starts:
            return None
        return parent if moment(self.starts[parent]) < moment(self.starts[i]) else None

    def ancestors(self, i: int) -> list[int]:
        parent = self.parent(i)
        return [] if parent is None else [parent, *self.ancestors(parent)]

    def descendants(self, i: int) -> list[int]:
        return [j for j in self.starts if i in self.ancestors(j)]

    # Rule 2: intervals without a stop.

    def has_end(self, i: int) -> bool:
        parent = self.parent(i)
        return self.stops[i] is not None or self.over or (parent is not None and self.has_end(parent))

    def end(self, i: int) -> int | None:
        if not self.has_end(i):
            return None
        stop = self.stops[i]
        if stop is not None:
            return stop.at_ns
        start = self.starts[i].at_ns
        latest = start
        for j in self.descendants(i):
            latest = max(latest, self.starts[j].at_ns)
            stop = self.stops[j]
            latest = latest if stop is None else max(latest, stop.at_ns)
        if self.lost is not None and self.lost.alive_ns is not None and latest == self.lost.at_ns:
            latest = max(latest, self.lost.alive_ns)  # nothing came after it, and the process was still there
        parent = self.parent(i)
        parents_end = None if parent is None else self.end(parent)
        if parents_end is not None:
            latest = min(latest, parents_end)
        return max(start, latest)

    # Rule 3: enclosure, among intervals that have an end.

    def encloses(self, i: int, j: int) -> bool:
        if i == j:
            return False
        if (self.starts[i].at_ns, self.ends[i]) == (self.starts[j].at_ns, self.ends[j]):
            return self.starts[i].seq < self.starts[j].seq
        return self.starts[i].at_ns <= self.starts[j].at_ns and self.ends[j] <= self.ends[i]

    def enclosers(self, j: int) -> list[int]:
        """Return what encloses j, innermost first: latest start, then earliest stop, then latest seq."""
        if j not in self.closed:
            return []
        return sorted(
            (i for i in self.closed if self.encloses(i, j)),
            key=lambda i: (-self.starts[i].at_ns, self.ends[i], -self.starts[i].seq),
        )

    def enclosing(self, j: int) -> int | None:
        return next(iter(self.enclosers(j)), None)

    def depth(self, j: int) -> int:
        enclosing = self.enclosing(j)
        return 0 if enclosing is None else 1 + self.depth(enclosing)

    def parent_anomalies(self) -> Iterable[AnomalyKey]:
        for i, start in self.starts.items():
            parent = start.parent
            if parent is None:
                continue
            if parent not in self.starts:
                yield self.process, "unknown_parent", i, None
            elif parent in self.closed and i in self.closed and not self.encloses(parent, i):
                before = max(0, self.starts[parent].at_ns - start.at_ns)
                after = max(0, self.ends[i] - self.ends[parent])
                yield self.process, "parent_does_not_enclose", i, before + after

    def role(self, i: int) -> str | None:
        start = self.starts[i]
        same_activity = [j for j in self.enclosers(i) if self.starts[j].activity == start.activity]
        for j in [i, *self.ancestors(i), *same_activity]:
            if self.starts[j].role is not None:
                return self.starts[j].role
        return "model" if start.source == "torch" else None

    # Rule 4: top-level.

    def group(self, i: int) -> tuple[str | None, str]:
        return (self.roles[i], self.starts[i].activity)

    def is_top_level(self, i: int) -> bool:
        return i in self.closed and not any(self.group(j) == self.group(i) for j in self.enclosers(i))

    # Time as a set of nanoseconds.

    def covered(self, ids: Iterable[int]) -> set[int]:
        return {ns for i in ids for ns in range(self.starts[i].at_ns, self.ends[i])}

    def duration(self, i: int) -> int:
        return self.ends[i] - self.starts[i].at_ns

    # Rules 5 and 6: totals.

    def top_levels(self, group: tuple[str | None, str]) -> list[int]:
        return [i for i in self.closed if self.group(i) == group and self.is_top_level(i)]

    def role_totals(self) -> list[RoleTotal]:
        totals = []
        for group in {self.group(i) for i in self.starts}:
            role, activity = group
            top_levels = self.top_levels(group)
            total = len(self.covered(top_levels))
            still_open = [i for i in self.open if self.group(i) == group]
            totals.append(
                RoleTotal(
                    session=self.session,
                    process=self.process,
                    role=role,
                    activity=activity,
                    total_ns=total,
                    crossing_ns=sum(map(self.duration, top_levels)) - total,
                    open_ns=max((self.latest - self.starts[i].at_ns for i in still_open), default=0),
                    top_level_count=len(top_levels),
                    interval_count=sum(self.group(i) == group for i in self.starts),
                    open_count=len(still_open),
                )
            )
        return totals

    def source_totals(self) -> list[SourceTotal]:
        totals = []
        for group, source in {(self.group(i), self.starts[i].source) for i in self.starts}:
            ids = [i for i in self.closed if self.group(i) == group and self.starts[i].source == source]
            total = len(self.covered(ids))
            naive_sum = sum(map(self.duration, ids))
            totals.append(
                SourceTotal(self.session, self.process, *group, source, total, naive_sum, naive_sum - total)
            )
        return totals

    # Rule 7: self time, and what nothing inside accounts for.

    def self_ns(self, i: int) -> int:
        inside = [
            j
            for j in self.closed
            if (self.encloses(i, j) and self.starts[j].thread == self.starts[i].thread)
            or i in self.ancestors(j)
        ]
        return len(self.covered([i]) - self.covered(inside))

    def unattributed_ns(self, i: int) -> int | None:
        inside = [j for j in self.closed if self.encloses(i, j)]
        return len(self.covered([i]) - self.covered(inside)) if inside else None

    # Rows.

    def record(self, i: int) -> Interval:
        start, stop, end = self.starts[i], self.stops[i], self.ends[i]
        is_open = end is None
        return Interval(
            session=self.session,
            process=self.process,
            interval=i,
            enclosing=self.enclosing(i),
            parent=start.parent,
            depth=self.depth(i),
            is_top_level=self.is_top_level(i),
            activity=start.activity,
            stage=start.stage,
            role=self.roles[i],
            component=start.component,
            source=start.source,
            thread=start.thread,
            start_ns=start.at_ns,
            stop_ns=end,
            duration_ns=None if is_open else self.duration(i),
            self_ns=None if is_open else self.self_ns(i),
            unattributed_ns=None if is_open else self.unattributed_ns(i),
            open_ns=self.latest - start.at_ns if is_open else None,
            outcome=stop.outcome if stop is not None else "open" if is_open else "abandoned",
            start_seq=start.seq,
            stop_seq=None if stop is None else stop.seq,
            error=None if stop is None else stop.error,
            data_json=patched(start.data, None if stop is None else stop.data),
        )

    def row(self) -> Process:
        if self.left is not None:
            outcome, expected = self.left.outcome, self.left.event_count
        elif self.lost is not None:
            outcome, expected = "lost", self.lost.last_seq + 1
        else:
            outcome, expected = "running", max(event.seq for event in self.events) + 1
        joined, renamed = self.joined, self.renamed
        return Process(
            session=self.session,
            process=self.process,
            name=None if renamed is None else renamed.name,
            rank=None if renamed is None else renamed.rank,
            pid=None if joined is None else joined.pid,
            parent_pid=None if joined is None else joined.parent_pid,
            host=None if joined is None else joined.host,
            started_at=None if joined is None else iso(joined.wall_ns),
            outcome=outcome,
            event_count=len(self.events),
            lost_events=max(0, expected - len(self.events)),
            hooks=() if renamed is None else renamed.hooks,
            missing_hooks=() if renamed is None else renamed.missing_hooks,
        )

    # Rule 9: what its times may be compared with.

    def clock_domain(self) -> tuple[str | None, ...]:
        joined = self.joined
        if joined is None or (joined.host is None and joined.boot_id is None):
            return (self.process,)
        return (joined.host, joined.boot_id, joined.time_namespace)


def session_totals(processes: list[ProcessTwin]) -> tuple[SessionTotal, ...]:
    """Rule 8: across processes."""
    totals = []
    groups = {process.group(i) for process in processes for i in process.starts}
    for role, activity in sorted(groups, key=lambda group: (group[0] or "", group[1])):
        taking_part = [
            process
            for process in processes
            if any(process.group(i) == (role, activity) for i in process.starts)
        ]
        covered = [process.covered(process.top_levels((role, activity))) for process in taking_part]
        lengths = [len(time) for time in covered]
        # The first of equals: processes come in the order of their ids.
        slowest = taking_part[lengths.index(max(lengths))]
        one_clock = len({process.clock_domain() for process in taking_part}) == 1
        totals.append(
            SessionTotal(
                session=slowest.session,
                role=role,
                activity=activity,
                max_ns=max(lengths),
                union_ns=len(set().union(*covered)) if one_clock else None,
                sum_ns=sum(lengths),
                slowest_process=slowest.process,
                process_count=len(taking_part),
            )
        )
    return tuple(totals)


def claim_of(event: TotalClaimed) -> Claim:
    """Return a claim's row: its event's own fields."""
    data = None if event.data is None else to_json(event.data, inf_nan_mode="strings").decode()
    fields = {name: getattr(event, name) for name in Claim._fields if name != "data_json"}
    return Claim(**fields, data_json=data)


def iso(wall_ns: int | None) -> str | None:
    """Return a wall time as ISO 8601 in UTC, cut to microseconds."""
    if wall_ns is None:
        return None
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    time = epoch + timedelta(microseconds=wall_ns // 1000)
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"
