"""Wrong use is answered in one line, with what was probably meant; `-h` is help, like `--help`."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ledger.cli import app


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ledger.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["repot", "x.db"], "compile-ledger: no such command 'repot'; did you mean report or export?"),
        (["xyzzy"], "compile-ledger: no such command 'xyzzy'; see `compile-ledger --help`"),
        (["--verson"], "compile-ledger: no such option: --verson; did you mean --version?"),
        (["report", "--jsn", "x.db"], "compile-ledger report: no such option: --jsn; did you mean --json?"),
        (["report", "x.db", "--xyzzy"], "compile-ledger report: no such option: --xyzzy; see"),
        (["report"], "compile-ledger: name a ledger, or the Parquet files of many machines"),
        (["sql"], "compile-ledger sql: missing argument"),
        (["report", "x.db", "y.db"], "compile-ledger report: got unexpected extra argument"),
        (["report", "x.db", "--html"], "option '--html' requires an argument; see"),
        (["check", "x.db"], "compile-ledger check: missing option '--budget' / '-b'; see"),
        (["sql", "x.db", "--format", "xml"], "compile-ledger sql: invalid value for '--format' / '-f': "),
        (["record", "--lable", "x", "--", "true"], "compile-ledger record: no such option: --lable; did you"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], line: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert line in done.stderr
    assert done.stderr.startswith("compile-ledger")
    assert done.stderr.count("\n") == 1


def test_options_after_a_recorded_command_are_the_commands(tmp_path_factory: pytest.TempPathFactory) -> None:
    ledger = tmp_path_factory.mktemp("recorded") / "startup.db"
    program = "import sys; print(sys.argv[1:])"
    done = run("record", "-q", "-o", str(ledger), sys.executable, "-c", program, "--lable", "-h", "--help")
    assert (done.returncode, done.stdout) == (0, "['--lable', '-h', '--help']\n")


def test_no_command_at_all_shows_the_help() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: compile-ledger" in done.stderr
    assert "report" in done.stderr


@pytest.mark.parametrize(
    "name", ["", *(one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands)]
)
def test_h_is_help(name: str) -> None:
    short, long = (CliRunner().invoke(app, [*filter(None, [name]), option]) for option in ("-h", "--help"))
    assert (short.exit_code, short.output) == (0, long.output)
