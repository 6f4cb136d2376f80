"""Chooses what a page has of a session with too many intervals, and sums up what it leaves out.

A page has the longest intervals one by one, as many as a browser reads at once, with those that something on
the page speaks of (claims, findings, compiles), that failed or never ended, and what encloses them. Of the
others it has for each process how many they are, and when they were: neighbours that the eye can't tell apart
are one block. All are read one by one, so a page takes the same memory whatever the session.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, cast

from ledger.storage.ledger import Ledger
from ledger.timeline.claim_intervals import intervals_in_question
from ledger.timeline.findings import Finding
from ledger.timeline.records import Interval, IntervalKey, StartupPiece
from ledger.timeline.timeline import Timeline

ONE_BY_ONE: Final = 40_000
"""A page with more intervals than this is an excerpt: it has so many of the longest."""
_UNENDED: Final = 5_000
"""Of those that failed, and of those that have no end, as many are on the page in any case."""
_UNATTRIBUTED: Final = 300
_COMPILATIONS: Final = 1_000
_FINDINGS, _OF_FINDING = 200, 3
_BLOCKS: Final = 20_000
"""Blocks of a page at most, and …"""
_EYE: Final = 1_000
"""… of a process: into so many parts the eye divides a lane."""
_SPANS: Final = 100_000
"""Spans of a page at most that say when something outermost went on."""

_NUMBER: Final = "SELECT count(*) FROM projected_intervals WHERE session = ?"
_LENGTH: Final = """
    SELECT coalesce(duration_ns, open_ns, 0) AS length_ns FROM projected_intervals
    WHERE session = ? ORDER BY length_ns DESC LIMIT 1 OFFSET ?
"""
_LONGER: Final = """
    SELECT count(*) FROM projected_intervals WHERE session = ? AND coalesce(duration_ns, open_ns, 0) > ?
"""
_UNATTRIBUTED_TIME: Final = """
    SELECT unattributed_ns FROM projected_intervals
    WHERE session = ? AND unattributed_ns > 0 ORDER BY unattributed_ns DESC LIMIT 1 OFFSET ?
"""
_EXTENTS: Final = """
    SELECT process, min(start_ns), max(coalesce(stop_ns, start_ns + open_ns)) FROM projected_intervals
    WHERE session = ? GROUP BY process
"""
_BESIDE_INTERVALS: Final = (
    "sessions", "processes", "role_totals", "source_totals", "session_totals", "claims", "reconciliation",
    "causes", "anomalies", "milestones", "gaps", "startup_windows", "compilations", "graph_breaks",
    "projected_findings",
)  # fmt: skip


class Block(NamedTuple):
    """Neighbours of one process that a page has not one by one, on the process's clock."""

    start_ns: int
    stop_ns: int
    number: int
    longest_ns: int


@dataclass(slots=True)
class LeftOutOfProcess:
    """What a page has not one by one of a process."""

    number: int = 0
    longest_ns: int = 0
    blocks: list[Block] = field(default_factory=list[Block])
    outermost: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """When there was one that nothing encloses."""

    def add(self, interval: Interval, length_ns: int, near_ns: int, finest_ns: int) -> None:
        """Take one; they come by start. What is no further from another than `near_ns` is in its block."""
        self.number += 1
        self.longest_ns = max(self.longest_ns, length_ns)
        start_ns, stop_ns = interval.start_ns, interval.start_ns + length_ns
        last = self.blocks[-1] if self.blocks else None
        if last is None or start_ns - last.stop_ns > near_ns:
            self.blocks.append(Block(start_ns, stop_ns, 1, length_ns))
        else:
            self.blocks[-1] = Block(
                last.start_ns, max(last.stop_ns, stop_ns), last.number + 1, max(last.longest_ns, length_ns)
            )
        if interval.enclosing is not None:
            return
        if self.outermost and start_ns - self.outermost[-1][1] <= finest_ns:
            self.outermost[-1] = (self.outermost[-1][0], max(self.outermost[-1][1], stop_ns))
        else:
            self.outermost.append((start_ns, stop_ns))


class LeftOut(NamedTuple):
    """What a page of an excerpt says of all that it leaves out."""

    processes: Mapping[str, LeftOutOfProcess]
    last_ns: Mapping[str, int]
    """When the last interval of each process ended, on its clock."""
    pieces: Callable[[], Iterable[StartupPiece]]
    """Returns the pieces of the start, to be taken one by one: the timeline has none."""

    @property
    def number(self) -> int:
        """How many intervals are left out."""
        return sum(one.number for one in self.processes.values())

    @property
    def longest_ns(self) -> int:
        """The length of the longest of them."""
        return max((one.longest_ns for one in self.processes.values()), default=0)


def read_for_page(
    ledger: Ledger, session: str, findings: Iterable[Finding], most: int = ONE_BY_ONE
) -> tuple[Timeline, LeftOut | None]:
    """Return a session as a page shows it; with what is left out where it has more than `most` intervals.

    Raises UnknownSession, and LedgerError where the ledger can't be read.
    """
    if _one(ledger, _NUMBER, session) <= most:
        return ledger.timeline(session), None
    timeline = ledger.timeline_tables(session, *_BESIDE_INTERVALS)
    if timeline.intervals:  # the projections are not current, and all of it has been reduced
        return timeline, None
    rows = cast("list[tuple[Any, ...]]", ledger.select(_EXTENTS, [session]))
    length_ns = max((last_ns - first_ns for _, first_ns, last_ns in rows), default=0)
    each = max(1, len(rows))
    near_ns = length_ns // max(1, min(_EYE, _BLOCKS // each))
    finest_ns = length_ns // max(1, _SPANS // each)
    unattributed_ns = _one(ledger, _UNATTRIBUTED_TIME, session, _UNATTRIBUTED - 1) or 1
    wanted = _Wanted(_spoken_of(timeline, findings), unattributed_ns)
    wanted_keys = _with_enclosers(ledger.intervals(session, has_data=False), wanted.has)
    longer_than_ns = _one(ledger, _LENGTH, session, most)
    as_long = most - _one(ledger, _LONGER, session, longer_than_ns)
    first: Callable[[object, object], object] = dict[object, object]().setdefault
    kept: list[Interval] = []
    processes: dict[str, LeftOutOfProcess] = {}
    for interval in ledger.intervals(session):
        interval_ns = _length_ns(interval)
        is_as_long = interval_ns == longer_than_ns and as_long > 0
        as_long -= is_as_long
        if interval_ns > longer_than_ns or is_as_long or _key(interval) in wanted_keys:
            # Equal texts are one object: each row has its own.
            kept.append(Interval._make(first(one, one) if isinstance(one, str) else one for one in interval))
        else:
            left_out = processes.setdefault(interval.process, LeftOutOfProcess())
            left_out.add(interval, interval_ns, near_ns, finest_ns)
    last = {process: last_ns for process, _, last_ns in rows}
    excerpt = replace(timeline, intervals=tuple(kept))
    return excerpt, LeftOut(processes, last, lambda: ledger.startup_pieces(session))


class _Wanted:
    """Says of one interval after the other whether a page has it however short it is."""

    def __init__(self, spoken_of: Collection[IntervalKey], unattributed_ns: int) -> None:
        self._spoken_of: Final = spoken_of
        self._unattributed_ns: Final = unattributed_ns
        self._room = {"failed": _UNENDED, "unended": _UNENDED, "unattributed": _UNATTRIBUTED}

    def has(self, interval: Interval) -> bool:
        """Tell it of the next interval."""
        if _key(interval) in self._spoken_of:
            return True
        if interval.outcome != "completed":
            return self._has_room("failed" if interval.outcome == "failed" else "unended")
        return (interval.unattributed_ns or 0) >= self._unattributed_ns and self._has_room("unattributed")

    def _has_room(self, why: str) -> bool:
        self._room[why] -= 1
        return self._room[why] >= 0


def _spoken_of(timeline: Timeline, findings: Iterable[Finding]) -> set[IntervalKey]:
    """Return the intervals that something on a page leads to."""
    keys = intervals_in_question(timeline)
    for _, finding in zip(range(_FINDINGS), findings, strict=False):
        keys.update(finding.intervals[:_OF_FINDING])
    longest = sorted(
        timeline.compilations, key=lambda one: (-(one.duration_ns or 0), one.process, one.interval)
    )
    keys.update(IntervalKey(one.process, one.interval) for one in longest[:_COMPILATIONS])
    return keys


def _with_enclosers(intervals: Iterator[Interval], is_wanted: Callable[[Interval], bool]) -> set[IntervalKey]:
    """Return the keys of the intervals that are wanted, and of all that enclose them."""
    found: set[IntervalKey] = set()
    around: dict[int, Interval] = {}
    """What may enclose the next interval of the process, by id."""
    process, enough = None, _EYE
    for interval in intervals:
        if interval.process != process:
            process, enough = interval.process, _EYE
            around.clear()
        around[interval.interval] = interval
        if len(around) > enough:
            around = {
                number: one
                for number, one in around.items()
                if one.stop_ns is not None and one.stop_ns >= interval.start_ns
            }
            around[interval.interval] = interval
            enough = 2 * len(around) + _EYE
        one: Interval | None = interval
        if is_wanted(interval):
            while one is not None and (key := _key(one)) not in found:
                found.add(key)
                one = None if one.enclosing is None else around.get(one.enclosing)
    return found


def _key(interval: Interval) -> IntervalKey:
    return IntervalKey(interval.process, interval.interval)


def _length_ns(interval: Interval) -> int:
    """Return how long an interval took; of an open one, its time so far."""
    duration_ns = interval.duration_ns
    return (interval.open_ns or 0) if duration_ns is None else duration_ns


def _one(ledger: Ledger, query: str, *values: object) -> int:
    """Return the number that a query finds; 0 where it finds none."""
    rows = ledger.select(query, values)
    return int(str(rows[0][0])) if rows else 0
