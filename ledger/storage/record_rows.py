"""A timeline's records as rows of the tables that are projected, and back: lists are JSON arrays there."""

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, Final, TypeVar, cast

from ledger.timeline.findings import ClaimKey, Finding
from ledger.timeline.records import (
    Anomaly,
    Cause,
    Claim,
    Compilation,
    Gap,
    GraphBreak,
    Interval,
    IntervalKey,
    Milestone,
    Process,
    Reconciliation,
    RoleTotal,
    Session,
    SessionTotal,
    SourceTotal,
    StartupPiece,
    StartupWindow,
)
from ledger.timeline.stage_data import merged
from ledger.timeline.timeline import Timeline

Row = tuple[Any, ...]
EventKey = tuple[str, int]
"""An event's process and `seq`."""
Details = tuple[str | None, str | None]
"""An event's `error` and `data`. The table of intervals has neither, since the events have them."""

_INTERVAL_COLUMNS: Final = Interval._fields[: Interval._fields.index("error")]
_NO_DETAILS: Final[Details] = (None, None)

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "sessions": Session._fields,
    "processes": Process._fields,
    "projected_intervals": _INTERVAL_COLUMNS,
    "role_totals": RoleTotal._fields,
    "source_totals": SourceTotal._fields,
    "session_totals": SessionTotal._fields,
    "claims": (*Claim._fields[:-1], "data"),
    "reconciliation": Reconciliation._fields,
    "causes": Cause._fields,
    "anomalies": Anomaly._fields,
    "milestones": Milestone._fields,
    "gaps": Gap._fields,
    "startup_windows": StartupWindow._fields,
    "startup_breakdown": StartupPiece._fields,
    "compilations": Compilation._fields,
    "graph_breaks": GraphBreak._fields,
    "projected_findings": (*Finding._fields, "number"),
}
"""Every table that is derived from events, with its columns, besides the note of what is projected."""


def rows_of(timeline: Timeline, table: str) -> Iterable[Row]:
    """Return the rows of a table that a timeline gives, in the order of its records."""
    if table == "sessions":
        return [_session_row(timeline.session)] if timeline.session else []
    if table == "processes":
        return [_process_row(process) for process in timeline.processes]
    if table == "projected_intervals":
        number = len(_INTERVAL_COLUMNS)
        return (interval[:number] for interval in timeline.intervals)
    if table == "causes":
        return [_cause_row(cause) for cause in timeline.causes]
    if table == "projected_findings":
        return [(*_finding_row(finding), number) for number, finding in enumerate(timeline.findings)]
    return getattr(timeline, table)


def timeline_of(rows: Callable[[str], Iterable[Row]], details: Mapping[EventKey, Details]) -> Timeline:
    """Return the timeline whose records have such rows, given table by table in their order.

    `details` has those of the stages' events that have any.
    """
    return Timeline(
        session=next((_session(row) for row in rows("sessions")), None),
        processes=tuple(_process(row) for row in rows("processes")),
        intervals=tuple(interval_of(row, details) for row in rows("projected_intervals")),
        role_totals=tuple(map(RoleTotal._make, rows("role_totals"))),
        source_totals=tuple(map(SourceTotal._make, rows("source_totals"))),
        session_totals=tuple(map(SessionTotal._make, rows("session_totals"))),
        claims=tuple(map(Claim._make, rows("claims"))),
        anomalies=tuple(map(Anomaly._make, rows("anomalies"))),
        milestones=tuple(map(Milestone._make, rows("milestones"))),
        gaps=tuple(map(Gap._make, rows("gaps"))),
        startup_windows=tuple(map(StartupWindow._make, rows("startup_windows"))),
        startup_breakdown=tuple(map(StartupPiece._make, rows("startup_breakdown"))),
        reconciliation=tuple(map(Reconciliation._make, rows("reconciliation"))),
        causes=tuple(_cause(row) for row in rows("causes")),
        compilations=tuple(_compilation(row) for row in rows("compilations")),
        graph_breaks=tuple(map(GraphBreak._make, rows("graph_breaks"))),
        findings=tuple(finding_of(row[:-1]) for row in rows("projected_findings")),
    )


def _session_row(record: Session) -> Row:
    session, label, command, *plain, versions = record
    return (session, label, None if command is None else json.dumps(command), *plain, json.dumps(versions))


def _session(row: Row) -> Session:
    session, label, command, *plain, versions = row
    arguments = None if command is None else tuple(json.loads(command))
    return Session._make((session, label, arguments, *plain, json.loads(versions)))


def _process_row(record: Process) -> Row:
    return (*record[:-2], json.dumps(record.hooks), json.dumps(record.missing_hooks))


def _process(row: Row) -> Process:
    *plain, hooks, missing_hooks = row
    return Process._make(chain(plain, (tuple(json.loads(hooks)), tuple(json.loads(missing_hooks)))))


_IS_TOP_LEVEL: Final = _INTERVAL_COLUMNS.index("is_top_level")


def interval_of(row: Row, details: Mapping[EventKey, Details]) -> Interval:
    """Return the interval of a row; `details` has those of the stages' events that have any."""
    process, start_seq, stop_seq = row[1], row[-2], row[-1]
    error, data = details.get((process, start_seq), _NO_DETAILS)
    if stop_seq is not None and (stopped := details.get((process, stop_seq))) is not None:
        error, data = stopped[0], merged(data, stopped[1])
    at = _IS_TOP_LEVEL
    return Interval._make((*row[:at], row[at] == 1, *row[at + 1 :], error, data))  # SQLite has 1 for True


def _cause_row(record: Cause) -> Row:
    return (*record[:-1], _keys_text(record.intervals))


def _cause(row: Row) -> Cause:
    *plain, intervals = row
    return Cause._make((*plain, _keys(IntervalKey, intervals)))


def _finding_row(record: Finding) -> Row:
    return (*record[:-2], _keys_text(record.intervals), _keys_text(record.claims))


def finding_of(row: Row) -> Finding:
    """Return the finding of a row of the table or the view, without what they have beyond its fields."""
    *plain, intervals, claims = row
    return Finding._make((*plain, _keys(IntervalKey, intervals), _keys(ClaimKey, claims)))


_Key = TypeVar("_Key", IntervalKey, ClaimKey)


def _keys_text(keys: Iterable[IntervalKey | ClaimKey]) -> str:
    return json.dumps([key._asdict() for key in keys])


def _keys(kind: type[_Key], text: str) -> tuple[_Key, ...]:
    keys = cast("list[dict[str, Any]]", json.loads(text))
    return tuple(kind(**key) for key in keys)


def _compilation(row: Row) -> Compilation:
    *plain, has_code = row
    return Compilation._make((*plain, None if has_code is None else has_code == 1))
