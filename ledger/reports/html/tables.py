"""The tables of a page: the rows of a report, with the exact nanoseconds beside what is shown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.durations import seconds, signed
from ledger.formatting import NO_ROLE, counted, cut
from ledger.reports.cause_text import cause_text, main_cause_text
from ledger.reports.html.lanes import Drawn, Picture
from ledger.reports.html.linked_claims import is_torchs_sum, keys_of_cause
from ledger.reports.html.subject import Subject
from ledger.reports.html.thinning import is_looked_for
from ledger.reports.model import (
    AnomalyRow,
    ClaimSection,
    GapRow,
    IntervalRow,
    ProcessRow,
    ReconciledClaim,
    Section,
    SourceRow,
    StartupSection,
    TotalRow,
)
from ledger.reports.sections import Key
from ledger.storage.excerpts import FEW_OF_A_CAUSE
from ledger.timeline.records import Cause, Interval

_NAME: Final = 200
_TEXT: Final = 600
"""Characters of a text that are shown: whole lines of logs, but not ten thousand."""
_CAUSES: Final = 4
_LINKS: Final = 4
_ALL_CLAIMS: Final = "All claims, those that disagree first"
_SUMS: Final = "Sums of torch's own, which count what encloses each other several times"
_CLAIMS: Final = 500
_CLAIMS_OPEN: Final = 10
_ROWS: Final = 300
_OF_PROCESSES: Final = 2_000
"""Rows about processes: some sessions have twenty thousand of these."""
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
Anchors = Mapping[Key, str]
"""By interval: what a link to its row in the table beside the timeline is called."""


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


def totals(section: Section[TotalRow]) -> Table:
    """Return what took the time, per role and activity: three numbers over processes, never one."""
    has_several = any(row.total.process_count > 1 for row in section.rows)
    has_open = any(row.open_count for row in section.rows)
    columns = [Column("role"), Column("activity"), Column("seconds", True)]
    if has_several:
        columns += [Column("union", True), Column("sum", True), Column("processes", True), Column("slowest")]
    columns += [Column("still open", True)] if has_open else []
    rows: list[tuple[Cell, ...]] = []
    for total, slowest, open_count in section.rows:
        row = [of_text(total.role or NO_ROLE), of_text(total.activity), of_ns(total.max_ns)]
        if has_several:
            row += [
                of_ns(total.union_ns),
                of_ns(total.sum_ns),
                of_text(total.process_count),
                of_text(slowest),
            ]
        if has_open:
            row.append(of_text(open_count or None))
        rows.append(tuple(row))
    return Table("totals", tuple(columns), tuple(rows), len(rows))


def startup(section: StartupSection) -> Table:
    """Return where the time from the command to ready went, by process and stage."""
    columns = (
        Column("window", True), Column("process"), Column("stage"), Column("seconds", True),
        Column("share", True),
    )  # fmt: skip
    rows = tuple(
        (
            of_text(row.window.window), of_text(row.process or "(no process)"), of_text(row.stage_name),
            of_ns(row.duration_ns), of_text(f"{row.share:.1%}"),
        )
        for row in section.rows[:_OF_PROCESSES]
    )  # fmt: skip
    return Table("startup", columns, rows, 0, len(section.rows) - len(rows))


def claims(subject: Subject, section: ClaimSection, anchors: Anchors) -> list[tuple[str, Table]]:
    """Return reported and measured times: first those that disagree, and why; then all others.

    torch's own sums are a table of their own, which is folded.
    """
    columns = (
        Column("source"), Column("role"), Column("stage"), Column("claimed", True), Column("measured", True),
        Column("difference", True), Column("why", is_text=True), Column("read from", is_text=True),
    )  # fmt: skip
    sums = [row for row in section.rows if is_torchs_sum(row.claim)]
    others = [row for row in section.rows if not is_torchs_sum(row.claim)]
    open_rows = min(sum(row.differs for row in others), _CLAIMS_OPEN)
    found: list[tuple[str, Table]] = []
    for title, of_kind, number in ((_ALL_CLAIMS, others, open_rows), (_SUMS, sums, 0)):
        if of_kind:
            rows = tuple(_claim(subject, row, anchors) for row in of_kind[:_CLAIMS])
            table = Table("differences", columns, rows, number, len(of_kind) - len(rows))
            found.append((title, table))
    return found


def unattributed(subject: Subject, section: Section[IntervalRow], anchors: Anchors) -> Table:
    """Return the time of intervals in which nothing that they enclose was going on."""
    columns = (
        Column("role"), Column("stage"), Column("component"), Column("source"), Column("process"),
        Column("seconds", True), Column("unattributed", True),
    )  # fmt: skip
    rows = tuple(
        (
            of_text(one.role or NO_ROLE), _linked(subject, one, anchors), of_text(one.component),
            of_text(one.source),
            of_text(process), of_ns(one.duration_ns), of_ns(one.unattributed_ns),
        )
        for process, one in section.rows[:_ROWS]
    )  # fmt: skip
    return Table("unattributed", columns, rows, 8, section.number - len(rows))


def sources(section: Section[SourceRow]) -> Table:
    """Return the totals of each source's intervals alone."""
    columns = (
        Column("process"), Column("role"), Column("activity"), Column("source"), Column("seconds", True),
        Column("naive sum", True), Column("counted more than once", True),
    )  # fmt: skip
    rows = tuple(
        (
            of_text(process), of_text(total.role or NO_ROLE), of_text(total.activity), of_text(total.source),
            of_ns(total.total_ns), of_ns(total.naive_sum_ns), of_ns(total.double_counted_ns),
        )
        for process, total in section.rows[:_OF_PROCESSES]
    )  # fmt: skip
    return Table("sources", columns, rows, 20, len(section.rows) - len(rows))


def processes(section: Section[ProcessRow]) -> Table:
    """Return the processes, how each ended, and the last stage of one that did not leave."""
    columns = (
        Column("process"), Column("pid", True), Column("rank", True), Column("host"), Column("started"),
        Column("outcome"), Column("in stage"), Column("events", True), Column("lost", True), Column("id"),
    )  # fmt: skip
    rows = tuple(
        tuple(
            of_text(value)
            for value in (
                name, process.pid, process.rank, process.host, process.started_at, process.outcome, in_stage,
                process.event_count, process.lost_events or None, process.process,
            )
        )
        for name, process, in_stage in section.rows[:_OF_PROCESSES]
    )  # fmt: skip
    return Table("processes", columns, rows, 20, len(section.rows) - len(rows))


def failed(subject: Subject, section: Section[IntervalRow], anchors: Anchors) -> Table:
    """Return the stages that failed or that a lost process was in, the first to end first."""
    columns = (
        Column("process"), Column("role"), Column("stage"), Column("component"), Column("error"),
        Column("seconds", True),
    )  # fmt: skip
    rows = tuple(
        (
            of_text(row.process), of_text(row.interval.role or NO_ROLE),
            _linked(subject, row.interval, anchors), of_text(row.interval.component),
            of_text(": ".join(filter(None, (row.failure, row.circumstances, row.last_line)))),
            of_ns(row.interval.duration_ns),
        )
        for row in section.rows[:_ROWS]
    )  # fmt: skip
    return Table("failed", columns, rows, 10, len(section.rows) - len(rows))


def unended(subject: Subject, section: Section[IntervalRow], anchors: Anchors) -> Table:
    """Return the intervals without a stop: lower bounds, and those that are still open."""
    columns = (
        Column("process"), Column("role"), Column("stage"), Column("component"), Column("outcome"),
        Column("at least, seconds", True),
    )  # fmt: skip
    rows = tuple(
        (
            of_text(row.process), of_text(row.interval.role or NO_ROLE),
            _linked(subject, row.interval, anchors), of_text(row.interval.component),
            of_text(row.interval.outcome), of_ns(row.at_least_ns),
        )
        for row in section.rows[:_ROWS]
    )  # fmt: skip
    return Table("unended", columns, rows, 5, len(section.rows) - len(rows))


def anomalies(section: Section[AnomalyRow]) -> Table:
    """Return the contradictions in the events."""
    columns = (
        Column("anomaly"), Column("process"), Column("interval", True), Column("claim", True),
        Column("seconds", True), Column("detail", is_text=True),
    )  # fmt: skip
    rows = tuple(
        (
            of_text(one.what), of_text(process), of_text(one.interval), of_text(one.claim), of_ns(one.ns),
            of_text(one.detail, _TEXT),
        )
        for process, one in section.rows[:_ROWS]
    )  # fmt: skip
    return Table("anomalies", columns, rows, 10, len(section.rows) - len(rows))


def gaps(section: Section[GapRow]) -> Table:
    """Return what the recorders know that they did not see."""
    columns = (Column("not seen"), Column("process"), Column("number", True), Column("detail", is_text=True))
    rows = tuple(
        (of_text(gap.what), of_text(process), of_text(gap.count), of_text(gap.detail, _TEXT))
        for process, gap in section.rows[:_ROWS]
    )
    return Table("gaps", columns, rows, 10, len(section.rows) - len(rows))


def listed(subject: Subject, drawn: Picture, claim_intervals: Iterable[int]) -> list[Drawn]:
    """Return the drawn intervals that are in the table beside the timeline, in the timeline's order."""
    special = set(claim_intervals)

    def by_worth(one: Drawn) -> tuple[bool, bool, int, int]:
        length_ns = one.stop_ns - one.start_ns
        return one.place not in special, not is_looked_for(one.interval), -length_ns, one.place

    return sorted(
        sorted(drawn.intervals, key=by_worth)[:LISTED], key=lambda one: (one.row, one.start_ns, one.place)
    )


def intervals(subject: Subject, shown: Sequence[Drawn], anchors: Anchors) -> Table:
    """Return the timeline as a table."""
    columns = (
        Column("process"), Column("thread"), Column("stage"), Column("compiles"), Column("role"),
        Column("component"), Column("source"), Column("begins at", True), Column("seconds", True),
        Column("self", True), Column("unattributed", True), Column("outcome"),
        Column("top-level"), Column("interval", True),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for drawn in shown:
        one = drawn.interval
        rows.append(
            (
                of_text(subject.process_name(one.process)), of_text(one.thread), of_text(one.stage),
                of_text(subject.interval_name.about(one)), of_text(one.role or NO_ROLE),
                of_text(one.component), of_text(one.source),
                of_ns(drawn.start_ns), of_ns(one.open_ns if one.duration_ns is None else one.duration_ns),
                of_ns(one.self_ns), of_ns(one.unattributed_ns), of_text(one.outcome),
                of_text("yes" if one.is_top_level else None), of_text(one.interval),
            )
        )  # fmt: skip
    left_out = subject.interval_count - len(rows)
    names = tuple(anchors[drawn.interval.process, drawn.interval.interval] for drawn in shown)
    return Table("intervals", columns, tuple(rows), 0, left_out, names)


def why(subject: Subject, causes: Sequence[Cause], anchors: Anchors) -> Cell:
    """Return the parts of a difference, the largest first, each with the intervals that it shows in."""
    lines: list[Line] = []
    for cause in causes[:_CAUSES]:
        keys = keys_of_cause(subject, cause)
        links = tuple(Link(f"#{key[1]}", anchors.get(key, "")) for key in keys[:_LINKS])
        if len(keys) > _LINKS:
            is_cut = subject.left_out is not None and len(cause.intervals) == FEW_OF_A_CAUSE
            links += (Link(f"and {len(keys) - _LINKS:,}{' or more' if is_cut else ' more'}", ""),)
        lines.append(Line(cause_text(cause), cause.ns, links))
    if len(causes) > _CAUSES:
        rest = causes[_CAUSES:]
        rest_ns = sum(cause.ns for cause in rest)
        lines.append(Line(f"{counted(len(rest), 'more cause')}: {signed(rest_ns)} s", rest_ns))
    return tuple(lines)


def _claim(subject: Subject, row: ReconciledClaim, anchors: Anchors) -> tuple[Cell, ...]:
    claim, reconciliation = row.claim, row.reconciliation
    causes = why(subject, row.causes, anchors) or of_text(main_cause_text(reconciliation.main_cause))
    measured = of_ns(reconciliation.measured_ns)
    if uncertainty_ns := reconciliation.measured_uncertainty_ns:
        measured += (Line(f"± {seconds(uncertainty_ns)}", uncertainty_ns),)
    claim_id = Line(f"claim #{claim.claim} of {cut(row.process, _NAME)}")
    return (
        of_text(claim.source), of_text(claim.role), of_text(claim.stage), of_ns(claim.claimed_ns), measured,
        of_ns(reconciliation.difference_ns, is_difference=True), causes,
        (*of_text(claim.text, _TEXT), claim_id),
    )  # fmt: skip


def _linked(subject: Subject, interval: Interval, anchors: Anchors) -> Cell:
    """Return an interval's stage, and what it compiles: a link where it is in the table of the timeline."""
    text = " ".join(filter(None, (interval.stage, subject.interval_name.about(interval))))
    target = anchors.get((interval.process, interval.interval))
    return (Line("", links=(Link(cut(text, _NAME), target),)),) if target else of_text(text)
