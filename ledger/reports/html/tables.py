"""The tables of a page, as `report` has them, with the exact nanoseconds beside what is shown."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.formatting import NO_ROLE, counted, cut, seconds, signed
from ledger.reports.html.lanes import Drawn, Picture
from ledger.reports.html.speaking import AGREE, Held, places_of
from ledger.reports.html.subject import Subject
from ledger.reports.html.thinning import is_looked_for
from ledger.timeline.reconciliation.causes import UNMATCHED
from ledger.timeline.records import Anomaly, Cause, Gap, Interval

_NAME: Final = 200
_TEXT: Final = 600
"""Characters of a text that are shown: whole lines of logs, but not ten thousand."""
_CAUSES: Final = 4
_LINKS: Final = 4
_CLAIMS: Final = 500
_ROWS: Final = 300
LISTED: Final = 500
"""Intervals that are in the table beside the timeline."""


class Link(NamedTuple):
    """A word that leads to a row of the page."""

    text: str
    target: str


class Line(NamedTuple):
    """A line of a cell; `ns` is the exact number that it shows in seconds."""

    text: str
    ns: int | None = None
    links: tuple[Link, ...] = ()


Cell = tuple[Line, ...]


class Column(NamedTuple):
    """A column's head."""

    name: str
    is_number: bool = False
    is_text: bool = False
    """Whether it is as long as anybody likes."""


class Table(NamedTuple):
    """Rows, of which the first `open_rows` are shown at once."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    open_rows: int
    left_out: int = 0
    """Rows that the ledger has, and the page has not."""
    anchors: tuple[str, ...] = ()
    """What links to a row are called, for each row."""


def of_text(text: object, length: int = _NAME) -> Cell:
    """Return a cell of a text, or of nothing."""
    return (Line("" if text is None else cut(str(text), length)),)


def of_ns(ns: int | None, *, is_difference: bool = False) -> Cell:
    """Return a cell of a duration."""
    return (Line(signed(ns) if is_difference else seconds(ns), ns),)


def totals(subject: Subject) -> Table:
    """Return what took the time, per role and activity: three numbers over processes, never one."""
    timeline = subject.timeline
    still_open: defaultdict[tuple[str | None, str], int] = defaultdict(int)
    for total in timeline.role_totals:
        still_open[total.role, total.activity] += total.open_count
    several = any(total.process_count > 1 for total in timeline.session_totals)
    is_any_open = any(still_open.values())
    columns = [Column("role"), Column("activity"), Column("seconds", True)]
    if several:
        columns += [Column("union", True), Column("sum", True), Column("processes", True), Column("slowest")]
    columns += [Column("still open", True)] if is_any_open else []
    rows: list[tuple[Cell, ...]] = []
    for total in sorted(timeline.session_totals, key=lambda total: (-total.max_ns, total.role or "")):
        row = [of_text(total.role or NO_ROLE), of_text(total.activity), of_ns(total.max_ns)]
        if several:
            slowest = subject.process_name(total.slowest_process)
            row += [
                of_ns(total.union_ns),
                of_ns(total.sum_ns),
                of_text(total.process_count),
                of_text(slowest),
            ]
        if is_any_open:
            row.append(of_text(still_open[total.role, total.activity] or None))
        rows.append(tuple(row))
    return Table("totals", tuple(columns), tuple(rows), len(rows))


def differences(subject: Subject, claims: Sequence[Held], anchors: Mapping[int, str]) -> Table:
    """Return who said otherwise, by how much, and why; then all other claims."""
    columns = (
        Column("source"), Column("role"), Column("stage"), Column("claimed", True), Column("measured", True),
        Column("difference", True), Column("why", is_text=True), Column("read from", is_text=True),
    )  # fmt: skip
    rows = tuple(_difference(subject, one, anchors) for one in claims[:_CLAIMS])
    differing = sum(one.differs for one in claims)
    return Table("differences", columns, rows, min(differing, 10), len(claims) - len(rows))


def agreement(claims: Sequence[Held]) -> str | None:
    """Return in a sentence how many claims agree, as `report` does."""
    if not claims:
        return None
    causes = Counter(one.reconciliation.main_cause for one in claims)
    agree = sum(causes[cause] for cause in AGREE)
    told = f"{agree} of {len(claims)} claims agree with what was measured"
    return told + (f"; {causes[UNMATCHED]} speak of nothing that was recorded" if causes[UNMATCHED] else "")


def unattributed(subject: Subject, anchors: Mapping[int, str]) -> Table:
    """Return the time that nothing inside of an interval accounts for."""
    columns = (
        Column("role"), Column("stage"), Column("component"), Column("source"), Column("process"),
        Column("seconds", True), Column("unattributed", True),
    )  # fmt: skip
    known = [(place, one) for place, one in enumerate(subject.timeline.intervals) if one.unattributed_ns]
    known.sort(key=lambda known: -(known[1].unattributed_ns or 0))
    rows = tuple(
        (
            of_text(one.role or NO_ROLE), _linked(one.stage, anchors.get(place)), of_text(one.component),
            of_text(one.source), of_text(subject.process_name(one.process)), of_ns(one.duration_ns),
            of_ns(one.unattributed_ns),
        )
        for place, one in known[:_ROWS]
    )  # fmt: skip
    return Table("unattributed", columns, rows, 8, len(known) - len(rows))


def sources(subject: Subject) -> Table:
    """Return whose clock says what."""
    columns = (
        Column("process"), Column("role"), Column("activity"), Column("source"), Column("seconds", True),
        Column("naive sum", True), Column("counted twice", True),
    )  # fmt: skip
    known = subject.timeline.source_totals
    by_size = sorted(known, key=lambda one: (one.process, one.role or "", one.activity, -one.total_ns))
    rows = tuple(
        (
            of_text(subject.process_name(one.process)), of_text(one.role or NO_ROLE), of_text(one.activity),
            of_text(one.source), of_ns(one.total_ns), of_ns(one.naive_sum_ns), of_ns(one.double_counted_ns),
        )
        for one in by_size
    )  # fmt: skip
    return Table("sources", columns, rows, 20)


def processes(subject: Subject) -> Table:
    """Return the processes, how each ended, and in which stage one was that did not end."""
    columns = (
        Column("process"), Column("pid", True), Column("rank", True), Column("host"), Column("started"),
        Column("outcome"), Column("in stage"), Column("events", True), Column("lost", True), Column("id"),
    )  # fmt: skip
    last: dict[str, Interval] = {}
    for one in subject.timeline.intervals:
        if one.outcome in ("abandoned", "open"):
            known = last.get(one.process)
            if known is None or (known.start_ns, known.start_seq) < (one.start_ns, one.start_seq):
                last[one.process] = one
    rows: list[tuple[Cell, ...]] = []
    for process in sorted(
        subject.timeline.processes, key=lambda known: (known.started_at or "", known.process)
    ):
        stage = last[process.process].stage if process.process in last else None
        is_over = process.outcome not in ("lost", "running")
        row = (
            subject.process_name(process.process), process.pid, process.rank, process.host,
            process.started_at, process.outcome, None if is_over else stage, process.event_count,
            process.lost_events or None, process.process,
        )  # fmt: skip
        rows.append(tuple(map(of_text, row)))
    return Table("processes", columns, tuple(rows), 20)


def failed(subject: Subject, anchors: Mapping[int, str]) -> Table:
    """Return what failed, the first to end first."""
    columns = (
        Column("process"), Column("role"), Column("stage"), Column("component"), Column("error"),
        Column("seconds", True),
    )  # fmt: skip
    known = [(place, one) for place, one in enumerate(subject.timeline.intervals) if one.outcome == "failed"]
    known.sort(key=lambda known: (known[1].stop_ns or 0, -known[1].depth))
    rows = tuple(
        (
            of_text(subject.process_name(one.process)), of_text(one.role or NO_ROLE),
            _linked(one.stage, anchors.get(place)), of_text(one.component), of_text(subject.error(one)),
            of_ns(one.duration_ns),
        )
        for place, one in known[:_ROWS]
    )  # fmt: skip
    return Table("failed", columns, rows, 10, len(known) - len(rows))


def unended(subject: Subject, anchors: Mapping[int, str]) -> Table:
    """Return the intervals without a stop: lower bounds, and what still goes on."""
    columns = (
        Column("process"), Column("role"), Column("stage"), Column("component"), Column("outcome"),
        Column("at least, seconds", True),
    )  # fmt: skip
    known = [
        (place, one)
        for place, one in enumerate(subject.timeline.intervals)
        if one.outcome in ("abandoned", "open")
    ]
    rows = tuple(
        (
            of_text(subject.process_name(one.process)), of_text(one.role or NO_ROLE),
            _linked(one.stage, anchors.get(place)), of_text(one.component), of_text(one.outcome),
            of_ns(one.open_ns if one.duration_ns is None else one.duration_ns),
        )
        for place, one in known[:_ROWS]
    )  # fmt: skip
    return Table("unended", columns, rows, 5, len(known) - len(rows))


def anomalies(subject: Subject) -> Table:
    """Return what is odd in the events."""
    columns = (
        Column("anomaly"), Column("process"), Column("interval", True), Column("claim", True),
        Column("seconds", True), Column("detail", is_text=True),
    )  # fmt: skip

    def row(one: Anomaly) -> tuple[Cell, ...]:
        name = subject.process_name(one.process)
        return (
            of_text(one.what), of_text(name), of_text(one.interval), of_text(one.claim), of_ns(one.ns),
            of_text(one.detail, _TEXT),
        )  # fmt: skip

    known = subject.timeline.anomalies
    rows = tuple(map(row, known[:_ROWS]))
    return Table("anomalies", columns, rows, 10, len(known) - len(rows))


def gaps(subject: Subject) -> Table:
    """Return what the recorders know that they did not see."""
    columns = (Column("not seen"), Column("process"), Column("number", True), Column("detail", is_text=True))

    def row(one: Gap) -> tuple[Cell, ...]:
        name = subject.process_name(one.process)
        return of_text(one.what), of_text(name), of_text(one.count), of_text(one.detail, _TEXT)

    known = subject.timeline.gaps
    rows = tuple(map(row, known[:_ROWS]))
    return Table("gaps", columns, rows, 10, len(known) - len(rows))


def not_hooked(subject: Subject) -> list[str]:
    """Return the hooks that some process was missing."""
    lists = (names_in(process.missing_hooks) for process in subject.timeline.processes)
    return sorted({name for names in lists for name in names})


def names_in(array: str | None) -> list[str]:
    """Return the texts of a JSON array."""
    names: list[object] = json.loads(array) if array else []
    return [str(name) for name in names]


def listed(subject: Subject, drawn: Picture, claim_intervals: Iterable[int]) -> list[Drawn]:
    """Return the drawn intervals that are in the table beside the timeline, in the timeline's order."""
    special = set(claim_intervals)

    def by_worth(one: Drawn) -> tuple[bool, bool, int, int]:
        length_ns = one.stop_ns - one.start_ns
        return one.place not in special, not is_looked_for(one.interval), -length_ns, one.place

    return sorted(
        sorted(drawn.intervals, key=by_worth)[:LISTED], key=lambda one: (one.row, one.start_ns, one.place)
    )


def intervals(subject: Subject, shown: Sequence[Drawn], anchors: Mapping[int, str]) -> Table:
    """Return the timeline as a table."""
    columns = (
        Column("process"), Column("thread"), Column("stage"), Column("role"), Column("component"),
        Column("source"), Column("begins at", True), Column("seconds", True), Column("self", True),
        Column("unattributed", True), Column("outcome"), Column("top-level"), Column("interval", True),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for drawn in shown:
        one = drawn.interval
        rows.append(
            (
                of_text(subject.process_name(one.process)), of_text(one.thread), of_text(one.stage),
                of_text(one.role or NO_ROLE), of_text(one.component), of_text(one.source),
                of_ns(drawn.start_ns), of_ns(one.open_ns if one.duration_ns is None else one.duration_ns),
                of_ns(one.self_ns), of_ns(one.unattributed_ns), of_text(one.outcome),
                of_text("yes" if one.is_top_level else None), of_text(one.interval),
            )
        )  # fmt: skip
    left_out = len(subject.timeline.intervals) - len(rows)
    names = tuple(anchors[drawn.place] for drawn in shown)
    return Table("intervals", columns, tuple(rows), 0, left_out, names)


def why(subject: Subject, causes: Sequence[Cause], anchors: Mapping[int, str]) -> Cell:
    """Return the parts of a difference, the largest first, each with the intervals that it shows in."""
    lines: list[Line] = []
    for cause in causes[:_CAUSES]:
        places = places_of(subject, cause)
        links = tuple(
            Link(f"#{subject.timeline.intervals[place].interval}", anchors.get(place, ""))
            for place in places[:_LINKS]
        )
        if len(places) > _LINKS:
            links += (Link(f"and {len(places) - _LINKS:,} more", ""),)
        of_stage = f" of {cut(cause.stage, _NAME)}" if cause.stage else ""
        lines.append(Line(f"{cause.cause}{of_stage} {signed(cause.ns)}", cause.ns, links))
    if len(causes) > _CAUSES:
        rest = causes[_CAUSES:]
        rest_ns = sum(cause.ns for cause in rest)
        lines.append(Line(f"{counted(len(rest), 'cause')} more {signed(rest_ns)}", rest_ns))
    return tuple(lines)


def _difference(subject: Subject, one: Held, anchors: Mapping[int, str]) -> tuple[Cell, ...]:
    claim, row = one.claim, one.reconciliation
    because = why(subject, one.causes, anchors) or of_text(row.main_cause)
    measured = of_ns(row.measured_ns)
    if row.measured_uncertainty_ns:
        uncertain_ns = row.measured_uncertainty_ns
        measured += (Line(f"± {seconds(uncertain_ns)}", uncertain_ns),)
    process = cut(subject.process_name(claim.process), _NAME)
    read_from = (*of_text(claim.text, _TEXT), Line(f"claim #{claim.claim} of {process}"))
    return (
        of_text(claim.source), of_text(claim.role), of_text(claim.stage), of_ns(claim.claimed_ns), measured,
        of_ns(row.difference_ns, is_difference=True), because, read_from,
    )  # fmt: skip


def _linked(text: str, target: str | None) -> Cell:
    return (Line("", links=(Link(cut(text, _NAME), target),)),) if target else of_text(text)
