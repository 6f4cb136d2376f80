"""The report as JSON has the tables of SQL: each column under its name, with its value."""

import json

import pytest

from ledger.reports.from_ledger import read_report
from ledger.reports.json_renderer import to_json
from ledger.testing import MemoryLedger
from tests.reports.test_html import HOSTILE, SESSIONS, hostile_events, kept

TABLES = (
    "processes", "startup_windows", "startup_breakdown", "role_totals", "source_totals", "session_totals",
    "claims", "reconciliation", "causes", "anomalies", "milestones", "gaps",
)  # fmt: skip


@pytest.mark.parametrize(("name", "session"), [*SESSIONS, ("hostile", HOSTILE)])
def test_the_columns_and_their_values_are_those_of_sql(name: str, session: str) -> None:
    ledger = MemoryLedger(hostile_events(HOSTILE)) if name == "hostile" else kept(name)
    report = json.loads(to_json(read_report(ledger, session)))
    assert list(report) == ["session", "findings", *TABLES]
    key = ledger.session(session)
    findings = ledger.sql("SELECT * FROM findings WHERE session = ? ORDER BY number", [key])
    for row, finding in zip(findings, report["findings"], strict=True):
        keys = {name: json.loads(str(row[name])) for name in ("intervals", "claims")}
        assert finding == {name: value for name, value in {**row, **keys}.items() if name != "number"}
    assert [report["session"]] == ledger.sql("SELECT * FROM sessions WHERE session = ?", [key])
    for table in TABLES:
        assert report[table] == ledger.sql(f"SELECT * FROM {table} WHERE session = ? ORDER BY rowid", [key])
