"""Draws a claim, its intervals and its causes as spans of text: the pictures of the page of causes."""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from ledger import Claim, Interval, Reconciliation, Timeline

_WIDTH: Final = 48
_LABEL: Final = 32
_NS: Final = 1_000_000_000


def draw_claim(timeline: Timeline, process: str, claim: int) -> str:
    """Return the picture of one claim: intervals, what was added for it, and the parts of its difference."""
    [row] = (one for one in timeline.reconciliation if (one.process, one.claim) == (process, claim))
    of_claim = {(one.process, one.claim): one for one in timeline.claims}
    intervals = [one for one in timeline.intervals if one.stop_ns is not None]
    by_id = {(one.process, one.interval): one for one in intervals}
    axis = _Axis(intervals)
    several = len({one.process for one in intervals}) > 1
    lines = [axis.scale()] if intervals else []
    for one in intervals:
        name = f"{one.process}: {one.stage}" if several else one.stage
        failed = " failed" if one.outcome == "failed" else ""
        label = "  " * one.depth + name + (f", {_short(one.role)}" if one.role else "") + failed
        lines.append(_line(label, axis.bar([one], "├─┤"), _seconds(one.duration_ns or 0)))
    lines += [
        _line(f"ready ({one.process})" if several else "engine_ready", axis.mark(one.at_ns), "")
        for one in timeline.milestones
    ]
    for (speaker, _), other in of_claim.items():
        if (other.counts == "addition" or other.claim != claim) and (named := _named(timeline, other)):
            spans = [by_id[speaker, number] for number in named if (speaker, number) in by_id]
            what = "added" if other.counts == "addition" else "said before"
            who = f"{speaker}: {what}" if several else f"{what}, {other.source}"
            lines.append(_line(who, axis.bar(spans, "███"), _seconds(other.claimed_ns)))
    lines += ["", *_verdict(of_claim[process, claim], row)]
    for cause in timeline.causes:
        if (cause.process, cause.claim) == (process, claim):
            shown = [by_id[pair] for pair in _pairs(cause.intervals) if pair in by_id]
            lines.append(_line(f"  {cause.cause}", axis.bar(shown, "░░░"), _seconds(cause.ns, "+")))
    return "\n".join(line.rstrip() for line in lines)


class _Axis:
    def __init__(self, intervals: Sequence[Interval]) -> None:
        self._stop_ns = max((one.stop_ns or 0 for one in intervals), default=1)

    def scale(self) -> str:
        step = next(step for step in (1, 2, 5, 10, 20) if self._stop_ns / _NS / step <= 6)
        line = [" "] * (_WIDTH + 4)
        for second in range(0, self._stop_ns // _NS + 1, step):
            at = self._at(second * _NS)
            line[at : at + len(str(second))] = str(second)
        return _line("seconds", "".join(line).rstrip(), "")

    def bar(self, intervals: Iterable[Interval], ends: str) -> str:
        line = [" "] * (_WIDTH + 1)
        first, middle, last = ends
        for one in intervals:
            start, stop = self._at(one.start_ns), self._at(one.stop_ns or one.start_ns)
            if start == stop:
                line[start] = "│" if middle == "─" else middle
                continue
            line[start : stop + 1] = [first, *[middle] * (stop - start - 1), last]
        return "".join(line)

    def mark(self, at_ns: int) -> str:
        return " " * min(self._at(at_ns), _WIDTH) + "▲"

    def _at(self, ns: int) -> int:
        return round(ns * _WIDTH / self._stop_ns)


def _verdict(claim: Claim, row: Reconciliation) -> list[str]:
    said = f"{claim.source} claims {_seconds(row.claimed_ns)}"
    if row.measured_ns is None or row.difference_ns is None:
        return [f"{said}; nothing was measured that it could be held against", "  unmatched"]
    return [f"{said}; measured {_seconds(row.measured_ns)}; difference {_seconds(row.difference_ns, '+')}"]


def _named(timeline: Timeline, claim: Claim) -> list[int]:
    if claim.interval is not None:
        return [claim.interval]
    data = json.loads(claim.data) if isinstance(claim.data, str) else (claim.data or {})
    return list(data.get("intervals", ()))


def _pairs(intervals: object) -> list[tuple[str, int]]:
    listed = json.loads(intervals) if isinstance(intervals, str) else intervals
    return [(one["process"], one["interval"]) if isinstance(one, dict) else tuple(one) for one in listed]


def _line(label: str, bar: str, text: str) -> str:
    return f"{label:<{_LABEL}}{bar:<{_WIDTH + 2}}{text}"


def _seconds(ns: int, sign: str = "") -> str:
    return f"{ns / _NS:{sign}.3f} s" if ns % 10_000_000 else f"{ns / _NS:{sign}.2f} s"


def _short(role: str) -> str:
    return {"language_model": "language"}.get(role, role)
