"""What a page says, section by section, in the order in which somebody asks."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ledger.analysis.comparison import compare
from ledger.durations import NS_PER_S, seconds
from ledger.formatting import NO_ROLE, counted, cut
from ledger.reports import model
from ledger.reports.html import drawing, tables
from ledger.reports.html.bars import bars
from ledger.reports.html.breakdown import breakdown_bars
from ledger.reports.html.compiled import compilations
from ledger.reports.html.families import TITLES, family_of
from ledger.reports.html.found import found_rows
from ledger.reports.html.lanes import Drawn, Picture, picture
from ledger.reports.html.left_out import LeftOut
from ledger.reports.html.linked_claims import LinkedClaim, linked_claims, places_of_claims
from ledger.reports.html.roles import Roles
from ledger.reports.html.structure import Chart, Contents, Head, Part, Section
from ledger.reports.html.subject import DRAWN_PROCESSES, Subject
from ledger.reports.html.tables import Anchors, Cell, Column, Table, of_ns, of_text
from ledger.reports.html.waterfall import waterfall

LETTERS: Final = "ab"
_STAGES: Final = 8
_LONGEST: Final = 400
_SHORTEST_NS: Final = 1_000_000
"""An axis has to have a length, also that of a session with one event."""


class _Side(NamedTuple):
    letter: str
    subject: Subject
    claims: tuple[LinkedClaim, ...]
    drawn: Picture
    anchors: Anchors
    listed: list[Drawn]


def contents(subjects: Sequence[Subject]) -> Contents:
    """Return what the page of one session, or of two side by side, says."""
    roles = Roles(subjects)
    length_ns = max(_SHORTEST_NS, *(subject.length_ns for subject in subjects))
    sides = [_side(letter, subject) for letter, subject in zip(LETTERS, subjects, strict=False)]
    all_bars = [bars(side.subject, side.claims) for side in sides]
    longest_ns = max((bar.ns or 0 for of_side in all_bars for bar in of_side), default=0)
    specifications: dict[str, dict[str, Any]] = {}
    for side, of_side in zip(sides, all_bars, strict=True):
        if of_side:
            specifications[f"{side.letter}-bars"] = drawing.bars(of_side, roles, longest_ns)
        if side.drawn.lanes:
            specifications[f"{side.letter}-timeline"] = drawing.timeline(
                side.subject, side.drawn, roles, length_ns
            )
    sections = [
        _startup(sides), _findings(sides), _compilations(sides), _totals(sides, specifications),
        _claims(sides), _unattributed(sides),
        _timeline(sides, specifications), _sources(sides), _processes(sides), _failed(sides),
        _anomalies(sides),
    ]  # fmt: skip
    used = {family_of(one.stage, one.activity) for subject in subjects for one in subject.timeline.intervals}
    seen = {one.source for subject in subjects for one in subject.timeline.intervals}
    return Contents(
        " against ".join(subject.name for subject in subjects),
        [_head(side) for side in sides],
        sections,
        roles.listed(),
        _marks(sides),
        sorted(seen),
        specifications,
        {side.letter: waterfall(side.subject) for side in sides},
        length_ns / NS_PER_S,
        [family for family in TITLES if family in used],
        TITLES,
        max((one.duration_ns for subject in subjects for one in subject.timeline.startup_windows), default=0),
    )


def _side(letter: str, subject: Subject) -> _Side:
    claims = linked_claims(subject)
    drawn = picture(subject, claims)
    shown = tables.listed(subject, drawn, places_of_claims(subject, claims))
    anchors = {(one.interval.process, one.interval.interval): f"{letter}-{one.place}" for one in shown}
    return _Side(letter, subject, claims, drawn, anchors, shown)


def _head(side: _Side) -> Head:
    subject = side.subject
    heading = subject.report.heading
    versions = cut(", ".join(f"{name} {version}" for name, version in heading.versions), _LONGEST)
    result = cut(subject.report.result, _LONGEST)
    counts = (
        counted(len(subject.timeline.processes), "process", "processes"),
        counted(subject.interval_count, "interval"),
    )
    return Head(
        side.letter, subject.name, cut(heading.session, _LONGEST), heading.outcome,
        cut(heading.command or "unknown command", _LONGEST),
        f"started {heading.started_at or 'at an unknown time'}, {versions or 'versions unknown'}, "
        f"{' and '.join(counts)}",
        f"{result[:1].upper()}{result[1:]}; {seconds(subject.length_ns)} s from the first event to the last",
    )  # fmt: skip


def _startup(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        section = side.subject.report.startup
        part = Part(side.letter, bars=breakdown_bars(side.subject), has_waterfall=True)
        if (left_out := side.subject.left_out) is not None:
            part.notes.append(_left_out(side.subject, left_out))
        if (number := len(side.subject.lives.processes)) > DRAWN_PROCESSES:
            part.notes.append(
                f"Of {number:,} processes the {DRAWN_PROCESSES:,} that lived longest are drawn, here and in "
                "the timeline."
            )
        if section.rows:
            part.tables.append(("By process and stage", tables.startup(section)))
        parts.append(part)
    lead = "Each moment counts once: in the innermost stage of the process that was farthest down the tree."
    return Section("startup", sides[0].subject.report.startup.title, lead, parts)


def _left_out(subject: Subject, left_out: LeftOut) -> str:
    return (
        f"Of {subject.interval_count:,} intervals, {len(subject.timeline.intervals):,} are on this page one "
        f"by one. The other {left_out.number:,}, none longer than {seconds(left_out.longest_ns)} s, are "
        "drawn together, in the last row of each process that is opened."
    )


def _findings(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        part = Part(side.letter, findings=found_rows(side.subject))
        if not part.findings:
            part.notes.append("Nothing was found that would save a noticeable part of the time.")
        parts.append(part)
    lead = (
        "What can be acted upon, what is worth most first. Findings overlap: their seconds are at most what "
        "would be gone, and do not add up."
    )
    return Section("findings", "Findings", lead, parts)


def _compilations(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        part, table = Part(side.letter), compilations(side.subject)
        if table.rows:
            part.tables.append(("Compilations", table))
        else:
            part.notes.append("torch compiled nothing, or nothing of it was recorded.")
        parts.append(part)
    return Section("compilations", "Compilations", "Each thing that torch compiled, or loaded.", parts)


def _totals(sides: Sequence[_Side], specifications: dict[str, dict[str, Any]]) -> Section:
    parts: list[Part] = []
    for side in sides:
        section = side.subject.report.totals
        part = _part(side, section, tables.totals(section))
        if f"{side.letter}-bars" in specifications:
            described = f"Bars of the numbers in the tables, of {side.subject.name}"
            part.charts.append(Chart(f"{side.letter}-bars", "bars", described))
        parts.append(part)
    lead = (
        "What passed on the clock for each role, by its top-level intervals, in the slowest process. Roles "
        "can overlap in time, and are never added up. Below each is what a source or a claim says "
        "of it; the dashed mark is the measurement."
    )
    shared = _compared(*(side.subject for side in sides)) if len(sides) == len(LETTERS) else []
    return Section("totals", "What took the time", lead, parts, shared)


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
    title = "The same by stage, the largest difference first"
    if a.left_out or b.left_out:
        title += ", of the intervals that are on this page"
    return [("A against B, by role", by_role), (title, by_stage)]


def _claims(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        section = side.subject.report.claims
        part = Part(side.letter, notes=[section.summary])
        part.tables += tables.claims(side.subject, section, side.anchors)
        parts.append(part)
    lead = (
        "What was claimed minus what was measured, split into causes that add up to it. The numbers "
        "after a # are the ids of the intervals, or of the claim."
    )
    return Section("differences", sides[0].subject.report.claims.title, lead, parts)


def _unattributed(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        section = side.subject.report.unattributed
        parts.append(_part(side, section, tables.unattributed(side.subject, section, side.anchors)))
    lead = "Time of an interval in which nothing that it encloses was going on."
    return Section("unattributed", sides[0].subject.report.unattributed.title, lead, parts)


def _timeline(sides: Sequence[_Side], specifications: dict[str, dict[str, Any]]) -> Section:
    parts: list[Part] = []
    for side in sides:
        subject, drawn = side.subject, side.drawn
        part = Part(side.letter)
        if f"{side.letter}-timeline" in specifications:
            described = (
                f"Timeline of {subject.name}: {counted(subject.interval_count, 'interval')} in "
                f"{counted(len(drawn.lanes), 'lane')}; the table below says the same"
            )
            part.charts.append(Chart(f"{side.letter}-timeline", "timeline", described))
            table = tables.intervals(subject, side.listed, side.anchors)
            part.tables.append(("The timeline as a table", table))
        else:
            part.notes.append("There is nothing to draw.")
        if drawn.hidden:
            part.notes.append(_thinned(drawn))
        if subject.left_out:
            part.notes.append(_left_out_below(subject.left_out))
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


def _left_out_below(left_out: LeftOut) -> str:
    return (
        f"Not in here are {left_out.number:,} intervals, none longer than {seconds(left_out.longest_ns)} s."
    )


def _marks(sides: Sequence[_Side]) -> list[tuple[str, str]]:
    """Return the legend of what is drawn, beside the roles: of what there is."""
    outcomes = {one.interval.outcome for side in sides for one in side.drawn.intervals}
    claims = {mark.reconciled.differs for side in sides for mark in side.drawn.claims}
    marks = (
        (bool(outcomes), "top", "top-level: counts in a total"),
        (bool(outcomes & {"abandoned", "open"}), "unended", "abandoned or open: at least so long"),
        ("failed" in outcomes, "failed", "failed"),
        (any(side.drawn.blocks for side in sides), "block", "many, not drawn one by one"),
        (False in claims, "claim agrees", "claim, as long as it claims, that agrees"),
        (True in claims, "claim differs", "claim that differs"),
        (any(side.drawn.milestones for side in sides), "milestone", "milestone"),
    )
    return [(style, text) for is_drawn, style, text in marks if is_drawn]


def _sources(sides: Sequence[_Side]) -> Section:
    sections = [side.subject.report.sources for side in sides]
    parts = [
        _part(side, section, tables.sources(section)) for side, section in zip(sides, sections, strict=True)
    ]
    lead = "One source's intervals alone: their time on the clock, and what adding all of them up would give."
    return Section("sources", sections[0].title, lead, parts)


def _processes(sides: Sequence[_Side]) -> Section:
    sections = [side.subject.report.processes for side in sides]
    parts = [
        _part(side, section, tables.processes(section)) for side, section in zip(sides, sections, strict=True)
    ]
    return Section("processes", sections[0].title, "In the order in which they began.", parts)


def _failed(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        section = side.subject.report.failed
        parts.append(_part(side, section, tables.failed(side.subject, section, side.anchors)))
    lead = (
        "Stages that an exception left, and the last one of each process that was lost, in the order in "
        "which they ended. Control flow by exception is no failure."
    )
    return Section("failed", sides[0].subject.report.failed.title, lead, parts)


def _anomalies(sides: Sequence[_Side]) -> Section:
    parts: list[Part] = []
    for side in sides:
        subject, report = side.subject, side.subject.report
        shown = (
            (report.anomalies.title, tables.anomalies(report.anomalies)),
            (report.gaps.title, tables.gaps(report.gaps)),
            (report.unended.title, tables.unended(subject, report.unended, side.anchors)),
        )
        notes = [*report.missing_hooks, *report.clock_notes, *report.ledger_notes]
        notes += [subject.warning] if subject.warning else []
        part = Part(
            side.letter, [cut(note, _LONGEST) for note in notes],
            tables=[(title, table) for title, table in shown if table.rows],
        )  # fmt: skip
        if not (part.tables or part.notes):
            part.notes.append("None.")
        parts.append(part)
    lead = "Contradictions in the events, what was not seen, and what has no end."
    return Section("odd", "Anomalies, gaps, clocks", lead, parts)


def _part(side: _Side, section: model.Section[Any], table: Table) -> Part:
    """Return a section's table, or what to say where there is nothing in it."""
    if not section.rows:
        return Part(side.letter, notes=[section.if_empty])
    return Part(side.letter, tables=[(section.title, table)])
