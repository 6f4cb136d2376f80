"""Whatever file a command is given: it ends, in a moment, with its exit code and a line, and no traceback."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

from ledger.cli import main
from ledger.errors import LedgerDamaged
from ledger.storage.sqlite_errors import translate_sqlite_error
from tests.support import hostile_inputs
from tests.support.hostile_inputs import EVIL, MAKE, NAMES
from tests.support.waiting import DEADLINE_S

CLI = [sys.executable, "-m", "ledger.cli"]
ENDS_WITHIN_S = 60
"""A deadline against hanging, which nothing is timed by."""
BUDGET = '[[total]]\nactivity = "compile"\nat_most = "0 s"\n'
GOOD = "good.db"

COMMANDS = {
    "report": ("report", "FILE"),
    "all of the report": ("report", "FILE", "--all"),
    "report as JSON": ("report", "FILE", "--json"),
    "page": ("report", "FILE", "--html", "page.html", "--force"),
    "page into it": ("report", GOOD, "--html", "FILE"),
    "flame graphs": ("report", "FILE", "--flame", "flame.json", "--force"),
    "sql": ("sql", "FILE", "SELECT * FROM events"),
    "sql as CSV": ("sql", "FILE", "SELECT * FROM events", "-f", "csv"),
    "sql as JSON": ("sql", "FILE", "SELECT * FROM events", "--json"),
    "saved query": ("sql", "FILE", "-q", "slowest"),
    "replay": ("replay", "FILE"),
    "replay as JSON": ("replay", "FILE", "--json"),
    "replay of text": ("replay", "--from", "FILE"),
    "diff": ("diff", "before", "after", "--ledger", "FILE"),
    "diff of files": ("diff", "FILE", GOOD),
    "check": ("check", "FILE", "--budget", "budget.toml"),
    "check by it": ("check", GOOD, "--budget", "FILE"),
    "check against it": ("check", GOOD, "--budget", "budget.toml", "--baseline", "FILE"),
    "import": ("import", "FILE", "-o", "imported.db"),
    "import into it": ("import", "session.jsonl", "-o", "FILE"),
    "export": ("export", "FILE", "-o", "out.jsonl", "--force"),
    "export, redacted": ("export", "FILE", "--redact", "-o", "out.jsonl", "--force"),
    "export to the terminal": ("export", "FILE", "--format", "prometheus"),
    "export into it": ("export", GOOD, "-o", "FILE"),
    "perfetto": ("export", "FILE", "--format", "chrome", "-o", "out.json", "--force"),
    "collect": ("collect", "FILE"),
    "collect into it": ("collect", "folder", "-o", "FILE"),
    "rebuild": ("rebuild", "FILE"),
    "verify": ("verify", "FILE"),
    "verify as JSON": ("verify", "FILE", "--json"),
    "migrate": ("migrate", "FILE"),
    "watch": ("watch", "FILE"),
    "merge": ("merge", "FILE", "-o", "imported.db"),
}
WAITS = {("watch", "missing"), ("watch", "empty"), ("watch", "a link to nothing")}
"""For the first session of a ledger, as it is meant to."""

NOT_READ_AS_LEDGER = (
    "watch", "page into it", "import", "replay of text", "check by it", "check against it", "export into it",
)  # fmt: skip


class Ran(NamedTuple):
    code: object
    stdout: str
    stderr: str


@contextmanager
def deadline() -> Iterator[None]:
    def too_late(number: int, _: FrameType | None) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(ENDS_WITHIN_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(*arguments: str) -> Ran:
    """Run a command in this process: what is printed must be valid UTF-8."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code: object = None
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch, deadline():
        patch.setattr(sys, "argv", ["compile-ledger", *arguments])
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return Ran(code or 0, *texts)


def assert_is_clear(ran: Ran, *, lines: int = 1) -> None:
    """Assert what goes for every command: exit code, a line at most on stderr, nothing for the terminal."""
    assert ran.code in (0, 1, 2), ran
    assert "Traceback" not in ran.stdout + ran.stderr
    for text in (ran.stdout, ran.stderr):
        assert [one for one in text if not one.isprintable() and one not in "\n\t\r"] == []
    assert "\r" not in ran.stderr
    if ran.code == 2:
        assert ran.stderr.startswith("compile-ledger"), ran
        assert ran.stderr.count("\n") <= lines, ran
        assert len(ran.stderr) > len("compile-ledger: x")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    hostile_inputs.ledger(folder / GOOD)
    (folder / "budget.toml").write_text(BUDGET)
    (folder / "folder").mkdir()
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    if not (folder / "session.jsonl").exists():
        assert run("export", GOOD, "-o", "session.jsonl").code == 0
    return folder


def removed(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    elif os.path.lexists(path):
        path.unlink()


@pytest.mark.parametrize("kind", MAKE)
def test_every_command_answers_every_file(inside: Path, kind: str) -> None:
    for name, command in COMMANDS.items():
        if (name, kind) in WAITS:
            continue
        path = inside / "startup.db"
        removed(path)
        removed(inside / "imported.db")
        MAKE[kind](path)
        ran = run(*(part.replace("FILE", "startup.db") for part in command))
        try:
            assert_is_clear(ran, lines=3 if name == "check by it" else 2 if ran.code != 2 else 1)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None
        assert not list(inside.glob(".*")), name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["missing", "text", "good"])
def test_every_command_answers_a_file_of_any_name(inside: Path, name: str, kind: str) -> None:
    for title, command in COMMANDS.items():
        path = inside / NAMES[name]
        if name != "too long":
            removed(path)
            MAKE[kind](path)
        elif kind != "missing":
            continue
        if title == "watch" and kind == "missing":
            continue
        given = f"./{path.name}"
        ran = run(*(part.replace("FILE", given) for part in command))
        try:
            assert_is_clear(ran, lines=3 if title == "check by it" else 2)
        except AssertionError as error:
            raise AssertionError(f"{title}: {error}") from None


@pytest.mark.parametrize("place", ["label", "text", "path"])
def test_what_is_named_in_an_error_gives_no_orders(inside: Path, place: str) -> None:
    evil = EVIL.replace("/", "")
    arguments = {
        "label": ("report", GOOD, "--session", evil),
        "text": ("sql", GOOD, f"SELECT {evil}"),
        "path": ("report", evil),
    }[place]
    ran = run(*arguments)
    assert ran.code == 2
    assert_is_clear(ran)


def test_an_empty_file_stays_empty(inside: Path) -> None:
    for command in COMMANDS.values():
        if command[0] in ("watch", "import", "replay") or "FILE" in (command[-1], command[2:3]):
            continue
        path = inside / "notes.txt"
        path.write_bytes(b"")
        run(*(part.replace("FILE", "notes.txt") for part in command))
        assert path.read_bytes() == b"", command


def test_an_emptied_table_of_versions_and_rows_that_are_no_events_are_found_by_verify(inside: Path) -> None:
    for kind, fault in {"no versions": "wrong_versions", "no stage": "invalid_event"}.items():
        path = inside / "faulty.db"
        removed(path)
        MAKE[kind](path)
        ran = run("verify", "faulty.db")
        assert ran.code == 1
        assert fault in ran.stdout


@pytest.fixture
def locked(inside: Path) -> Iterator[Path]:
    path = hostile_inputs.ledger(inside / "locked.db")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield path
    connection.execute("ROLLBACK")
    connection.close()
    path.unlink()


@pytest.mark.slow
def test_every_command_says_that_a_ledger_is_locked(locked: Path) -> None:
    running: dict[str, subprocess.Popen[str]] = {}
    for name, command in COMMANDS.items():
        if name in NOT_READ_AS_LEDGER:
            continue
        arguments = [part.replace("FILE", "locked.db") for part in command]
        running[name] = subprocess.Popen(
            [*CLI, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    for name, process in running.items():
        stdout, stderr = process.communicate(timeout=3 * DEADLINE_S)
        assert (process.returncode, stdout) in ((2, ""), (1, stdout)), (name, stdout, stderr)
        assert "another process is writing to it" in stderr + stdout, name
        assert "Traceback" not in stderr, name
        if name in ("import into it", "collect", "collect into it", "rebuild", "migrate"):
            assert "waiting for it" in stderr, name


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"


class TestQueriesWithoutEnd:
    def test_a_table_stops_after_so_many_rows_and_says_so(self, inside: Path) -> None:
        ran = run("sql", GOOD, ENDLESS.format("i"))
        assert ran.code == 0
        assert "first 10,000 rows" in ran.stderr
        assert ran.stdout.splitlines()[-2].strip() == "10000"

    def test_a_query_that_gives_no_row_is_given_up(self, inside: Path) -> None:
        ran = run("sql", GOOD, ENDLESS.format("count(*)"), "--timeout", "0.2")
        assert ran.code == 2
        assert "no row came for 0.2 s; --timeout" in ran.stderr

    @pytest.mark.parametrize("what", ["i", "count(*)"])
    def test_it_ends_by_ctrl_c(self, inside: Path, what: str) -> None:
        command = [*CLI, "sql", GOOD, ENDLESS.format(what), "--format", "csv", "--timeout", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            if what == "i":
                assert process.stdout is not None
                process.stdout.read(5)
            else:
                wait_for_query(process)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, stderr) == (130, b"")


def wait_for_query(process: "subprocess.Popen[bytes]") -> None:
    """Wait until a process has used more processor time than starting takes."""
    from tests.support.waiting import wait_until

    ticks = os.sysconf("SC_CLK_TCK")

    def used_s() -> float:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    wait_until(lambda: used_s() > 2.0, "the query to run")


class TestFormulas:
    @pytest.mark.parametrize(
        "text",
        [
            "=1+1",
            "+1 x",
            "-1+2",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\N{FULLWIDTH EQUALS SIGN}1",
            "=cmd|' /C calc'!A0",
        ],
    )
    def test_a_text_that_is_one_is_made_a_text(self, inside: Path, text: str) -> None:
        ran = run("sql", GOOD, f"SELECT '{text.replace(chr(39), chr(39) * 2)}' AS a", "-f", "csv")
        row = ran.stdout.splitlines()[1]
        assert row.lstrip('"').startswith("'")

    @pytest.mark.parametrize("text", ["-5", "+3.5e7", "a=b", "1-2", ""])
    def test_a_number_and_any_other_text_stays(self, inside: Path, text: str) -> None:
        assert run("sql", GOOD, f"SELECT '{text}' AS a, 1 AS b", "-f", "csv").stdout == f"a,b\r\n{text},1\r\n"

    def test_names_of_columns_are_texts_too(self, inside: Path) -> None:
        assert run("sql", GOOD, 'SELECT 1 AS "=1+1"', "-f", "csv").stdout == "'=1+1\r\n1\r\n"


def test_bytes_have_a_form_in_every_format(inside: Path) -> None:
    query = "SELECT x'00ff' AS a, CAST(x'ff41' AS TEXT) AS b"
    assert '"encoded": "AP8="' in run("sql", GOOD, query, "--json").stdout
    assert run("sql", GOOD, query, "-f", "csv").stdout == "a,b\r\n00ff,\N{REPLACEMENT CHARACTER}A\r\n"
    assert "\N{REPLACEMENT CHARACTER}A" in run("sql", GOOD, query).stdout


def spawn(*arguments: str, **more: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([*CLI, *arguments], timeout=DEADLINE_S, check=False, stderr=subprocess.PIPE, **more)


class TestStandardOutput:
    COMMANDS = (
        ("report", GOOD), ("report", GOOD, "--json"), ("sql", GOOD, "SELECT 1"),
        ("sql", GOOD, "SELECT 1", "-f", "csv"), ("replay", GOOD, "--json"),
        ("diff", "before", "after", "-l", GOOD), ("verify", GOOD), ("export", GOOD),
        ("migrate", GOOD), ("rebuild", GOOD), ("collect", GOOD), ("--help",), ("--version",),
        ("check", GOOD, "-b", "budget.toml"), ("import", "session.jsonl", "-o", "again.db"),
    )  # fmt: skip

    @pytest.mark.parametrize("command", COMMANDS)
    def test_that_is_full_is_one_line(self, inside: Path, command: tuple[str, ...]) -> None:
        with open("/dev/full", "wb") as full:
            ran = spawn(*command, stdout=full)
        assert ran.returncode in (1, 2)
        assert ran.stderr.count(b"\n") == 1
        assert b"standard output: can't be written" in ran.stderr

    @pytest.mark.parametrize("command", COMMANDS)
    def test_that_is_closed_is_no_traceback(self, inside: Path, command: tuple[str, ...]) -> None:
        ran = spawn(*command, preexec_fn=lambda: os.close(1))
        assert ran.returncode in (0, 1, 2)
        assert b"Traceback" not in ran.stderr
        assert ran.stderr.count(b"\n") <= 1

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
    def test_in_any_encoding(self, inside: Path, encoding: str) -> None:
        hostile_inputs.ledger(inside / "snow.db", "\N{SNOWMAN}\ufeff")
        ran = spawn(
            "report",
            "snow.db",
            "--all",
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        assert (ran.returncode, ran.stderr) == (0, b"")
        (inside / "snow.db").unlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_unfinished_file(inside: Path, number: signal.Signals) -> None:
    program = f"""
import os, signal
# Who runs the tests in the background has them ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from ledger.interchange import exporters
real = exporters.export
def export(*arguments, **more):
    pieces = real(*arguments, **more)
    yield next(pieces)
    os.kill(os.getpid(), {int(number)})
    yield from pieces
exporters.export = export
from ledger.cli import main
main()
"""
    command = [sys.executable, "-c", program, "export", GOOD, "-o", "cut.jsonl"]
    ran = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False)
    assert ran.returncode == (130 if number == signal.SIGINT else -number)
    assert b"Traceback" not in ran.stderr
    assert [path.name for path in inside.iterdir() if "cut" in path.name] == []


def test_ctrl_c_while_the_commands_are_imported_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport nothing"
    )
    program = "from ledger_birth.command import main; main()"
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", program, "report", GOOD], capture_output=True, check=False, env=variables
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("place", ["importers.import_into", "projections.bring_up_to_date"])
def test_ctrl_c_during_an_import_is_no_traceback(inside: Path, place: str) -> None:
    module = place.partition(".")[0]
    room = "interchange" if module == "importers" else "storage"
    program = f"""
import os, signal
from ledger.{room} import {module}
real = {place}
def interrupted(*arguments, **more):
    os.kill(os.getpid(), signal.SIGINT)
    return real(*arguments, **more)
{place} = interrupted
from ledger.cli import main
main()
"""
    command = [sys.executable, "-c", program, "import", "session.jsonl", "-o", "interrupted.db"]
    ran = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False)
    assert ran.returncode == 130
    assert ran.stderr == b""
    assert run("verify", "interrupted.db").code == 0
    removed(inside / "interrupted.db")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in MAKE if kind not in ("missing", "empty")])
def test_record_says_before_it_starts_anything_that_it_can_not_record_there(inside: Path, kind: str) -> None:
    path = inside / "recorded.db"
    removed(path)
    MAKE[kind](path)
    ran = spawn("record", "-o", path.name, "--", "sh", "-c", "echo started", stdout=subprocess.PIPE)
    assert b"Traceback" not in ran.stderr
    assert (ran.returncode, ran.stdout) in ((125, b""), (0, b"started\n"))
    assert ran.returncode == 0 or ran.stderr.count(b"\n") == 1
    removed(path)
    folder = inside / "recorded.db.journal"
    if folder.exists():
        folder.rmdir()


@pytest.mark.parametrize("text", ["disk I/O error", "unable to open database file"])
def test_a_disk_that_fails_is_not_called_damage(tmp_path: Path, text: str) -> None:
    fault = translate_sqlite_error(tmp_path / "x.db", sqlite3.OperationalError(text))
    assert not isinstance(fault, LedgerDamaged)
    assert "damaged" not in str(fault)


def test_too_many_open_files_are_said_to_be_that(inside: Path) -> None:
    program = f"""
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from ledger import Ledger, LedgerError
import ledger.cli, ledger.storage.collector, ledger_migrations.migrations
opened = []
try:
    while True:
        opened.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
try:
    Ledger.open({str(inside / GOOD)!r})
except LedgerError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "too many open files" in ran.stdout, ran.stderr
    assert "damaged" not in ran.stdout
