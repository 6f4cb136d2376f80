"""The report as JSON: every record of the session that SQL has, by its tables and columns."""

import json
from collections.abc import Mapping
from typing import Final

from ledger.durations import NS_PER_S
from ledger.reports.model import Report
from ledger.storage.record_rows import TABLES, rows_of
from ledger.storage.schema_docs import schema
from ledger.timeline.findings import Finding
from ledger.timeline.timeline import Timeline

_SECONDS: Final[Mapping[str, Mapping[str, str]]] = {
    "processes": {},
    "startup_windows": {"duration_ns": "duration_s", "unattributed_ns": "unattributed_s"},
    "startup_breakdown": {"duration_ns": "duration_s"},
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

_VERSION: Final = "_version"


def to_json(report: Report) -> str:
    """Return a report as one JSON object: the session, what can be acted upon, and a list for each table."""
    tables = {table: _rows(report.timeline, table) for table in _SECONDS}
    findings = [_finding(finding) for finding in report.findings]
    return json.dumps({"session": _session(report.timeline), "findings": findings, **tables}, indent=2)


def _finding(finding: Finding) -> dict[str, object]:
    return {
        **finding._asdict(),
        "intervals": [key._asdict() for key in finding.intervals],
        "claims": [key._asdict() for key in finding.claims],
        "stake_s": finding.stake_s,
    }


def _session(timeline: Timeline) -> dict[str, object] | None:
    """Return the session's row, with the columns that SQL generates from its `versions`."""
    if timeline.session is None:
        return None
    [row] = _rows(timeline, "sessions")
    generated = [name for name in schema()["sessions"].columns if name.endswith(_VERSION)]
    return {**row, **{name: timeline.session.versions.get(name.removesuffix(_VERSION)) for name in generated}}


def _rows(timeline: Timeline, table: str) -> list[dict[str, object]]:
    """Return a table's rows as SQL has them, by column."""
    rows: list[dict[str, object]] = []
    for row in rows_of(timeline, table):
        columns: dict[str, object] = dict(zip(TABLES[table], row, strict=True))
        for name, twin in _SECONDS.get(table, {}).items():
            ns = columns[name]
            columns[twin] = None if ns is None else int(str(ns)) / NS_PER_S
        rows.append(columns)
    return rows
