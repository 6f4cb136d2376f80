"""The commands as a user runs them: what they print, their exit codes, and one line for what is wrong."""

import csv
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ledger import Ledger, Recorder
from ledger.cli import app
from ledger.cli.demo import print_comparison
from ledger.recording.journal import journal_folder
from ledger.storage.store import SCHEMA_VERSION
from tests.support.recordings import write_ledger

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ledger.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, **options)

    return run


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "startup.db"
    with Recorder.open(path, label="[red]first[/red]") as recorder:
        with recorder.stage("torch_compile", role="encoder", source="monitor", component="[bold]Block"):
            pass
        recorder.claim(16.77, source="monitor", role="encoder", text="torch.compile took 16.77 s in total")
        recorder.gap("missing_hook", detail="nothing to hook")
    Ledger.open(path).close()  # which projects it
    return path


def one_line(text: str) -> str:
    assert text.count("\n") == 1
    assert "Traceback" not in text
    return text


def test_every_command_has_help_with_an_example() -> None:
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert names
    for name in names:
        shown = CliRunner().invoke(app, [name, "--help"])
        assert shown.exit_code == 0
        assert "Example: compile-ledger" in shown.output, name


def test_the_list_of_commands_is_not_cut_off_in_80_columns() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    commands = shown.partition("Commands:")[2]
    assert commands.count("\n  ") >= len(app.registered_commands)
    assert "..." not in commands


def test_report_says_where_the_time_went_and_what_was_claimed(run: Run, ledger: Path) -> None:
    shown = run("report", "startup.db", "--all")
    assert shown.returncode == 0
    for text in ("[red]first[/red]", "completed", "encoder", "16.770", "torch.compile took", "missing_hook"):
        assert text in shown.stdout


def test_report_as_json_has_every_part(run: Run, ledger: Path) -> None:
    report = json.loads(run("report", "startup.db", "--json").stdout)
    assert report["session"]["label"] == "[red]first[/red]"
    assert [total["role"] for total in report["role_totals"]] == ["encoder"]
    assert report["claims"][0]["claimed_ns"] == 16_770_000_000
    assert [row["main_cause"] for row in report["reconciliation"]] == ["unexplained"]
    assert sum(cause["ns"] for cause in report["causes"]) == report["reconciliation"][0]["difference_ns"]


def test_sql_prints_tables_json_and_csv(run: Run, ledger: Path) -> None:
    query = "SELECT role, component, duration_s FROM intervals"
    assert "[bold]Block" in run("sql", "startup.db", query).stdout
    rows = json.loads(run("sql", "startup.db", query, "--format", "json").stdout)
    assert rows[0]["component"] == "[bold]Block"
    header, values = csv.reader(io.StringIO(run("sql", "startup.db", query, "-f", "csv").stdout))
    assert header == ["role", "component", "duration_s"]
    assert float(values[2]) == rows[0]["duration_s"]
    assert run("sql", "startup.db", "SELECT 1 WHERE 0").stdout == "no rows\n"
    assert "encoder" in run("sql", "startup.db", "-", input=query).stdout


def test_sql_without_a_query_lists_the_saved_ones_and_runs_them_by_name(run: Run, ledger: Path) -> None:
    assert "died_in" in run("sql", "startup.db").stdout
    assert "torch.compile took 16.77 s" in run("sql", "startup.db", "--query", "claims").stdout
    assert "no saved query 'nope'" in one_line(run("sql", "startup.db", "--query", "nope").stderr)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT no_such FROM events", "no such column"),
        ("DELETE FROM events", "Read-only: only SELECT is allowed"),
        ("UPDATE sessions SET label = 'x'", "Read-only: only SELECT is allowed"),
        ("PRAGMA query_only = off", "Read-only: only SELECT is allowed"),
        ("ATTACH 'other.db' AS other", "Read-only: only SELECT is allowed"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
    ],
)
def test_sql_refuses_bad_queries_and_writes_in_one_line(
    run: Run, ledger: Path, query: str, message: str
) -> None:
    shown = run("sql", "startup.db", query)
    assert shown.returncode == 2
    assert message in one_line(shown.stderr)
    with Ledger.open(ledger) as opened:
        assert opened.sessions()
        assert not (ledger.parent / "other.db").exists()


@pytest.mark.parametrize("command", ["report", "sql", "rebuild", "verify", "migrate", "collect"])
def test_what_is_no_ledger_is_said_in_one_line(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "text.db").write_text("this is no SQLite file, however long the text may be" * 40)
    foreign = sqlite3.connect(tmp_path / "foreign.db")
    foreign.execute("CREATE TABLE music (title)")
    foreign.close()
    for file, message in {
        "missing.db": "there is no ledger here",
        "text.db": "not a SQLite file",
        "foreign.db": "not a ledger",
    }.items():
        shown = run(command, file)
        assert shown.returncode == 2, (command, file, shown)
        assert message in one_line(shown.stderr)
    assert not (tmp_path / "missing.db").exists()


def test_a_newer_ledger_is_left_alone(run: Run, ledger: Path) -> None:
    connection = sqlite3.connect(ledger)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    shown = run("report", "startup.db")
    assert shown.returncode == 2
    assert "pip install -U" in one_line(shown.stderr)


def test_an_unknown_session_is_answered_with_ids_and_labels(run: Run, ledger: Path) -> None:
    shown = run("report", "startup.db", "--session", "nope")
    assert shown.returncode == 2
    with Ledger.open(ledger) as opened:
        assert f"the last ones are {opened.session()} “[red]first[/red]”" in one_line(shown.stderr)
        assert run("report", "startup.db", "--session", opened.session()[:17]).returncode == 0


def test_collect_takes_journals_into_the_ledger_or_into_another(run: Run, tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "live.db")
    recorder.milestone("engine_ready")
    elsewhere = run("collect", str(tmp_path), "-o", "all.db")
    assert "3 new events" in elsewhere.stdout
    assert journal_folder(tmp_path / "live.db").exists()
    assert (
        "3 new events, 0 already in the ledger, 0 rejected lines; 0 journals finished, 1 left"
        in run("collect", "live.db").stdout
    )
    assert "0 new events" in run("collect", "live.db").stdout
    assert "name the ledger" in one_line(run("collect", str(tmp_path)).stderr)
    recorder.close()


def test_rebuild_derives_the_same_again(run: Run, ledger: Path) -> None:
    def everything() -> list[list[dict[str, object]]]:
        with Ledger.open(ledger) as opened:
            return [
                opened.sql(f"SELECT * FROM {name}")
                for name in ("sessions", "intervals", "role_totals", "gaps")
            ]

    before = everything()
    assert "1 session rebuilt" in run("rebuild", "startup.db").stdout
    assert everything() == before


def test_verify_finds_nothing_in_a_sound_ledger(run: Run, ledger: Path) -> None:
    shown = run("verify", "startup.db")
    assert (shown.returncode, shown.stdout) == (0, "startup.db: no fault found\n")


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        ("DROP TRIGGER events_no_update", "missing_trigger"),
        ("UPDATE role_totals SET total_ns = total_ns + 1", "wrong_projection"),
        ("DROP TRIGGER events_no_delete; DELETE FROM events WHERE seq = 3", "lost_events"),
    ],
)
def test_verify_finds_what_was_done_to_a_ledger(run: Run, ledger: Path, harm: str, found: str) -> None:
    connection = sqlite3.connect(ledger)
    connection.executescript(harm)
    connection.close()
    shown = run("verify", "startup.db")
    assert shown.returncode == 1
    assert f"FAULT {found}" in shown.stdout


def test_verify_finds_a_damaged_page_and_a_journal_left_behind(
    run: Run, ledger: Path, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-c", "import os; from ledger import Recorder; r = Recorder.open('startup.db');"
         "r.milestone('ready'); os.kill(os.getpid(), 9)"],
        cwd=tmp_path, check=False,
    )  # fmt: skip
    shown = run("verify", "startup.db")
    assert shown.returncode == 1
    assert "FAULT journal_left_behind" in shown.stdout
    with ledger.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xa5" * 4096)
    shown = run("verify", "startup.db")
    assert shown.returncode == 1
    assert "damaged" in shown.stdout


def test_migrate_says_the_schema(run: Run, ledger: Path) -> None:
    assert run("migrate", "startup.db").stdout == f"startup.db: schema {SCHEMA_VERSION}\n"


@pytest.mark.slow
def test_doctor_finds_that_torch_would_be_recorded(run: Run) -> None:
    shown = run("doctor")
    assert shown.returncode == 0, shown
    assert "record_chromium_event_internal" in shown.stdout
    assert "BAD" not in shown.stdout


@pytest.mark.slow
def test_the_demo_compiles_cold_and_warm_and_compares(run: Run, tmp_path: Path) -> None:
    shown = run("demo", "-o", "demo.db", "--json")
    assert shown.returncode == 0, shown
    answer = json.loads(shown.stdout)
    with Ledger.open(tmp_path / "demo.db") as opened:
        rows = opened.sql(
            "SELECT s.label, r.role, r.total_ns FROM role_totals r JOIN sessions s USING (session) "
            "WHERE r.activity = 'compile' ORDER BY 1, 2"
        )
        windows = opened.sql("SELECT ended_by, duration_ns, unattributed_ns FROM startup_windows")
        generated = opened.sql(
            "SELECT s.label, count(*) AS graphs FROM intervals i JOIN sessions s USING (session) "
            "WHERE i.stage = 'fx_codegen_and_compile' GROUP BY s.label"
        )
        printed = io.StringIO()
        print_comparison(opened, answer["sessions"], Console(file=printed, width=100))
    assert [(row["label"], row["role"]) for row in rows] == [
        ("demo cold", "encoder"), ("demo cold", "language_model"),
        ("demo warm", "encoder"), ("demo warm", "language_model"),
    ]  # fmt: skip
    # From the command to its end, nearly all of each run is in a stage.
    assert [window["ended_by"] for window in windows] == ["command_ended", "command_ended"]
    assert all(int(str(one["unattributed_ns"])) < 0.03 * int(str(one["duration_ns"])) for one in windows)
    # The warm run took both of its graphs out of the cache.
    assert generated == [{"label": "demo cold", "graphs": 2}]
    assert [times["role"] for times in answer["compiling"]] == ["encoder", "language_model"]
    times_of = {
        (f"demo {run}", times["role"]): times[f"{run}_ns"]
        for times in answer["compiling"]
        for run in ("cold", "warm")
    }
    assert times_of == {(row["label"], row["role"]): row["total_ns"] for row in rows}
    for ns in times_of.values():
        assert f"{ns / 1e9:.3f}" in printed.getvalue()


def test_a_report_imports_neither_what_other_commands_need_nor_what_reduces(tmp_path: Path) -> None:
    """pandas alone, which sqlite-utils imports where it is installed, takes as long as all the rest."""
    path = tmp_path / "startup.db"
    write_ledger("demo", path)
    program = """
import json, sys
from ledger.cli import main
try:
    main()
except SystemExit as ended:
    print(json.dumps([ended.code, *sorted(sys.modules)]))
"""
    command = [sys.executable, "-c", program, "report", str(path)]
    shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    code, *modules = json.loads(shown.splitlines()[-1])
    assert not code
    assert "ledger.reports.first_screen" in modules
    for name in (
        *("pandas", "pyarrow", "sqlite_utils", "torch", "ledger.analysis", "ledger.interchange"),
        *("ledger.cli.bench", "ledger.timeline.reconciliation", "ledger.timeline.findings.rules"),
    ):
        assert name not in modules
