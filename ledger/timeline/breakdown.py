"""From command to ready: cuts the time until something was ready into pieces, each charged to one interval.

A pure function, as the reducer is. Rule 1 is in `startup_windows`. The time is first shared out among the
processes (rules 2 and 3), for which their outermost intervals are enough; then each process's share is cut up
among all its intervals.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from heapq import heappop, heappush
from itertools import chain, groupby, pairwise
from math import inf
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple

from ledger.timeline.enclosure import stage_after
from ledger.timeline.log_neighbours import LOG, LogNeighbours, Placed
from ledger.timeline.process_events import ProcessEvents
from ledger.timeline.process_lives import TICK_NS, Lives, ProcessLife, distances, lives_of
from ledger.timeline.records import Interval, StartupPiece, StartupWindow
from ledger.timeline.spans import merged
from ledger.timeline.startup_windows import Bounds, windows_of
from ledger.vocabulary import IMPORT, WAITING, package_of

_NONE: Final = -1
"""In place of an interval's index: none is open."""
_NEVER: Final = 1 << 72
"""After every time that an event may have."""
PATH_SEPARATOR: Final = " > "
_PATH_LENGTH: Final = 5
_NOTHING: Final[Mapping[str, str | None]] = {}
_Least = tuple[int, int, int, float, int]
_Steps = list[tuple[int, int]]
"""Moments in order, each with the index of the interval that is innermost from then on."""


class Standing(NamedTuple):
    """How a process that exists stands against the others. The greatest of all standings has the moment."""

    level: int
    """2: an interval is open that is not `waiting`, so it may be charged; 1: it is idle; 0: it waits."""
    distance: int
    last_stop_ns: int
    """Of several equally far that may be charged, the straggler: whose open intervals stop last."""
    rank: float
    """Less the rank, since the lower one has it."""
    order: int
    """Less its place in the order of the processes' ids."""

    @property
    def least_first(self) -> _Least:
        """What sorts standings, the greatest of them first."""
        return -self.level, -self.distance, -self.last_stop_ns, -self.rank, -self.order


class _Lane:
    """One process: when it stands how, and which of its intervals is the innermost one when."""

    def __init__(
        self,
        life: ProcessLife,
        intervals: Sequence[Interval],
        stopped_before: str | None,
        offset_ns: int,
        distance: int,
        order: int,
    ) -> None:
        self.process: Final = life.process
        self._stopped_before: Final = stopped_before
        self.intervals: Final = intervals
        """By start, on the process's own clock."""
        self._offset_ns: Final = offset_ns
        self._paths: dict[int, tuple[str, ...]] = {}
        self._life: Final = life
        self._standing: Final = Standing(1, distance, 0, -inf if life.rank is None else -life.rank, -order)

    def standings(self) -> Iterator[tuple[int, Standing | None]]:
        """Yield the moments at which its standing changes, each with the new one; None where it is gone."""
        offset_ns, life = self._offset_ns, self._life
        if life.ended_ns is not None and life.ended_ns <= life.began_ns:
            return
        working, waiting = list[tuple[int, int]](), list[tuple[int, int]]()
        changes: list[tuple[int, str, int]] = [(life.began_ns, "exists", True)]
        last_stop_ns = works_until_ns = -_NEVER
        for interval in self.intervals:
            stop_ns = _NEVER if interval.stop_ns is None else interval.stop_ns + offset_ns
            is_waiting = interval.stage == WAITING
            # Most lie within another one, and change nothing.
            if stop_ns <= works_until_ns and not is_waiting:
                continue
            start_ns = interval.start_ns + offset_ns
            if start_ns < stop_ns:
                if is_waiting:
                    waiting.append((start_ns, stop_ns))
                else:
                    working.append((start_ns, stop_ns))
                    works_until_ns = stop_ns
                # What stops last of all that have begun is what stops last of all that are open.
                if stop_ns > last_stop_ns:
                    last_stop_ns = stop_ns
                    changes.append((start_ns, "last_stop_ns", stop_ns))
        for name, spans in (("works", working), ("waits", waiting)):
            for span in merged(spans):
                changes += [(span.start_ns, name, True), (span.stop_ns, name, False)]
        if life.ended_ns is not None:
            changes.append((life.ended_ns, "exists", False))
        changes.sort(key=itemgetter(0))
        now = {"exists": 0, "works": 0, "waits": 0, "last_stop_ns": 0}
        for at_ns, together in groupby(changes, itemgetter(0)):
            now.update((name, value) for _, name, value in together)
            if not now["exists"]:
                yield at_ns, None
            elif now["works"]:
                yield at_ns, self._standing._replace(level=2, last_stop_ns=now["last_stop_ns"])
            else:
                yield at_ns, self._standing._replace(level=0 if now["waits"] else 1)

    def steps(self, start_ns: int, stop_ns: int) -> Iterator[tuple[int, Interval]]:
        """Yield the moments of a time, in all of which some are open, each with the innermost one then."""
        start_ns, stop_ns = start_ns - self._offset_ns, stop_ns - self._offset_ns
        steps = self._innermost
        for at in range(bisect_right(steps, start_ns, key=itemgetter(0)) - 1, len(steps)):
            at_ns, index = steps[at]
            if at_ns >= stop_ns:
                return
            yield max(at_ns, start_ns) + self._offset_ns, self.intervals[index]

    @cached_property
    def _innermost(self) -> _Steps:
        """Which interval is innermost: greatest depth, then latest start, then latest seq."""
        steps: _Steps = []
        # Those that began and may still be open, the innermost last: depth, index, stop.
        began: list[tuple[int, int, int]] = []
        for index, interval in enumerate(self.intervals):
            start_ns, stop_ns = interval.start_ns, interval.stop_ns
            if stop_ns is None:
                stop_ns = _NEVER
            if stop_ns > start_ns:
                if began and began[-1][2] <= start_ns:
                    _drop_stopped(began, start_ns, steps)
                this = (interval.depth, index, stop_ns)
                if began and this < began[-1]:
                    insort(began, this)
                    continue
                began.append(this)
                if steps and steps[-1][0] == start_ns:
                    steps.pop()
                steps.append((start_ns, index))
        _drop_stopped(began, _NEVER - 1, steps)
        return steps

    def path(self, interval: Interval) -> str:
        """Return the names of the outermost stages around an interval, itself the last of them."""
        inside: list[Interval] = []
        at: Interval | None = interval
        while at is not None and at.interval not in self._paths:
            inside.append(at)
            at = self._by_id.get(at.enclosing)
        names = () if at is None else self._paths[at.interval]
        role = None if at is None else at.role
        for each in reversed(inside):
            name = _name(each, role)
            role = each.role
            if len(names) < _PATH_LENGTH and names[-1:] != (name,):
                names = (*names, name)
            self._paths[each.interval] = names
        return PATH_SEPARATOR.join(names)

    @cached_property
    def _by_id(self) -> dict[int | None, Interval]:
        return {interval.interval: interval for interval in self.intervals}

    def of_log(self) -> Iterator[Placed]:
        """Yield what was read from a log and has ended."""
        for interval in self.intervals:
            if interval.source == LOG and interval.stop_ns is not None:
                bounds = (interval.start_ns + self._offset_ns, interval.stop_ns + self._offset_ns)
                yield Placed(*bounds, self._standing.distance, self.process, interval)

    def stage_before(self, at_ns: int) -> str | None:
        """Return the stage of the interval that had stopped last by a moment."""
        stopped = self._by_stop
        at = bisect_right(stopped, at_ns - self._offset_ns, key=attrgetter("stop_ns"))
        return stopped[at - 1].stage if at else self._stopped_before

    def stage_after(self, at_ns: int) -> str | None:
        """Return the stage of the interval that starts first from a moment on; of several the outermost."""
        return stage_after(self.intervals, at_ns - self._offset_ns)

    @cached_property
    def _by_stop(self) -> list[Interval]:
        stopped = [interval for interval in self.intervals if interval.stop_ns is not None]
        return sorted(stopped, key=attrgetter("stop_ns", "start_ns", "start_seq"))


def _name(interval: Interval, role_around: str | None) -> str:
    """Return what a path calls an interval: its stage with the role that begins there; imports by package."""
    if interval.stage == IMPORT and interval.component:
        return f"{IMPORT} {package_of(interval.component)}"
    return interval.stage if interval.role in (None, role_around) else f"{interval.stage} [{interval.role}]"


def _drop_stopped(began: list[tuple[int, int, int]], until_ns: int, steps: _Steps) -> None:
    """Remove what stops until a moment from the end; note what is innermost after each that did."""
    while began and (stopped_ns := began[-1][2]) <= until_ns:
        while began and began[-1][2] <= stopped_ns:
            began.pop()
        steps.append((stopped_ns, began[-1][1] if began else _NONE))


class _Share(NamedTuple):
    """A time that one process has: charged to its intervals, or else to none."""

    start_ns: int
    lane: _Lane | None
    """None while there is no process."""
    is_charged: bool


class _Piece(NamedTuple):
    start_ns: int
    lane: _Lane | None
    interval: Interval | None


def startup_breakdown(
    session: str, parts: Mapping[str, ProcessEvents], intervals: Mapping[str, Sequence[Interval]]
) -> tuple[list[StartupWindow], list[StartupPiece]]:
    """Return a session's windows and their pieces, whose durations add up to the windows' exactly.

    `intervals` has those of each process by start.
    """
    windows: list[StartupWindow] = []
    pieces: list[StartupPiece] = []
    lives = lives_of(parts)
    if not lives.processes:
        return windows, pieces
    breakdown = Breakdown(session, lives, distances(lives.processes), intervals)
    for number, bounds in enumerate(windows_of(parts, lives)):
        found = list(breakdown.pieces(number, bounds.start_ns, bounds.stop_ns))
        windows.append(breakdown.window(number, bounds, _unattributed_ns(found)))
        pieces += found
    return windows, pieces


def _unattributed_ns(pieces: Iterable[StartupPiece]) -> int:
    return sum(piece.duration_ns for piece in pieces if piece.interval is None)


class Breakdown:
    """Cuts times of a session into pieces."""

    def __init__(
        self,
        session: str,
        lives: Lives,
        steps: Mapping[str, int],
        intervals: Mapping[str, Sequence[Interval]],
        stopped_before: Mapping[str, str | None] = _NOTHING,
    ) -> None:
        """Take the intervals of each process, by start: all of them, or those from some time on.

        Of a process whose first intervals are left out, `stopped_before` has the stage of the one that
        stopped last.
        """
        self._session: Final = session
        self._uncertainty_ns = lives.uncertainty_ns
        lanes = [
            _Lane(
                life,
                intervals.get(life.process, ()),
                stopped_before.get(life.process),
                lives.offset_ns[life.process],
                steps[life.process],
                order,
            )
            for order, life in enumerate(sorted(lives.processes, key=attrgetter("process")))
        ]
        self._shares: Final = list(_shares(lanes))
        self._of_log: Final = LogNeighbours(placed for lane in lanes for placed in lane.of_log())

    def window(self, number: int, bounds: Bounds, unattributed_ns: int) -> StartupWindow:
        """Return a window's record."""
        began_by, ended_by, start_ns, stop_ns = bounds
        tick_ns = TICK_NS if began_by == "creation" else 0
        uncertainty_ns = self._uncertainty_ns + self._of_log.uncertainty_ns + tick_ns
        return StartupWindow(
            self._session, number, began_by, ended_by, start_ns, stop_ns, stop_ns - start_ns, uncertainty_ns,
            unattributed_ns,
        )  # fmt: skip

    def pieces(
        self, window: int, start_ns: int, stop_ns: int, first_piece: int = 0
    ) -> Iterator[StartupPiece]:
        """Yield the pieces of a time in a window, numbered from the first one on."""
        pieces = _pieces(self._shares, start_ns, stop_ns)
        return _records(self._session, window, first_piece, pieces, stop_ns, self._of_log)


def _shares(lanes: Sequence[_Lane]) -> Iterator[_Share]:
    """Yield the time's shares, one after the other: each lasts until the next one."""
    changes = [
        (at_ns, order, standing)
        for order, lane in enumerate(lanes)
        for at_ns, standing in lane.standings()
        if at_ns < _NEVER
    ]
    changes.sort(key=itemgetter(0))
    yield _Share(-_NEVER, None, False)
    now: dict[int, Standing | None] = {}
    # The greatest of all stands first. One that has changed since is dropped when it comes to stand there.
    first: list[tuple[_Least, int, Standing]] = []
    for at_ns, together in groupby(changes, itemgetter(0)):
        for _, order, standing in together:
            now[order] = standing
            if standing is not None:
                heappush(first, (standing.least_first, order, standing))
        while first and now[first[0][1]] is not first[0][2]:
            heappop(first)
        if first:
            _, order, standing = first[0]
            yield _Share(at_ns, lanes[order], standing.level == 2)
        else:
            yield _Share(at_ns, None, False)


def _pieces(shares: Sequence[_Share], start_ns: int, stop_ns: int) -> Iterator[_Piece]:
    """Yield the pieces of a time, those that are charged alike as one: each lasts until the next one."""
    last = None
    for piece in _elementary(shares, start_ns, stop_ns):
        if last is None or piece.lane is not last.lane or piece.interval is not last.interval:
            yield piece
            last = piece


def _elementary(shares: Sequence[_Share], start_ns: int, stop_ns: int) -> Iterator[_Piece]:
    for at in range(bisect_right(shares, start_ns, key=attrgetter("start_ns")) - 1, len(shares)):
        share = shares[at]
        if max(share.start_ns, start_ns) >= stop_ns:
            return
        begin_ns = max(share.start_ns, start_ns)
        if share.lane is None or not share.is_charged:
            yield _Piece(begin_ns, share.lane, None)
            continue
        end_ns = min(stop_ns, shares[at + 1].start_ns) if at + 1 < len(shares) else stop_ns
        for at_ns, interval in share.lane.steps(begin_ns, end_ns):
            yield _Piece(at_ns, share.lane, interval)


def _records(
    session: str,
    window: int,
    first_piece: int,
    pieces: Iterator[_Piece],
    stop_ns: int,
    of_log: LogNeighbours,
) -> Iterator[StartupPiece]:
    """Yield a window's pieces as records."""
    bounded = pairwise(chain(pieces, [_Piece(stop_ns, None, None)]))
    for number, (piece, following) in enumerate(bounded, first_piece):
        start_ns, lane, interval = piece
        end_ns = following.start_ns
        where = (session, window, number, start_ns, end_ns, end_ns - start_ns, lane and lane.process)
        if lane is not None and interval is not None:
            between = (None, None)
            if interval.source == LOG:
                between = of_log.of_piece(lane.process, interval, start_ns, end_ns)
            yield StartupPiece(
                *where, interval.interval, interval.activity, interval.stage, interval.role,
                interval.component, interval.source, *between, lane.path(interval),
            )  # fmt: skip
        else:
            before = lane and lane.stage_before(start_ns)
            after = lane and lane.stage_after(end_ns)
            yield StartupPiece(*where, None, None, None, None, None, None, before, after)


class StagePath(NamedTuple):
    """What of the first window is charged to one stage: that of a process, inside the same stages."""

    process: str | None
    path: str
    """As in `StartupPiece`."""
    duration_ns: int


def stage_paths(pieces: Iterable[StartupPiece]) -> list[StagePath]:
    """Return what of the first window is charged to each stage, in the order in which they come first."""
    durations_ns: defaultdict[tuple[str | None, str], int] = defaultdict(int)
    for piece in pieces:
        if piece.window == 0 and piece.path is not None:
            durations_ns[piece.process, piece.path] += piece.duration_ns
    return [StagePath(*stage, duration_ns) for stage, duration_ns in durations_ns.items()]
