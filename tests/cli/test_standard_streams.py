"""A reader that leaves is no failure, a full disk is one line, and a failed check fails whoever reads it."""

import os
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.events.rows import to_row
from ledger.storage.ledger import Ledger
from ledger.storage.store import Store
from ledger.testing import SessionBuilder

MANY_ROWS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
    "SELECT i, 'x' || i FROM n"
)
BUDGET = '[[total]]\nactivity = "compile"\nat_most = "0 s"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a ledger of two labelled sessions, and a budget that they are over."""
    store = Store.open(tmp_path / "startup.db")
    for label in ("before", "after"):
        builder = SessionBuilder(label)
        builder.begin(label=label)
        builder.stop(2, builder.start(1, "dynamo"))
        builder.end(3)
        with store.transaction():
            store.append(list(map(to_row, builder.events)))
    store.close()
    Ledger.open(tmp_path / "startup.db").close()
    (tmp_path / "budget.toml").write_text(BUDGET)
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ledger.cli", *arguments]


def without_reader(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command whose standard output is a pipe that nobody reads; return exit code and stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command(*arguments), stdout=writing, stderr=subprocess.PIPE, text=True, cwd=folder, check=False
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr


READ = [
    ["report", "startup.db"],
    ["report", "startup.db", "--json"],
    ["report", "startup.db", "--flame", "-"],
    ["sql", "startup.db", "SELECT 1"],
    ["sql", "startup.db", MANY_ROWS],
    ["sql", "startup.db", MANY_ROWS, "--json"],
    ["sql", "startup.db", MANY_ROWS, "--format", "csv"],
    ["diff", "before", "after"],
    ["diff", "before", "after", "--json"],
    ["replay", "startup.db", "--json"],
    ["export", "startup.db"],
    ["verify", "startup.db"],
    ["--help"],
    ["--version"],
]


@pytest.mark.parametrize("arguments", READ, ids=lambda arguments: " ".join(arguments)[:40])
def test_a_reader_that_has_left_is_no_failure(folder: Path, arguments: list[str]) -> None:
    code, stderr = without_reader(folder, *arguments)
    assert code == 0, stderr
    assert "Error" not in stderr
    assert "BrokenPipe" not in stderr


@pytest.mark.parametrize("arguments", [["sql", "startup.db", MANY_ROWS], ["diff", "before", "after"]])
def test_a_shell_that_looks_at_every_exit_code_sees_none(folder: Path, arguments: list[str]) -> None:
    script = f"set -o pipefail; {shlex.join(command(*arguments))} | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=folder, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


def test_a_check_that_fails_does_so_whoever_reads_it(folder: Path) -> None:
    assert without_reader(folder, "check", "startup.db", "--budget", "budget.toml") == (1, "")
    assert without_reader(folder, "check", "startup.db", "--budget", "budget.toml", "--json") == (1, "")
    connection = sqlite3.connect(folder / "startup.db")
    connection.execute("UPDATE role_totals SET total_ns = total_ns + 1")
    connection.commit()
    connection.close()
    assert without_reader(folder, "verify", "startup.db") == (1, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["report", "startup.db"], ["sql", "startup.db", MANY_ROWS], ["-h"]])
def test_a_full_disk_is_one_line(folder: Path, arguments: list[str], unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, cwd=folder, check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "compile-ledger: standard output: can't be written (No space left on device)\n"


@pytest.mark.parametrize("arguments", [["report", "startup.db"], ["export", "startup.db", "-o", "out.jsonl"]])
def test_nothing_is_lost_where_standard_error_can_not_be_written(folder: Path, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command(*arguments), stdout=subprocess.PIPE, stderr=full, text=True, cwd=folder, check=False
        )
    assert done.returncode == 0
    assert bool(done.stdout) != (folder / "out.jsonl").exists()


def test_wrong_use_stays_wrong_use_where_nobody_reads_why(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command("report", "nope.db"), stderr=writing, cwd=folder, check=False)
    os.close(writing)
    assert done.returncode == 2
