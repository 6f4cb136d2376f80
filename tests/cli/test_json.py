"""With --json there is one JSON document on standard output, and nothing else on it."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger import Recorder
from ledger.cli import app
from ledger.events.models import to_line
from ledger.storage.ledger import Ledger
from ledger.storage.queries import saved_queries
from ledger.storage.store import SCHEMA_VERSION
from ledger.testing import SessionBuilder

Run = Callable[..., Any]

PRINT_A_TABLE = (
    "report", "sql", "replay", "diff", "check", "import", "collect", "rebuild", "verify", "migrate", "doctor",
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs a command with --json, and returns what it printed."""

    def run(*arguments: str, code: int = 0) -> Any:
        command = [sys.executable, "-m", "ledger.cli", *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert (done.returncode, done.stderr) == (code, ""), done
        return json.loads(done.stdout)

    return run


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "startup.db"
    with Recorder.open(path, label="cold") as recorder, recorder.stage("torch_compile", source="monitor"):
        recorder.milestone("engine_ready")
    Ledger.open(path).close()
    return path


@pytest.mark.parametrize("name", PRINT_A_TABLE)
def test_every_command_that_prints_a_table_has_json(name: str) -> None:
    assert "--json" in CliRunner().invoke(app, [name, "--help"]).output


def test_verify(run: Run, ledger: Path) -> None:
    assert run("verify", "startup.db") == {"is_good": True, "findings": []}
    connection = sqlite3.connect(ledger)
    connection.execute("DROP TRIGGER events_no_update")
    connection.close()
    found = run("verify", "startup.db", code=1)
    assert not found["is_good"]
    assert [(one["is_fault"], one["what"]) for one in found["findings"]] == [(True, "missing_trigger")]


def test_rebuild_and_migrate(run: Run, ledger: Path) -> None:
    with Ledger.open(ledger) as opened:
        sessions = opened.sessions()
    assert run("rebuild", "startup.db") == {"ledger": "startup.db", "sessions": sessions}
    assert run("migrate", "startup.db") == {"ledger": "startup.db", "schema_version": SCHEMA_VERSION}


def test_collect(run: Run, tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "live.db")
    recorder.milestone("engine_ready")
    collected = {"ledger": "live.db", "duplicates": 0, "rejected": 0, "removed": 0, "left": 1}
    beside = {"is_waiting": False, "passed_over": []}
    assert run("collect", "live.db") == {**collected, **beside, "events": 3}
    assert run("collect", "live.db") == {**collected, **beside, "events": 0}
    recorder.close()


def test_import(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        builder = SessionBuilder(name)
        builder.begin()
        builder.end(3)
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(map(to_line, builder.events)))
    imported = run("import", "one.jsonl", "two.jsonl", "--unchecked", "-o", "all.db")
    assert imported["ledger"] == "all.db"
    assert [(one["source"], one["sessions"], one["duplicates"]) for one in imported["imported"]] == [
        ("one.jsonl", ["one"], 0), ("two.jsonl", ["two"], 0),
    ]  # fmt: skip
    again = run("import", "one.jsonl", "--unchecked", "-o", "all.db")
    assert again["imported"][0]["events"] == 0
    assert again["imported"][0]["duplicates"] == imported["imported"][0]["events"]


def test_sql(run: Run, ledger: Path) -> None:
    assert run("sql", "startup.db", "SELECT label FROM sessions") == [{"label": "cold"}]
    assert run("sql", "startup.db", "SELECT label FROM sessions WHERE 0") == []
    assert {row["--query"] for row in run("sql", "startup.db")} == set(saved_queries())


@pytest.mark.slow
def test_doctor(run: Run) -> None:
    found = run("doctor")
    assert found["is_good"]
    assert {"compile-ledger", "python", "sqlite"} <= {check["name"] for check in found["checks"]}


def test_an_error_is_a_line_on_stderr_and_no_json(tmp_path: Path) -> None:
    for name in ("report", "verify", "rebuild", "migrate", "collect"):
        command = [sys.executable, "-m", "ledger.cli", name, "nope.db", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert not os.listdir(tmp_path)
