"""Turns a picture and bars into the rows that the charts draw: seconds, names cut to fit, and tooltips."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger.durations import NS_PER_S, seconds, signed
from ledger.formatting import NO_ROLE, counted, cut
from ledger.reports.cause_text import cause_text, main_cause_text
from ledger.reports.html import charts
from ledger.reports.html.bars import Bar
from ledger.reports.html.charts import Row
from ledger.reports.html.lanes import ClaimMark, Drawn, DrawnBlock, Lane, Picture, Reached
from ledger.reports.html.roles import Roles
from ledger.reports.html.subject import Subject

_NAME: Final = 100
_DATA: Final = 300
_CAUSES: Final = 4
_TOP, _BOTTOM = 0.06, 0.8
"""Of a row, where an interval begins and ends; below it is room for a claim."""
_CLAIM_TOP, _CLAIM_BOTTOM = 0.82, 0.98
_LABEL, _BAR_TOP, _BAR_BOTTOM = 0.3, 0.52, 0.88
_MARK_ABOVE = 0.08
"""Of a bar's row: its label, the bar, and how far the mark of what was measured stands out."""
_FILL: Final = {"clock": 1.0, "source": 0.45, "claim": 0.08}
_BEFORE: Final = {"abandoned": "≥ ", "open": "… "}


def timeline(subject: Subject, drawn: Picture, roles: Roles, length_ns: int) -> dict[str, Any]:
    """Return the specification of a session's timeline, as long as the longest on the page."""
    tables: dict[str, list[Row]] = {
        "lanes": [_lane(lane) for lane in drawn.lanes],
        "intervals": [_interval(subject, one, roles) for one in drawn.intervals],
        "blocks": [_block(subject, one) for one in drawn.blocks],
        "claims": [_claim(one) for one in reversed(drawn.claims)],
        "milestones": [_milestone(one) for one in drawn.milestones],
    }
    return charts.timeline(tables, _s(length_ns), max(drawn.rows, 1))


def bars(shown: Sequence[Bar], roles: Roles, length_ns: int) -> dict[str, Any]:
    """Return the specification of a session's bars, as long as the longest on the page."""
    return charts.bars([_bar(number, bar, roles) for number, bar in enumerate(shown)], _s(length_ns))


def _lane(lane: Lane) -> Row:
    return {
        "name": lane.name, "is_process": lane.is_process, "top": lane.top, "bottom": lane.bottom,
        "middle": lane.top + 0.5, "shade": 1 if lane.is_process and lane.place % 2 == 0 else 0,
    }  # fmt: skip


def _interval(subject: Subject, drawn: Drawn, roles: Roles) -> Row:
    one = drawn.interval
    is_ended = one.outcome in ("completed", "failed")
    data = one.data_json
    tip = {
        "stage": one.stage,
        "role": one.role or NO_ROLE,
        "component": one.component,
        "compiles": subject.interval_name.about(one),
        "source": one.source,
        "begins at": f"{seconds(drawn.start_ns)} s",
        "takes": f"{'' if is_ended else 'at least '}{seconds(drawn.stop_ns - drawn.start_ns)} s",
        "self": one.self_ns is not None and f"{seconds(one.self_ns)} s",
        "unattributed": one.unattributed_ns is not None and f"{seconds(one.unattributed_ns)} s",
        "outcome": one.outcome,
        "error": one.error,
        "top-level": one.is_top_level and "yes",
        "process": subject.process_name(one.process),
        "thread": one.thread,
        "interval": str(one.interval),
        "data": data and _plain(data),
    }
    return {
        "start": _s(drawn.start_ns), "stop": _s(drawn.stop_ns), **_rows(drawn.row, _TOP, _BOTTOM),
        "colour": str(roles.colour(one.role)), "role": roles.number(one.role), "source": one.source,
        "is_top": one.is_top_level, "is_ended": is_ended, "is_failed": one.outcome == "failed",
        "label": cut(_BEFORE.get(one.outcome, "") + subject.interval_name(one), _NAME),
        "tip": _tip(tip),
    }  # fmt: skip


def _block(subject: Subject, drawn: DrawnBlock) -> Row:
    block = drawn.block
    number = len(block.places)
    intervals = subject.timeline.intervals
    longest_ns = max(subject.stop_ns(intervals[place]) - intervals[place].start_ns for place in block.places)
    tip = {
        "not drawn one by one": counted(number, "interval"),
        "begins at": f"{seconds(block.start_ns)} s",
        "take, on the clock": f"{seconds(block.union_ns)} s",
        "the longest": f"{seconds(longest_ns)} s",
        "process": subject.process_name(drawn.process),
        "thread": drawn.thread,
    }
    return {
        "start": _s(block.start_ns), "stop": _s(block.stop_ns), **_rows(drawn.row, _TOP, _BOTTOM),
        "label": f"{number:,} more, {seconds(block.union_ns)} s", "tip": _tip(tip),
        "role": -1, "source": "",
    }  # fmt: skip


def _claim(mark: ClaimMark) -> Row:
    claim, row = mark.reconciled.claim, mark.reconciled.reconciliation
    because = map(cause_text, mark.reconciled.causes[:_CAUSES])
    tip = {
        "claim of": claim.source,
        "role": claim.role,
        "stage": claim.stage,
        "claimed": f"{seconds(claim.claimed_ns)} s",
        "measured": row.measured_ns is not None and f"{seconds(row.measured_ns)} s",
        "difference": row.difference_ns is not None and f"{signed(row.difference_ns)} s",
        "cause": "; ".join(because) or main_cause_text(row.main_cause),
        "read from": claim.text,
    }
    stop_ns = mark.at_ns
    start_ns = stop_ns - claim.claimed_ns if mark.has_interval else stop_ns
    places = (_CLAIM_TOP, _CLAIM_BOTTOM) if mark.has_interval else (_TOP, _BOTTOM)
    return {
        "start": _s(start_ns), "stop": _s(stop_ns), **_rows(mark.row, *places),
        "has_interval": mark.has_interval, "differs": mark.reconciled.differs, "tip": _tip(tip),
    }  # fmt: skip


def _milestone(reached: Reached) -> Row:
    name = cut(reached.milestone.name, _NAME)
    return {
        "at": _s(reached.at_ns), "middle": reached.row + 0.5, "name": name,
        "tip": {"milestone": name, "at": f"{seconds(reached.at_ns)} s"},
    }  # fmt: skip


def _bar(number: int, bar: Bar, roles: Roles) -> Row:
    tip = {
        "bar": bar.label,
        "seconds": None if bar.ns is None else seconds(bar.ns),
        "on the clock": None if bar.measured_ns is None else f"{seconds(bar.measured_ns)} s",
        "difference": None
        if bar.ns is None or bar.measured_ns is None
        else f"{signed(bar.ns - bar.measured_ns)} s",
        "read from": bar.text,
    }
    return {
        "top": number + _BAR_TOP, "bottom": number + _BAR_BOTTOM, "above": number + _BAR_TOP - _MARK_ABOVE,
        "middle": number + (0.6 if bar.kind == "head" else _LABEL), "zero": 0,
        "seconds": None if bar.ns is None else _s(bar.ns),
        "measured": None if bar.measured_ns is None else _s(bar.measured_ns),
        "number": seconds(bar.ns), "label": cut(bar.label, _NAME), "is_head": bar.kind == "head",
        "colour": str(roles.colour(bar.role)), "fill": _FILL.get(bar.kind, 0), "tip": _tip(tip),
    }  # fmt: skip


def _rows(row: float, top: float, bottom: float) -> dict[str, float]:
    return {"top": row + top, "bottom": row + bottom, "middle": round(row + (top + bottom) / 2, 3)}


def _s(ns: int) -> float:
    return round(ns / NS_PER_S, 6)


def _plain(data: str) -> str:
    try:
        fields: dict[str, object] = json.loads(data)
    except ValueError:
        return data  # of a ledger that somebody edited
    return ", ".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in fields.items()
    )


def _tip(parts: Mapping[str, str | bool | None]) -> dict[str, str]:
    """Return what a tooltip says: one text for each name, without those that have none."""
    lengths = {"data": _DATA, "read from": _DATA, "cause": _DATA}
    return {
        name: cut(text, lengths.get(name, _NAME))
        for name, text in parts.items()
        if isinstance(text, str) and text
    }
