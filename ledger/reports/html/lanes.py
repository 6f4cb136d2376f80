"""A session as a picture: lanes of processes and threads, rows of intervals, and where each mark stands.

Everything is in nanoseconds since the session's first event, and in rows from the top.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.formatting import cut
from ledger.reports.html.linked_claims import LinkedClaim, places_of_claims
from ledger.reports.html.nesting import Nested, Span, nested
from ledger.reports.html.subject import Subject
from ledger.reports.html.thinning import Block, thinned
from ledger.reports.model import ReconciledClaim
from ledger.timeline.process_names import process_names
from ledger.timeline.records import Interval, Milestone

_NAME: Final = 120
_MILESTONE_ROWS: Final = 4
"""Names of milestones that are near each other stand below each other."""
_CLAIMS: Final = 500
"""Marks of claims that are drawn, those that differ first."""
_BETWEEN: Final = 0.5
"""Rows between two processes."""


class Lane(NamedTuple):
    """A process, or one of its threads: a line with its name, and the rows below it."""

    name: str
    is_process: bool
    top: float
    bottom: float
    place: int
    """Of a process among the processes."""


class Drawn(NamedTuple):
    """An interval in its row."""

    place: int
    interval: Interval
    start_ns: int
    stop_ns: int
    row: float


class DrawnBlock(NamedTuple):
    """Intervals that are not drawn one by one, in their row."""

    block: Block
    process: str
    thread: str | None
    row: float


class ClaimMark(NamedTuple):
    """A claim's mark: at the end of the interval that it speaks of, or else when it was made."""

    reconciled: ReconciledClaim
    at_ns: int
    row: float
    has_interval: bool


class Reached(NamedTuple):
    """A milestone."""

    milestone: Milestone
    at_ns: int
    row: int


class Picture(NamedTuple):
    """What is drawn of a session."""

    lanes: tuple[Lane, ...]
    intervals: tuple[Drawn, ...]
    blocks: tuple[DrawnBlock, ...]
    claims: tuple[ClaimMark, ...]
    milestones: tuple[Reached, ...]
    rows: float
    longest_hidden_ns: int
    """The length of the longest interval that is in a block."""

    @property
    def hidden(self) -> int:
        """How many intervals are not drawn one by one."""
        return sum(len(drawn.block.places) for drawn in self.blocks)


class _Thread(NamedTuple):
    process: str
    thread: str | None
    spans: list[Span]


def picture(subject: Subject, claims: Sequence[LinkedClaim]) -> Picture:
    """Lay a session out; `claims` are its claims."""
    intervals = subject.timeline.intervals
    threads = _threads(subject)
    nests = [nested(thread.spans) for thread in threads]
    thin = thinned(nests, intervals, places_of_claims(subject, claims), subject.length_ns)
    milestones = _reached(subject)
    top: float = max((one.row + 1 for one in milestones), default=0)
    titles = process_names(subject.timeline.processes)
    lanes: list[Lane] = []
    drawn: list[Drawn] = []
    blocks: list[DrawnBlock] = []
    heads: dict[str, float] = {}
    threads_of: defaultdict[str, list[int]] = defaultdict(list)
    for i, thread in enumerate(threads):
        threads_of[thread.process].append(i)
    for number, process in enumerate(_processes(subject, threads, claims)):
        of_process = threads_of[process]
        heads[process] = top
        names = {i: threads[i].thread for i in of_process}
        is_one = len(of_process) == 1 and names[of_process[0]] is not None
        title = titles.get(process, process) + (f" · {names[of_process[0]]}" if is_one else "")
        head, top = top, top + 1
        of_threads: list[Lane] = []
        for i in of_process:
            name, head_of_thread = names[i], top
            if len(of_process) > 1:
                top += 1
            drawn += (_drawn(one, intervals[one.span.place], top) for one in thin.drawn[i])
            blocks += (DrawnBlock(one, process, name, top + one.row) for one in thin.blocks[i])
            top += max((one.row + 1 for one in (*thin.drawn[i], *thin.blocks[i])), default=0)
            if len(of_process) > 1:
                named = cut(name or "unknown thread", _NAME)
                of_threads.append(Lane(named, False, head_of_thread, top, number))
        lanes += [Lane(cut(title, _NAME), True, head, top, number), *of_threads]
        top += _BETWEEN
    hidden = [intervals[place] for one in blocks for place in one.block.places]
    return Picture(
        tuple(lanes),
        tuple(drawn),
        tuple(blocks),
        tuple(_claim_marks(subject, claims, drawn, heads)),
        milestones,
        top,
        max((subject.stop_ns(one) - one.start_ns for one in hidden), default=0),
    )


def _threads(subject: Subject) -> list[_Thread]:
    """Return the threads, each with its intervals, in the order in which they began."""
    spans: defaultdict[tuple[str, str | None], list[Span]] = defaultdict(list)
    for place, interval in enumerate(subject.timeline.intervals):
        if interval.process not in subject.drawn_processes:
            continue
        start_ns = subject.since_start_ns(interval.process, interval.start_ns)
        stop_ns = subject.since_start_ns(interval.process, subject.stop_ns(interval))
        spans[interval.process, interval.thread].append(Span(start_ns, stop_ns, place))
    threads = [_Thread(*key, of_thread) for key, of_thread in spans.items()]
    return sorted(threads, key=lambda thread: (min(thread.spans), thread.process))


def _processes(subject: Subject, threads: Sequence[_Thread], claims: Sequence[LinkedClaim]) -> list[str]:
    """Return the processes that there is anything to draw of, in the order in which they began."""
    seen = {thread.process: min(thread.spans).start_ns for thread in reversed(threads)}
    for row, interval in claims:
        process = row.claim.process
        if interval is None and process in subject.drawn_processes:
            seen.setdefault(process, subject.since_start_ns(process, row.claim.at_ns))

    def began(process: str) -> tuple[str, int, str]:
        record = subject.processes.get(process)
        return (record.started_at or "" if record else "", seen[process], process)

    return sorted(seen, key=began)


def _drawn(one: Nested, interval: Interval, top: float) -> Drawn:
    return Drawn(one.span.place, interval, one.span.start_ns, one.span.stop_ns, top + one.row)


def _claim_marks(
    subject: Subject, claims: Sequence[LinkedClaim], drawn: Sequence[Drawn], heads: dict[str, float]
) -> list[ClaimMark]:
    by_place = {one.place: one for one in drawn}
    marks: list[ClaimMark] = []
    for row, place in claims[:_CLAIMS]:
        interval = None if place is None else by_place.get(place)
        process = row.claim.process
        if interval is not None:
            marks.append(ClaimMark(row, interval.stop_ns, interval.row, True))
        elif process in heads:
            at_ns = subject.since_start_ns(process, row.claim.at_ns)
            marks.append(ClaimMark(row, at_ns, heads[process], False))
    return marks


def _reached(subject: Subject) -> tuple[Reached, ...]:
    reached = [(subject.since_start_ns(one.process, one.at_ns), one) for one in subject.timeline.milestones]
    reached.sort(key=lambda one: one[0])
    return tuple(Reached(one, at_ns, number % _MILESTONE_ROWS) for number, (at_ns, one) in enumerate(reached))
