"""The charts of a page, as Vega specifications: how what `drawing` made rows of is drawn.

Colours are variables of the page's style sheet, so that a chart is light or dark as the page is. What comes
from a ledger is data of a chart, and never part of an expression.
"""

# altair's methods are made from a schema, and their types are known in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

import altair as alt

from ledger.reports.html.roles import COLOURS

Row = dict[str, object]
Rows = Sequence[Row]
Layers = list[alt.Chart]

ROW: Final = 20
"""The height of a row of the timeline in pixels."""
BAR_ROW: Final = 34
_ZOOM: Final = "grid"
_DOMAIN: Final = "grid_start"
"""The signal that has the times between which the timeline is shown: Vega-Lite makes its name of that of the
zoom and that of the field."""
_FONT: Final = "system-ui, sans-serif"
_WIDE_ENOUGH: Final = 34
"""Pixels that a name needs to be worth its place."""
_SEPARABLE: Final = 3
"""Pixels of an interval that are worth a line to its neighbours; narrower ones have to be seen at all."""
_PALE: Final = 0.25
"""How much colour is left to an interval without an end: its name has to be read on it."""
_FADED: Final = 0.12
_NUMBER: Final = 78
"""Pixels that are kept free for a bar's seconds, beside its label."""

_Channel = TypeVar("_Channel", alt.Fill, alt.Stroke)


class _Axes(NamedTuple):
    """The two axes of a chart: seconds to the right, rows downwards."""

    length_s: float
    rows: float
    title: str
    ticks: int

    def x(self, field: str) -> alt.X:
        return alt.X(
            f"{field}:Q",
            scale=alt.Scale(domain=[0, self.length_s], nice=False, zero=False),
            axis=alt.Axis(orient="top", title=self.title, tickCount=self.ticks),
        )

    def y(self, field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[self.rows, 0], nice=False, zero=False), axis=None)

    @property
    def first(self) -> str:
        """An expression: the first second that is in view."""
        return f"({_DOMAIN} ? {_DOMAIN}[0] : 0)"

    @property
    def last(self) -> str:
        return f"({_DOMAIN} ? {_DOMAIN}[1] : {self.length_s})"

    @property
    def is_in_view(self) -> str:
        return f"datum.stop >= {self.first} && datum.start <= {self.last}"

    @property
    def pixels(self) -> str:
        """An expression: how wide a row's mark is, from where it comes into view."""
        return f"(datum.stop - max(datum.start, {self.first})) / ({self.last} - {self.first}) * width"


def timeline(tables: Mapping[str, Rows], length_s: float, rows: float) -> dict[str, Any]:
    """Return the timeline's specification; `tables` are its rows by the names that are used below."""
    axes = _Axes(length_s, rows, "seconds since the session's first event", 8)
    reached, names_of_milestones = _milestones(axes)
    layers = [
        _bands(axes), reached, *_intervals(axes), _blocks(axes), *_labels(axes), *_claims(axes),
        names_of_milestones, *_names(axes),
    ]  # fmt: skip
    return _specification(alt.layer(*layers), tables, round(rows * ROW))


def bars(rows: Rows, length_s: float) -> dict[str, Any]:
    """Return the specification of the bars: what each role took, beside what each source and claim says."""
    axes = _Axes(length_s, len(rows), "seconds", 6)
    drawn = _chart("bars").transform_filter("isValid(datum.seconds)")
    bar = drawn.mark_rect(strokeWidth=1.2).encode(
        x=axes.x("zero"), x2="seconds:Q", y=axes.y("top"), y2="bottom:Q", tooltip="tip:N",
        fill=_by_role(alt.Fill), stroke=_by_role(alt.Stroke),
        fillOpacity=alt.FillOpacity("fill:Q", scale=None),
    )  # fmt: skip
    measured = (
        drawn.transform_filter("isValid(datum.measured)")
        .mark_rule(color="var(--ink)", strokeDash=[3, 2])
        .encode(x=axes.x("measured"), y=axes.y("above"), y2="bottom:Q")
    )
    labels = [
        _chart("bars")
        .transform_filter(which)
        .mark_text(
            align="left", baseline="middle", fill="var(--ink)", fontSize=size, fontWeight=weight,
            limit=alt.expr(f"width - {_NUMBER}"),
        )
        .encode(x=alt.value(0), y=axes.y("middle"), text="label:N", tooltip="tip:N")
        for which, size, weight in (("datum.is_head", 13, "bold"), ("!datum.is_head", 12, "normal"))
    ]  # fmt: skip
    numbers = drawn.mark_text(align="right", baseline="middle", fill="var(--ink)", fontSize=12).encode(
        x=alt.value("width"), y=axes.y("middle"), text="number:N"
    )
    return _specification(
        alt.layer(bar, measured, *labels, numbers), {"bars": rows}, max(len(rows), 1) * BAR_ROW
    )


def _bands(axes: _Axes) -> alt.Chart:
    """Every second process stands on another ground."""
    return (
        _chart("lanes")
        .mark_rect(fill="var(--lane)")
        .encode(
            x=alt.value(0), x2=alt.value("width"), y=axes.y("top"), y2="bottom:Q",
            opacity=alt.Opacity("shade:Q", scale=None),
        )
    )  # fmt: skip


def _names(axes: _Axes) -> Layers:
    return [
        _chart("lanes")
        .transform_filter(which)
        .mark_text(
            align="left", baseline="middle", dx=4, fontSize=12, fontWeight=weight, fill="var(--ink)",
            limit=alt.expr("width - 8"),
        )
        .encode(x=alt.value(0), y=axes.y("middle"), text="name:N")
        for which, weight in (("datum.is_process", "bold"), ("!datum.is_process", "normal"))
    ]  # fmt: skip


def _intervals(axes: _Axes) -> Layers:
    zoom = alt.selection_interval(
        # The wheel alone scrolls the page.
        name=_ZOOM, bind="scales", encodings=["x"], zoom="wheel![event.ctrlKey || event.metaKey]"
    )  # fmt: skip
    in_view = _chart("intervals").transform_filter(axes.is_in_view)
    drawn = (
        in_view.mark_rect(clip=True)
        .encode(
            x=axes.x("start"), x2="stop:Q", y=axes.y("top"), y2="bottom:Q", opacity=_if_chosen(),
            fill=_by_role(alt.Fill),
            fillOpacity=alt.condition("datum.is_ended", alt.value(1), alt.value(_PALE)),
            stroke=alt.condition(
                f"datum.is_top || {axes.pixels} > {_SEPARABLE}",
                alt.value(alt.expr("datum.is_top ? 'var(--ink)' : 'var(--paper)'")),
                _by_role(alt.Stroke),
            ),
            strokeWidth=alt.condition("datum.is_top", alt.value(1.4), alt.value(0.5)),
            strokeDash=alt.condition("datum.is_ended", alt.value([]), alt.value([3, 2])),
            tooltip="tip:N",
        )
        .add_params(
            zoom, alt.param(name="role_shown", value=-1), alt.param(name="source_shown", value="")
        )
    )  # fmt: skip
    unended = (
        in_view.transform_filter("!datum.is_ended")
        .mark_rect(clip=True, fill="url(#hatch)")
        .encode(
            x=axes.x("start"),
            x2="stop:Q",
            y=axes.y("top"),
            y2="bottom:Q",
            opacity=_if_chosen(),
            tooltip="tip:N",
        )
    )
    failed = (
        in_view.transform_filter("datum.is_failed")
        .mark_text(
            text="✕", align="right", baseline="middle", dx=-2, fontSize=12, fontWeight="bold", clip=True,
            fill="var(--on-role)",
        )
        .encode(x=axes.x("stop"), y=axes.y("middle"), opacity=_if_chosen(), tooltip="tip:N")
    )  # fmt: skip
    return [drawn, unended, failed]


def _blocks(axes: _Axes) -> alt.Chart:
    """What is not drawn one by one."""
    return (
        _chart("blocks")
        .transform_filter(axes.is_in_view)
        .mark_rect(clip=True, fill="url(#dots)", stroke="var(--faint)", strokeWidth=0.8, strokeDash=[1, 2])
        .encode(x=axes.x("start"), x2="stop:Q", y=axes.y("top"), y2="bottom:Q", tooltip="tip:N")
    )


def _labels(axes: _Axes) -> Layers:
    """Names in what is wide enough, from where it comes into view."""
    return [
        _chart(table)
        .transform_filter(f"{axes.is_in_view} && {axes.pixels} > {_WIDE_ENOUGH} && {which}")
        .transform_calculate(begin=f"max(datum.start, {axes.first})")
        .mark_text(
            align="left", baseline="middle", dx=4, fontSize=11, clip=True, fill=colour,
            limit=alt.expr(f"{axes.pixels} - 8"),
        )
        .encode(
            x=axes.x("begin"), y=axes.y("middle"), text="label:N", opacity=_if_chosen(), tooltip="tip:N"
        )
        for table, which, colour in (
            ("intervals", "datum.is_ended", "var(--on-role)"),
            ("intervals", "!datum.is_ended", "var(--ink)"),
            ("blocks", "true", "var(--ink)"),
        )
    ]  # fmt: skip


def _claims(axes: _Axes) -> Layers:
    """A bar as long as what is claimed, below the interval that it speaks of, and a mark at its end."""
    marks = _chart("claims")
    colour = alt.condition("datum.differs", alt.value("var(--differs)"), alt.value("var(--agrees)"))
    lengths = (
        marks.transform_filter("datum.has_interval")
        .mark_rect(clip=True)
        .encode(x=axes.x("start"), x2="stop:Q", y=axes.y("top"), y2="bottom:Q", fill=colour, tooltip="tip:N")
    )
    ends = marks.mark_point(
        shape="diamond", filled=True, clip=True, stroke="var(--paper)", strokeWidth=0.6
    ).encode(
        x=axes.x("stop"), y=axes.y("middle"), fill=colour, tooltip="tip:N",
        size=alt.condition("datum.differs", alt.value(70), alt.value(28)),
    )  # fmt: skip
    return [lengths, ends]


def _milestones(axes: _Axes) -> tuple[alt.Chart, alt.Chart]:
    reached = _chart("milestones")
    is_late = f"datum.at > ({axes.first} + {axes.last}) / 2"
    rules = reached.mark_rule(clip=True, color="var(--ink)", strokeDash=[4, 3]).encode(
        x=axes.x("at"), tooltip="tip:N"
    )
    names = reached.mark_text(
        align=alt.expr(f"{is_late} ? 'right' : 'left'"), dx=alt.expr(f"{is_late} ? -5 : 5"),
        baseline="middle", fontSize=11, fontStyle="italic", clip=True, fill="var(--ink)",
        limit=alt.expr("width / 2"),
    ).encode(x=axes.x("at"), y=axes.y("middle"), text="name:N", tooltip="tip:N")  # fmt: skip
    return rules, names


def _chart(table: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(name=table))


def _if_chosen() -> Any:
    """What the reader did not ask for, by role or source, fades."""
    is_chosen = (
        "(role_shown < 0 || role_shown == datum.role) && (source_shown == '' || source_shown == datum.source)"
    )
    return alt.condition(is_chosen, alt.value(1), alt.value(_FADED))


def _by_role(channel: type[_Channel]) -> _Channel:
    numbers = [str(number) for number in range(COLOURS)]
    scale = alt.Scale(domain=numbers, range=[f"var(--role-{number})" for number in numbers])
    return channel("colour:N", scale=scale, legend=None)


def _specification(
    chart: alt.LayerChart | alt.FacetChart, tables: Mapping[str, Rows], height: int
) -> dict[str, Any]:
    axis = {"labelColor": "var(--ink)", "titleColor": "var(--ink)", "tickColor": "var(--faint)",
            "domainColor": "var(--faint)", "gridColor": "var(--grid)", "labelFont": _FONT, "titleFont": _FONT,
            "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11}  # fmt: skip
    drawn = (
        chart.properties(width="container", height=height, background="transparent", padding=2)
        # Thousands of marks are no text to be read out: the page has tables of the same.
        .configure(font=_FONT, aria=False)
        .configure_view(stroke=None)
        .configure_axis(**axis)
    )
    specification = cast("dict[str, Any]", drawn.to_dict(format="vega"))
    # The compiler need not see the rows.
    for table in specification["data"]:
        if table["name"] in tables:
            table["values"] = tables[table["name"]]
    return specification
