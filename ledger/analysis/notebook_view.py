"""What a comparison shows of itself in a notebook: roles and activities, and the stages that differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ledger.durations import signed
from ledger.formatting import NO_ROLE, counted
from ledger.notebook_tables import Bar, Figure, html_line, html_table

if TYPE_CHECKING:
    from ledger.analysis.comparison import Difference, RoleDifference, StageDifference

_ROLES_SHOWN: Final = 15
_STAGES_SHOWN: Final = 15
_HEADER: Final = ("a", "b", "b - a", "", "%", "verdict")


def html_of(roles: Sequence[RoleDifference], stages: Sequence[StageDifference], needed: int | None) -> str:
    """Return a comparison as HTML; `needed` is how many sessions each side would need for a test."""
    if not roles:
        return html_line("No intervals to compare.")
    shown = roles[:_ROLES_SHOWN]
    a, b = shown[0].difference.a.sessions, shown[0].difference.b.sessions
    medians = " (medians)" if max(a, b) > 1 else ""
    parts = [
        html_line(f"b ({counted(b, 'session')}) against a ({counted(a, 'session')})", is_strong=True),
        html_table(
            f"Seconds by role{medians}",
            ("role", "activity", *_HEADER),
            [
                (row.role or NO_ROLE, row.activity, *cells)
                for row, cells in zip(shown, _cells([row.difference for row in shown], needed), strict=True)
            ],
        ),
        *_more(len(roles) - len(shown)),
    ]
    differing = [row for row in stages if row.difference.verdict != "same"]
    if differing:
        first = differing[:_STAGES_SHOWN]
        parts += [
            html_table(
                f"Stages that differ{medians}; one may be part of another",
                ("stage", "of", *_HEADER),
                [
                    (row.stage, row.component or row.role or NO_ROLE, *cells)
                    for row, cells in zip(
                        first, _cells([row.difference for row in first], needed), strict=True
                    )
                ],
            ),
            *_more(len(differing) - len(first)),
        ]
    if needed is not None:
        parts.append(
            html_line(
                f"Not tested: with fewer than {counted(needed, 'session')} on each side, "
                "a difference can't be told from chance."
            )
        )
    return "".join(parts)


def _cells(differences: Sequence[Difference], needed: int | None) -> list[tuple[object, ...]]:
    longest_ns = max(abs(each.ns) for each in differences) or 1
    return [
        (
            each.a.median_ns / 1e9 if each.a.seen else None,
            each.b.median_ns / 1e9 if each.b.seen else None,
            Figure(signed(each.ns)),
            Bar(abs(each.ns) / longest_ns),
            None if each.ratio is None else Figure(f"{round(100 * (each.ratio - 1)):+d}"),
            f"{each.verdict}, not tested" if each.is_real is None and needed is None else each.verdict,
        )
        for each in differences
    ]


def _more(number: int) -> list[str]:
    return [html_line(f"and {number} more")] if number else []
