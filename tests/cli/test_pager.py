"""Output that is longer than the terminal goes to the pager, on a terminal of 30 lines; all else does not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.testing import SessionBuilder
from tests.support.small_ledgers import write_sessions
from tests.support.terminals import Terminal, terminal
from tests.support.waiting import wait_until

PAGER = "import sys; text = sys.stdin.read(); print('PAGED', text.count('\\n'), text.split()[-1])"
ROWS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
    "SELECT printf('row %05d', i) AS x FROM n"
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    builders: list[SessionBuilder] = []
    for label, ends_s in (("before", 1), ("after", 2)):
        builder = SessionBuilder(label)
        builder.begin(label=label)
        for number in range(20):
            start = builder.start(number * 10_000_000_000, f"stage_{number}", activity="compile")
            builder.stop(number * 10_000_000_000 + ends_s * 1_000_000_000, start)
        builder.end(300_000_000_000)
        builders.append(builder)
    return write_sessions(tmp_path / "startup.db", *builders)


@pytest.fixture
def pager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pager that says how many lines it got, and the last of them."""
    script = tmp_path / "a pager.py"
    script.write_text(PAGER)
    monkeypatch.setenv("PAGER", f"{sys.executable} '{script}'")
    return script


def on_terminal(*arguments: str) -> str:
    """Return what a command shows on a terminal, once it has ended well."""
    with terminal([sys.executable, "-m", "ledger.cli", *arguments]) as opened:
        assert opened.finish() == 0
        return opened.screen.decode()


def finish(opened: Terminal, keys: str) -> int:
    opened.type(keys)
    return opened.finish()


def test_what_is_longer_than_the_terminal_is_paged(ledger: Path, pager: Path) -> None:
    shown = on_terminal("sql", str(ledger), ROWS.format(100))
    assert "PAGED" in shown
    assert "00100" in shown
    assert "row 00050" not in shown


def test_what_fits_is_not(ledger: Path, pager: Path) -> None:
    shown = on_terminal("sql", str(ledger), ROWS.format(10))
    assert "PAGED" not in shown
    assert "row 00010" in shown


def test_a_comparison_is_paged(ledger: Path, pager: Path) -> None:
    assert "PAGED" in on_terminal("diff", "before", "after", "--ledger", str(ledger))
    shown = on_terminal("diff", "before", "after", "--ledger", str(ledger), "--no-pager")
    assert "PAGED" not in shown
    assert "Stages that differ" in shown


def test_a_whole_report_is_paged_and_its_first_screen_is_not(ledger: Path, pager: Path) -> None:
    assert "PAGED" in on_terminal("report", str(ledger), "--all")
    assert "PAGED" not in on_terminal("report", str(ledger), "--all", "--no-pager")
    assert "PAGED" not in on_terminal("report", str(ledger))
    command = [sys.executable, "-m", "ledger.cli", "report", str(ledger), "--all", "--color", "always"]
    assert "PAGED" not in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("value", ["", "cat", "no-such-pager-anywhere", "less '"])
def test_without_a_pager_it_is_printed(ledger: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", value)
    shown = on_terminal("sql", str(ledger), ROWS.format(100))
    assert "row 00050" in shown


def test_no_pager_on_demand_for_json_and_where_there_is_no_terminal(ledger: Path, pager: Path) -> None:
    for option in ("--no-pager", "--json"):
        shown = on_terminal("sql", str(ledger), ROWS.format(100), option)
        assert "PAGED" not in shown
        assert "row 00050" in shown
    command = [sys.executable, "-m", "ledger.cli", "sql", str(ledger), ROWS.format(100)]
    piped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "PAGED" not in piped
    assert "row 00050" in piped


def test_a_pager_that_is_left_early_is_no_failure(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "true")
    assert "row 0" not in on_terminal("sql", str(ledger), ROWS.format(20_000))


@pytest.mark.skipif(shutil.which("less") is None, reason="needs less")
@pytest.mark.parametrize("first", ["", "\x03"], ids=["left", "interrupted and left"])
def test_less_shows_it_and_is_left(ledger: Path, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAGER", raising=False)
    monkeypatch.delenv("LESS", raising=False)
    with terminal([sys.executable, "-m", "ledger.cli", "sql", str(ledger), ROWS.format(200)]) as opened:
        opened.wait_for("row 00020")
        assert "row 00150" not in opened.screen.decode()
        opened.type(first)
        # What is typed while a pager deals with an interrupt may be dropped.
        wait_until(lambda: opened.type("G") or (opened.read() and b"row 00200" in opened.screen), "the end")
        assert finish(opened, "q") == 0
        assert os.isatty(opened.ours)
