"""The charts of a fleet's page, as Vega specifications: times to ready, and where they went, day by day."""

# altair's methods are made from a schema, and their types are known in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import altair as alt

Rows = Sequence[Mapping[str, object]]

_HEIGHT: Final = 240
_FONT: Final = "system-ui, sans-serif"
_PERCENTILES: Final = {"p50": "var(--role-1)", "p90": "var(--role-2)", "p99": "var(--differs)"}
_DAYS_NAMED: Final = 12


def trend(rows: Rows) -> dict[str, Any]:
    """Return the specification of lines; a row has `day`, `which` (p50, p90, p99), `seconds` and `tip`."""
    chart = alt.Chart(alt.NamedData(name="trend"))
    scale = alt.Scale(domain=list(_PERCENTILES), range=list(_PERCENTILES.values()))
    x, y = _day(rows), alt.Y("seconds:Q", title="seconds to ready", scale=alt.Scale(zero=True))
    lines = chart.mark_line(strokeWidth=2).encode(
        x=x, y=y, stroke=alt.Stroke("which:N", scale=scale, legend=None)
    )
    points = chart.mark_point(filled=True, size=40, opacity=1).encode(
        x=x, y=y, fill=alt.Fill("which:N", scale=scale, legend=None), tooltip="tip:N"
    )
    return _specification(alt.layer(lines, points), "trend", rows)


def stages(rows: Rows, families: Mapping[str, str]) -> dict[str, Any]:
    """Return the specification of stacked bars.

    A row has `day`, `family`, `place` in the stack, `seconds` and `tip`; `families`: all, by colour.
    """
    bars = (
        alt.Chart(alt.NamedData(name="stages"))
        .mark_bar(stroke="var(--paper)", strokeWidth=0.6)
        .encode(
            x=_day(rows),
            y=alt.Y("seconds:Q", title="seconds of a start, on average", stack="zero"),
            fill=alt.Fill(
                "family:N",
                scale=alt.Scale(domain=list(families), range=list(families.values())),
                legend=None,
            ),
            order=alt.Order("place:Q"),
            tooltip="tip:N",
        )
    )
    return _specification(alt.layer(bars), "stages", rows)


def _day(rows: Rows) -> alt.X:
    days = sorted({str(row["day"]) for row in rows})
    every = -(-len(days) // _DAYS_NAMED)
    # On a narrow page even those that are named would lie over one another.
    axis = alt.Axis(labelAngle=0, values=days[::every] or days, title=None, labelOverlap="greedy")
    return alt.X("day:O", sort=days, axis=axis, scale=alt.Scale(domain=days, paddingInner=0.2))


def _specification(chart: alt.LayerChart | alt.FacetChart, table: str, rows: Rows) -> dict[str, Any]:
    axis = {"labelColor": "var(--ink)", "titleColor": "var(--ink)", "tickColor": "var(--faint)",
            "domainColor": "var(--faint)", "gridColor": "var(--grid)", "labelFont": _FONT, "titleFont": _FONT,
            "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11}  # fmt: skip
    drawn = (
        chart.properties(width="container", height=_HEIGHT, background="transparent", padding=2)
        .configure(font=_FONT, aria=False)
        .configure_view(stroke=None)
        .configure_axis(**axis)
    )
    specification = cast("dict[str, Any]", drawn.to_dict(format="vega"))
    for each in specification["data"]:
        if each["name"] == table:
            each["values"] = list(rows)
    return specification
