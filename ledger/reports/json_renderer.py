"""The report as JSON: every record of the session that SQL has, by its tables and columns."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ledger.formatting import NS_PER_S
from ledger.reports.model import Report

_SECONDS: Final[Mapping[str, Mapping[str, str]]] = {
    "processes": {},
    "role_totals": {"total_ns": "total_s", "crossing_ns": "crossing_s", "open_ns": "open_s"},
    "source_totals": {
        "total_ns": "total_s", "naive_sum_ns": "naive_sum_s", "double_counted_ns": "double_counted_s",
    },
    "session_totals": {"max_ns": "max_s", "union_ns": "union_s", "sum_ns": "sum_s"},
    "claims": {"claimed_ns": "claimed_s"},
    "reconciliation": {
        "claimed_ns": "claimed_s", "measured_ns": "measured_s", "difference_ns": "difference_s",
    },
    "causes": {"ns": "s"},
    "anomalies": {"ns": "s"},
    "milestones": {},
    "gaps": {},
}  # fmt: skip
"""By table, in the order in which they are written: columns that SQL also has in seconds, by what name."""


def to_json(report: Report) -> str:
    """Return a report as one JSON object: the session, and a list for each table."""
    timeline = report.timeline
    session = timeline.session
    tables = {table: list(_rows(getattr(timeline, table), twins)) for table, twins in _SECONDS.items()}
    return json.dumps({"session": session and _columns(session), **tables}, indent=2)


def _rows(records: Iterable[Any], twins: Mapping[str, str]) -> Iterable[dict[str, object]]:
    for record in records:
        columns = _columns(record)
        for name, twin in twins.items():
            ns = columns[name]
            columns[twin] = None if ns is None else int(str(ns)) / NS_PER_S
        yield columns


def _columns(record: Any) -> dict[str, object]:
    """Return a record's columns as SQL has them."""
    return dict(record._asdict())
