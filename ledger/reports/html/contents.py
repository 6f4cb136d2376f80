"""What a page says, section by section, in the order in which somebody asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ledger.analysis.comparison import compare
from ledger.formatting import NO_ROLE, NS_PER_S, counted, cut, seconds
from ledger.reports.html import drawing, tables
from ledger.reports.html.bars import bars
from ledger.reports.html.lanes import Drawn, Picture, picture
from ledger.reports.html.roles import Roles
from ledger.reports.html.speaking import Held, held, places_spoken_of
from ledger.reports.html.subject import Subject
from ledger.reports.html.tables import Cell, Column, Table, of_ns, of_text
from ledger.vocabulary import ENGINE_READY

LETTERS: Final = "ab"
_STAGES: Final = 8
_LONGEST: Final = 400
_SHORTEST_NS: Final = 1_000_000
"""An axis has to have a length, also that of a session with one event."""
_NARROW: Final = ("totals", "by-role", "intervals")
"""Tables whose first columns say enough on a narrow screen, or that have too many rows to be lists there."""


class Chart(NamedTuple):
    """A place for a chart; `described` says what it shows to those who can't see it."""

    name: str
    kind: str
    described: str


@dataclass(slots=True)
class Part:
    """What a section has to say of one session."""

    side: str
    notes: list[str] = field(default_factory=list[str])
    charts: list[Chart] = field(default_factory=list[Chart])
    tables: list[tuple[str, Table]] = field(default_factory=list[tuple[str, Table]])


@dataclass(slots=True)
class Section:
    """A question, and the answer for each session."""

    name: str
    title: str
    lead: str
    parts: list[Part]
    shared: list[tuple[str, Table]] = field(default_factory=list[tuple[str, Table]])
    """Tables that are about both sessions."""


class Head(NamedTuple):
    """Who a session is."""

    side: str
    name: str
    session: str
    outcome: str
    command: str
    versions: str
    times: str


class Contents(NamedTuple):
    """All that a page says."""

    title: str
    heads: list[Head]
    sections: list[Section]
    legend: list[tuple[str, int]]
    """The roles, each with its colour."""
    marks: list[tuple[str, str]]
    """What else is drawn: its style, and what it says."""
    sources: list[str]
    charts: dict[str, dict[str, Any]]
    length_s: float

    @property
    def lists(self) -> dict[str, tuple[Column, ...]]:
        """The tables that are lists on a narrow screen, by name, with their columns."""
        known = [table for section in self.sections for _, table in section.shared]
        known += [table for section in self.sections for part in section.parts for _, table in part.tables]
        return {table.name: table.columns for table in known if table.name not in _NARROW}


class _Side(NamedTuple):
    letter: str
    subject: Subject
    claims: tuple[Held, ...]
    drawn: Picture
    anchors: dict[int, str]
    listed: list[Drawn]


def contents(subjects: Sequence[Subject]) -> Contents:
    """Return what the page of one session, or of two side by side, says."""
    roles = Roles(subjects)
    length_ns = max(_SHORTEST_NS, *(subject.length_ns for subject in subjects))
    sides = [_side(letter, subject) for letter, subject in zip(LETTERS, subjects, strict=False)]
    known_bars = [bars(side.subject, side.claims) for side in sides]
    longest_ns = max((bar.ns or 0 for of_side in known_bars for bar in of_side), default=0)
    specifications: dict[str, dict[str, Any]] = {}
    for side, of_side in zip(sides, known_bars, strict=True):
        if of_side:
            specifications[f"{side.letter}-bars"] = drawing.bars(of_side, roles, longest_ns)
        if side.drawn.lanes:
            specifications[f"{side.letter}-timeline"] = drawing.timeline(
                side.subject, side.drawn, roles, length_ns
            )
    sections = [
        _totals(sides, specifications), _differences(sides), _unattributed(sides),
        _timeline(sides, specifications), _sources(sides), _processes(sides), _failed(sides), _odd(sides),
    ]  # fmt: skip
    seen = {one.source for subject in subjects for one in subject.timeline.intervals}
    return Contents(
        " against ".join(subject.name for subject in subjects),
        [_head(side) for side in sides],
        sections,
        roles.listed(),
        _marks(sides),
        sorted(seen),
        specifications,
        length_ns / NS_PER_S,
    )


def _side(letter: str, subject: Subject) -> _Side:
    claims = held(subject)
    drawn = picture(subject, claims)
    shown = tables.listed(subject, drawn, places_spoken_of(subject, claims))
    return _Side(letter, subject, claims, drawn, {one.place: f"{letter}-{one.place}" for one in shown}, shown)


def _head(side: _Side) -> Head:
    session = side.subject.timeline.session
    if session is None:
        return Head(side.letter, side.subject.name, "", "no events", "", "", "")
    versions = (
        ("python", session.python_version), ("torch", session.torch_version), ("vllm", session.vllm_version)
    )  # fmt: skip
    known = cut(", ".join(f"{name} {version}" for name, version in versions if version), _LONGEST)
    ready = [one.at_ns for one in side.drawn.milestones if one.milestone.name == ENGINE_READY]
    times = [f"{ENGINE_READY} after {seconds(ready[0])} s"] if ready else []
    times.append(f"{seconds(side.subject.length_ns)} s from the first event to the last")
    return Head(
        side.letter, side.subject.name, cut(session.session, _LONGEST), session.outcome,
        cut(" ".join(tables.names_in(session.command)) or "unknown command", _LONGEST),
        f"started {session.started_at or 'at an unknown time'}, {known or 'versions unknown'}",
        "; ".join(times),
    )  # fmt: skip


def _totals(sides: Sequence[_Side], specifications: dict[str, dict[str, Any]]) -> Section:
    parts: list[Part] = []
    for side in sides:
        table = tables.totals(side.subject)
        part = Part(side.letter, tables=[("Time by role", table)])
        if not table.rows:
            part = Part(side.letter, notes=["No interval was recorded."])
        if f"{side.letter}-bars" in specifications:
            described = f"Bars of the numbers in the tables, of {side.subject.name}"
            part.charts.append(Chart(f"{side.letter}-bars", "bars", described))
        parts.append(part)
    lead = (
        "What passed on the clock for each role, by its top-level intervals, in the slowest process. Roles "
        "can overlap in time, and are never added up. Below each stands what a source or a claim makes of "
        "it; the dashed mark is what was measured."
    )
    section = Section("totals", "What took the time", lead, parts)
    if len(sides) == 2:
        section.shared = _compared(*(side.subject for side in sides))
    return section


def _compared(a: Subject, b: Subject) -> list[tuple[str, Table]]:
    comparison = compare([a.timeline], [b.timeline])
    ending = (Column("A", True), Column("B", True), Column("B less A", True), Column("in B"))
    roles: list[tuple[Cell, ...]] = []
    for role, activity, difference in comparison.roles:
        of_a, of_b = difference.a, difference.b
        roles.append(
            (
                of_text(role or NO_ROLE), of_text(activity), of_ns(of_a.median_ns if of_a.seen else None),
                of_ns(of_b.median_ns if of_b.seen else None), of_ns(difference.ns, is_difference=True),
                of_text(difference.verdict),
            )
        )  # fmt: skip
    stages: list[tuple[Cell, ...]] = []
    for role, activity, component, stage, difference in comparison.stages:
        of_a, of_b = difference.a, difference.b
        stages.append(
            (
                of_text(role or NO_ROLE), of_text(activity), of_text(component), of_text(stage),
                of_ns(of_a.median_ns if of_a.seen else None), of_ns(of_b.median_ns if of_b.seen else None),
                of_ns(difference.ns, is_difference=True), of_text(difference.verdict),
            )
        )  # fmt: skip
    by_role = Table("by-role", (Column("role"), Column("activity"), *ending), tuple(roles), len(roles))
    columns = (Column("role"), Column("activity"), Column("component"), Column("stage"), *ending)
    by_stage = Table("by-stage", columns, tuple(stages), _STAGES)
    return [("A against B, by role", by_role), ("The same by stage, the largest difference first", by_stage)]


def _differences(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        told = tables.agreement(side.claims)
        part = Part(side.letter, notes=[told or "Nobody claimed anything."])
        if side.claims:
            table = tables.differences(side.subject, side.claims, side.anchors)
            part.tables.append(("Claims, those that differ most first", table))
        parts.append(part)
    lead = (
        "What was claimed less what was measured, taken apart into causes that add up to it. The numbers "
        "after a # are the ids of the intervals, or of the claim."
    )
    return Section("differences", "Who said otherwise, by how much, and why", lead, parts)


def _unattributed(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        table = tables.unattributed(side.subject, side.anchors)
        named = [("What nobody accounts for", table)]
        parts.append(Part(side.letter, tables=named) if table.rows else Part(side.letter, notes=["None."]))
    lead = "Time of an interval in which nothing that it encloses was going on."
    return Section("unattributed", "What nobody accounts for", lead, parts)


def _timeline(sides: Sequence[_Side], specifications: dict[str, dict[str, Any]]) -> Section:
    parts: list[Part] = []
    for side in sides:
        subject, drawn = side.subject, side.drawn
        part = Part(side.letter)
        if f"{side.letter}-timeline" in specifications:
            described = (
                f"Timeline of {subject.name}: {counted(len(subject.timeline.intervals), 'interval')} in "
                f"{counted(len(drawn.lanes), 'lane')}; the table below says the same"
            )
            part.charts.append(Chart(f"{side.letter}-timeline", "timeline", described))
            table = tables.intervals(subject, side.listed, side.anchors)
            part.tables.append(("The timeline as a table", table))
        else:
            part.notes.append("There is nothing to draw.")
        if drawn.hidden:
            part.notes.append(_thinned(drawn))
        if len(drawn.claims) < len(side.claims):
            part.notes.append(
                f"Marked are {len(drawn.claims):,} of {len(side.claims):,} claims, those that differ most."
            )
        parts.append(part)
    lead = "Each process and thread has a lane; what an interval encloses stands below it."
    return Section("timeline", "Timeline", lead, parts)


def _thinned(drawn: Picture) -> str:
    drawn_one_by_one, hidden = len(drawn.intervals), drawn.hidden
    return (
        f"Drawn one by one: {drawn_one_by_one:,} of {drawn_one_by_one + hidden:,} intervals. The other "
        f"{hidden:,}, none longer than {seconds(drawn.longest_hidden_ns)} s, are in "
        f"{counted(len(drawn.blocks), 'dotted block')} with their number and the time that passed."
    )


def _marks(sides: Sequence[_Side]) -> list[tuple[str, str]]:
    """Return the legend of what is drawn, beside the roles: of what there is."""
    outcomes = {one.interval.outcome for side in sides for one in side.drawn.intervals}
    claims = {said.held.differs for side in sides for said in side.drawn.claims}
    known = (
        (bool(outcomes), "top", "top-level: counts in a total"),
        (bool(outcomes & {"abandoned", "open"}), "unended", "abandoned or open: at least so long"),
        ("failed" in outcomes, "failed", "failed"),
        (any(side.drawn.blocks for side in sides), "block", "many, not drawn one by one"),
        (False in claims, "claim agrees", "claim, as long as it claims, that agrees"),
        (True in claims, "claim differs", "claim that differs"),
        (any(side.drawn.milestones for side in sides), "milestone", "milestone"),
    )
    return [(style, said) for is_drawn, style, said in known if is_drawn]


def _sources(sides: Sequence[_Side]) -> Section:
    parts = [
        Part(side.letter, tables=[("Whose clock says what", tables.sources(side.subject))])
        if side.subject.timeline.source_totals
        else Part(side.letter, notes=["None."])
        for side in sides
    ]
    lead = "One source's intervals alone: their time on the clock, and what adding all of them up would give."
    return Section("sources", "Whose clock says what", lead, parts)


def _processes(sides: Sequence[_Side]) -> Section:
    parts = [Part(side.letter, tables=[("Processes", tables.processes(side.subject))]) for side in sides]
    return Section("processes", "Processes", "In the order in which they began.", parts)


def _failed(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        table = tables.failed(side.subject, side.anchors)
        found = Part(side.letter, tables=[("What failed", table)])
        parts.append(found if table.rows else Part(side.letter, notes=["Nothing failed."]))
    lead = "Stages that an exception left, the first to end first. Control flow by exception is no failure."
    return Section("failed", "What failed", lead, parts)


def _odd(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        subject = side.subject
        known = (
            ("Anomalies", tables.anomalies(subject)), ("Gaps", tables.gaps(subject)),
            ("Without an end", tables.unended(subject, side.anchors)),
        )  # fmt: skip
        part = Part(side.letter, tables=[(title, table) for title, table in known if table.rows])
        part.notes += [cut(f"Not hooked: {name}", _LONGEST) for name in tables.not_hooked(subject)]
        clocks = subject.on_clock
        if clocks.unplaced:
            names = ", ".join(map(subject.process_name, clocks.unplaced))
            told = f"Nobody knows when these were beside the others; they begin with them: {names}"
            part.notes.append(cut(told, _LONGEST))
        if clocks.domains - len(clocks.unplaced) > 1:
            part.notes.append(
                f"There are {clocks.domains} clocks: laid beside each other as well as the wall clocks of "
                "their hosts agree."
            )
        part.notes += [cut(note, _LONGEST) for note in subject.notes]
        if not (part.tables or part.notes):
            part.notes.append("Nothing.")
        parts.append(part)
    lead = "What should not be so in the events, what was not seen, and what has no end."
    return Section("odd", "Anomalies, gaps, clocks", lead, parts)
