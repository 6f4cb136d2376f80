"""What torch compiled, as a table: which function, why, how long, and what the caches answered."""

from typing import Final

from ledger.formatting import NO_ROLE, cut
from ledger.reports.html.addresses import target_of
from ledger.reports.html.subject import Subject
from ledger.reports.html.tables import Cell, Column, Line, Link, Table, of_ns, of_text
from ledger.reports.interval_names import place_of
from ledger.timeline.records import Compilation

_ROWS: Final = 1_000
_NAME: Final = 200
_REASON: Final = 600
_CACHES: Final = ("fx_graph_cache", "aot_cache", "autotune_cache", "remote_cache")


def compilations(subject: Subject) -> Table:
    """Return the compilations, what took longest first. A column is left out where it says nothing."""
    found = sorted(
        subject.timeline.compilations,
        key=lambda one: (-(one.duration_ns or 0), one.process, one.interval),
    )
    shown = found[:_ROWS]
    columns: list[tuple[Column, list[Cell]]] = [
        (Column("function", is_text=True), [_function(subject, one) for one in shown]),
        (Column("compile id"), [of_text(one.compile_id) for one in shown]),
        (Column("kind"), [of_text(one.kind) for one in shown]),
        (Column("seconds", True), [of_ns(one.duration_ns) for one in shown]),
        (Column("reason", is_text=True), [of_text(_reason(one), _REASON) for one in shown]),
        (Column("caches", is_text=True), [of_text(_answers(one), _REASON) for one in shown]),
    ]
    if len({one.role for one in found}) > 1:
        columns.append((Column("role"), [of_text(one.role or NO_ROLE) for one in shown]))
    if len({one.process for one in found}) > 1:
        names = [of_text(subject.process_name(one.process)) for one in shown]
        columns.append((Column("process"), names))
    used = [
        (column, cells)
        for column, cells in columns
        if any(line.text or line.links for cell in cells for line in cell)
    ]
    rows = tuple(zip(*(cells for _, cells in used), strict=True))
    return Table(
        "compilations", tuple(column for column, _ in used), rows, len(rows), len(found) - len(shown)
    )


def _function(subject: Subject, one: Compilation) -> Cell:
    """Return the function with its place, as a link to the interval that it was compiled in."""
    interval = subject.timeline.intervals[subject.intervals[one.process, one.interval]]
    text = " ".join(filter(None, (one.function or one.component or interval.stage, place_of(one))))
    return (Line("", links=(Link(cut(text, _NAME), target_of(one.process, one.interval)),)),)


def _reason(one: Compilation) -> str:
    failure = one.error_text or one.error
    return "; ".join(filter(None, (one.reason, failure and f"failed: {failure}")))


def _answers(one: Compilation) -> str:
    answers: dict[str, str | None] = {name: getattr(one, name) for name in _CACHES}
    given = [f"{name.removesuffix('_cache')} {answer}" for name, answer in answers.items() if answer]
    bypass = one.cache_bypass_reason
    return ", ".join(given) + (f": {bypass}" if bypass else "")
