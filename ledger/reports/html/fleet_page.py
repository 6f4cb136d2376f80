"""One self-contained page over a fleet: how long starts take day by day, on what, and the worst of them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ledger._version import __version__
from ledger.durations import three_places
from ledger.errors import MissingExtra
from ledger.fleet.queries import fleet_queries
from ledger.formatting import cut
from ledger.reports.html.families import FAMILIES, TITLES, family_of
from ledger.reports.html.rendering import as_json, content_policy, own_file, own_script, vega_library
from ledger.storage.queries import query_title

Row = Mapping[str, object]
Answers = Mapping[str, Sequence[Row]]
"""The rows of fleet queries, by name."""

WORST: Final = "slowest_starts"
TREND: Final = "ready_by_day"
_STAGES: Final = "stages_over_time"
_TABLES: Final = (
    "regressions", "cold_against_warm", "slowest_groups", "cache_misses", "rank_spread", "unexplained_time",
    "findings_by_stake", "starts_per_day",
)  # fmt: skip
QUERIES: Final = (WORST, TREND, _STAGES, *_TABLES)
"""What the page shows, and has to be asked for."""
_NO_DAY: Final = "no date"
_NO_STAGE: Final = "(unattributed)"
_HOLE: Final = "in no stage"
_SHOWN: Final = 12
"""Rows of a table that are open: the others are behind a click."""
_TEXT: Final = 160


class Cell(NamedTuple):
    """A cell of a table."""

    text: str
    is_number: bool
    link: str | None = None


class Table(NamedTuple):
    """The rows of a query."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def fleet_page(name: str, answers: Answers, pages: Mapping[str, str]) -> str:
    """Return the page of a fleet; `pages` are the addresses of the worst starts' own, by session.

    `answers` has the rows of QUERIES. Raises MissingExtra without altair, jinja2 or vl-convert.
    """
    try:
        import jinja2

        from ledger.reports.html import fleet_charts

        scripts = [own_script("charts"), vega_library()]
    except ImportError as error:
        raise MissingExtra.of("a page", error.name, "html") from error
    of_stages = list(_stages(answers[_STAGES]))
    colours = {family: f"var(--family-{family})" for family in FAMILIES}
    colours |= {"waiting": "var(--grid)", _HOLE: "var(--faint)"}  # elsewhere they are patterns
    shown = [family for family in colours if any(row["family"] == family for row in of_stages)]
    trend = list(_trend(answers[TREND]))
    charts = {
        **({"trend": fleet_charts.trend(trend)} if trend else {}),
        **({"stages": fleet_charts.stages(of_stages, colours)} if of_stages else {}),
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    days = [str(row["day"]) for row in answers[TREND] if row["day"] is not None]
    return environment.from_string(own_file("fleet.html.jinja")).render(
        name=name,
        starts=sum(int(str(row["starts"])) for row in answers[TREND]),
        ready=sum(int(str(row["ready"])) for row in answers[TREND]),
        days=days,
        charts=charts,
        families=[(colours[family], TITLES.get(family, family)) for family in shown],
        worst=_table(WORST, answers, pages),
        trend=_table(TREND, answers, {}),
        tables=[_table(one, answers, {}) for one in _TABLES],
        shown=_SHOWN,
        version=__version__,
        policy=content_policy(scripts),
        style=own_file("page.css"),
        scripts=scripts,
        data=as_json({"charts": charts, "lengthS": 1}),
    )


def _trend(rows: Sequence[Row]) -> Iterator[Row]:
    for row in rows:
        day = str(row["day"] or _NO_DAY)
        for which in ("p50", "p90", "p99"):
            if row[which] is not None:
                tip = {
                    "day": day, which: f"{_number(row[which])} s",
                    "became ready": f"{row['ready']} of {row['starts']}",
                }  # fmt: skip
                yield {"day": day, "which": which, "seconds": row[which], "tip": tip}


def _stages(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield what each family of stages took on each day: a bar of dozens of stages can't be read."""
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    most: dict[tuple[str, str], str] = {}
    for row in rows:
        stage, taken = str(row["stage"]), float(str(row["seconds_per_start"]))
        family = _HOLE if stage == _NO_STAGE else family_of(stage, str(row["activity"]))
        key = str(row["day"] or _NO_DAY), family
        seconds[key] += taken
        most.setdefault(key, stage)  # the rows of a day come by time
    order = {family: place for place, family in enumerate((*FAMILIES, _HOLE))}
    for (day, family), taken in sorted(seconds.items()):
        tip = {
            "day": day, "what": TITLES.get(family, family),
            "takes": f"{_number(taken)} s of a start, on average", "most of it": most[day, family],
        }  # fmt: skip
        yield {"day": day, "family": family, "place": order[family], "seconds": taken, "tip": tip}


def _table(name: str, answers: Answers, pages: Mapping[str, str]) -> Table:
    rows = answers[name]
    columns = tuple(rows[0]) if rows else ()
    return Table(
        name,
        query_title(fleet_queries()[name]),
        tuple(column.replace("_", " ") for column in columns),
        tuple(tuple(_cell(column, row[column], pages) for column in columns) for row in rows),
    )


def _cell(column: str, value: object, pages: Mapping[str, str]) -> Cell:
    if isinstance(value, int | float):
        return Cell(_number(value), is_number=True)
    text = "" if value is None else cut(str(value), _TEXT)
    return Cell(text, is_number=False, link=pages.get(str(value)) if column == "session" else None)


def _number(value: object) -> str:
    return (
        three_places(value)
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
