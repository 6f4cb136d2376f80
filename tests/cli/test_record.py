"""`record`: its exit codes, signals, output and live view, with real processes and a real terminal."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ledger.cli.console.screen import Output
from ledger.storage.ledger import Ledger
from ledger.storage.queries import saved_query
from tests.support.terminals import Terminal, terminal
from tests.support.waiting import DEADLINE_S

# sqlite-utils imports these two where they are installed, which takes longer than all else here.
UNNEEDED = "import sys; sys.modules.update(numpy=None, pandas=None); "
PROGRAM = [sys.executable, "-c", f"{UNNEEDED}from ledger.cli import main; main()"]
IS_ROOT = os.geteuid() == 0
NOBODY = 65534
INTO = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"

COUNT_SIGNALS = """
import json, signal, sys, time
counts = {}
def count(number, _):
    name = signal.Signals(number).name
    counts[name] = counts.get(name, 0) + 1
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, count)
print("ready", flush=True)
end = time.monotonic() + 60
while len(counts) < int(sys.argv[1]) and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.2)
print(json.dumps(counts), flush=True)
raise SystemExit(7)
"""


def arguments(path: Path, *command: str, options: tuple[str, ...] = ()) -> list[str]:
    return [*PROGRAM, "record", "-o", str(path), *options, "--", *command]


def python(program: str, *args: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program, *args)


def run(path: Path, *command: str, **rest: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        arguments(path, *command), capture_output=True, timeout=DEADLINE_S, check=False, **rest
    )


def rows(path: Path, query: str) -> list[dict[str, object]]:
    with Ledger.open(path) as opened:
        return opened.sql(query)


def outcome(path: Path) -> object:
    return rows(path, "SELECT outcome FROM sessions")[0]["outcome"]


class TestHeldOutput:
    def test_gives_whole_lines_at_once_and_the_rest_after_a_pause(self) -> None:
        output = Output()
        assert output.take(b"one\ntwo\nthr") == b"one\ntwo\n"
        assert output.take(b"ee") == b""
        assert output.flush() == b"three"
        assert output.flush() == b""
        assert output.take(b"\nfour") == b"\n"
        assert output.finish() == b"four\r\n"
        assert output.finish() == b"\r\n"

    def test_ends_no_line_that_has_ended(self) -> None:
        output = Output()
        assert output.finish() == b""
        assert output.take(b"one\n") == b"one\n"
        assert output.finish() == b""

    @pytest.mark.parametrize("cut", [b"\x1b", b"\x1b[", b"\x1b[38;5", b"\x1b]8;;http", b"\xc3", b"\xe2\x80"])
    def test_never_ends_within_an_escape_or_a_character(self, cut: bytes) -> None:
        output = Output()
        output.take(b"bar " + cut)
        assert output.flush() == b"bar "
        assert output.finish().startswith(cut)

    def test_gives_a_long_line_as_it_comes(self) -> None:
        output = Output()
        data = b"\r50%" * 20_000
        assert output.take(data) == data

    def test_knows_the_lines_below_the_cursor(self) -> None:
        output = Output()
        output.take(b"\nsecond bar\x1b[A\rfirst bar")
        output.flush()
        assert output.lines_below == 1
        output.take(b"\n\n")
        assert output.lines_below == 0


class TestExitCode:
    @pytest.mark.parametrize("code", [0, 3])
    def test_is_the_commands(self, path: Path, code: int) -> None:
        done = run(path, "sh", "-c", f"exit {code}")
        assert done.returncode == code
        assert outcome(path) == ("failed" if code else "completed")
        names = [row["name"] for row in rows(path, "SELECT name FROM milestones ORDER BY at_ns")]
        assert names == ["command_started", "command_ended"]

    def test_is_128_and_the_signal_that_killed_it(self, path: Path) -> None:
        assert run(path, "sh", "-c", "kill -9 $$").returncode == 128 + 9
        assert outcome(path) == "failed"

    def test_is_127_for_what_does_not_exist(self, path: Path, tmp_path: Path) -> None:
        done = run(path, "no-such-command")
        assert (done.returncode, done.stdout) == (127, b"")
        assert done.stderr.count(b"\n") == 1
        assert b"no-such-command" in done.stderr
        assert outcome(path) == "failed"
        script = tmp_path / "script"
        script.write_text("#!/no/such/interpreter\n")
        script.chmod(0o755)
        done = run(path, str(script))
        assert done.returncode == 127
        assert b"interpreter" in done.stderr

    def test_is_126_for_what_cannot_be_executed(self, path: Path, tmp_path: Path) -> None:
        file = tmp_path / "data.txt"
        file.write_text("no program")
        done = run(path, str(file))
        assert (done.returncode, done.stdout) == (126, b"")
        assert done.stderr.count(b"\n") == 1
        assert str(file).encode() in done.stderr
        assert outcome(path) == "failed"

    def test_stays_the_commands_where_nobody_reads_stderr(self, path: Path) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(arguments(path, "sh", "-c", "exit 3"), stderr=writing, check=False)
        os.close(writing)
        assert done.returncode == 3

    def test_stays_the_commands_where_stderr_is_closed(self, path: Path) -> None:
        command = arguments(path, "sh", "-c", "echo nobody >&2; exit 3")
        done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *command], capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")
        assert rows(path, "SELECT * FROM rejected_lines") == []


class TestProcessExit:
    def test_is_from_the_last_event_of_the_command_s_process_to_its_end(self, path: Path) -> None:
        program = "import os; print(os.getpid())"
        done = subprocess.run(arguments(path, *python(program)), check=True, capture_output=True, text=True)
        with Ledger.open(path) as ledger:
            timeline = ledger.timeline()
        (exit_,) = [interval for interval in timeline.intervals if interval.stage == "process_exit"]
        assert (exit_.outcome, exit_.source, exit_.data) == (
            "completed", "python", {"child_pid": int(done.stdout)}
        )  # fmt: skip
        (left,) = [process for process in timeline.processes if process.pid == int(done.stdout)]
        assert left.outcome == "completed"
        (window,) = timeline.startup_windows
        assert window.start_ns < exit_.start_ns <= (exit_.stop_ns or 0) <= window.stop_ns

    @pytest.mark.parametrize(
        ("script", "error", "exit_code"), [("exit 3", None, 3), ("kill -9 $$", "SIGKILL", 137)]
    )
    def test_is_how_a_command_failed_that_records_nothing(
        self, path: Path, script: str, error: str | None, exit_code: int
    ) -> None:
        assert run(path, "sh", "-c", script).returncode == exit_code
        with Ledger.open(path) as ledger:
            (exit_,) = ledger.timeline().intervals
        assert (exit_.stage, exit_.outcome, exit_.error, exit_.duration_ns) == (
            "process_exit", "failed", error, 0
        )  # fmt: skip
        assert exit_.data is not None
        assert exit_.data["exit_code"] == exit_code

    def test_a_stage_that_a_kill_ended_took_at_least_as_long_as_its_process_was_seen(
        self, path: Path
    ) -> None:
        program = (
            "import os, signal, time\n"
            "from ledger import Recorder\n"
            "Recorder.from_environment().start('a_stage', source='user')\n"
            "time.sleep(1.5)\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        assert run(path, *python(program)).returncode == 137
        with Ledger.open(path) as ledger:
            timeline = ledger.timeline()
        (stage,) = [one for one in timeline.intervals if one.stage == "a_stage"]
        (ended,) = [one.at_ns for one in timeline.milestones if one.name == "command_ended"]
        assert stage.outcome == "abandoned"
        assert stage.start_ns < (stage.stop_ns or 0) <= ended

    def test_of_a_program_that_fails_before_anything_else_is_its_last_line(self, path: Path) -> None:
        done = run(path, *python("raise ValueError('max_model_len (999999) is too long')"))
        assert b"ValueError: max_model_len (999999) is too long" in done.stderr.splitlines()
        found = rows(path, saved_query("failed_stages"))
        assert [(row["error"], row["last_line"]) for row in found] == [
            ("ValueError", "ValueError: max_model_len (999999) is too long"), ("exit code 1", None)
        ]  # fmt: skip

    def test_is_none_of_a_command_that_records_nothing(self, path: Path) -> None:
        subprocess.run(arguments(path, "true"), check=True, capture_output=True)
        with Ledger.open(path) as ledger:
            assert ledger.sql("SELECT stage FROM intervals") == []


class TestRefusal:
    @pytest.mark.parametrize("place", ["no/such/folder/startup.db", "notes.txt", "."])
    def test_is_125_and_one_line_and_nothing_started(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "notes.txt").write_text("not a database " * 100)
        done = run(tmp_path / place, "touch", str(tmp_path / "started"))
        assert (done.returncode, done.stdout) == (125, b"")
        assert done.stderr.count(b"\n") == 1
        assert not (tmp_path / "started").exists()

    @pytest.mark.parametrize("is_recorded", [False, True])
    def test_in_a_folder_that_takes_no_files(self, tmp_path: Path, is_recorded: bool) -> None:
        folder = tmp_path / "taken"
        folder.mkdir()
        if is_recorded:
            assert run(folder / "startup.db", "true").returncode == 0
        folder.chmod(0o555)
        for above in (tmp_path, *tmp_path.parents[:3]):
            if above.stat().st_uid == os.geteuid():
                above.chmod(0o755)
        # Root may write anywhere: another user does this one.
        leave_root = f"import os; os.setgid({NOBODY}); os.setuid({NOBODY}); " if IS_ROOT else ""
        # That user may not read Python's own modules: what is imported at its first use is imported now.
        imports = (
            "import importlib.metadata; from ledger.cli import main, record; "
            "from ledger.testing import MemoryLedger; MemoryLedger([]).close(); "
        )
        program = f"{UNNEEDED}{imports}{leave_root}main()"
        command = [sys.executable, "-c", program, "record", "-o", str(folder / "startup.db"), "--", "true"]
        done = subprocess.run(command, capture_output=True, check=False, cwd="/")
        assert (done.returncode, done.stdout) == (125, b"")
        assert done.stderr.count(b"\n") == 1
        assert b"startup.db" in done.stderr


class TestOutput:
    def test_of_the_command_is_passed_through_byte_for_byte(self, path: Path, tmp_path: Path) -> None:
        data = bytes(range(256)) * 2000
        (tmp_path / "data").write_bytes(data)
        done = run(path, "sh", "-c", 'cat "$1"; cat "$1" >&2', "sh", str(tmp_path / "data"))
        assert done.stdout == data
        assert done.stderr.startswith(data)
        assert b"unattributed" in done.stderr[len(data) :]

    def test_has_nothing_of_ours_where_quiet(self, path: Path) -> None:
        command = arguments(path, "sh", "-c", "echo out; echo error >&2", options=("--quiet",))
        done = subprocess.run(command, capture_output=True, check=False)
        assert (done.stdout, done.stderr) == (b"out\n", b"error\n")

    def test_stays_open_as_it_was_given(self, path: Path) -> None:
        reading, writing = os.pipe()
        command = arguments(path, *python(f"import os; os.write({writing}, b'kept')"))
        subprocess.run(command, pass_fds=[writing], capture_output=True, check=False)
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            assert file.read() == b"kept"


class TestSignals:
    def test_that_came_to_us_alone_reach_the_command_once(self, path: Path) -> None:
        sent = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]
        command = arguments(path, *python(COUNT_SIGNALS, str(len(sent))))
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            for name in sent:
                process.send_signal(signal.Signals[name])
            stdout, stderr = process.communicate(timeout=DEADLINE_S)
        assert json.loads(stdout) == dict.fromkeys(sent, 1)
        assert process.returncode == 7
        assert b"unattributed" in stderr

    def test_that_end_the_command_end_us_after_it(self, path: Path) -> None:
        command = arguments(path, "sh", "-c", "echo ready; exec sleep 600")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.terminate()
            stderr = process.communicate(timeout=DEADLINE_S)[1]
        assert process.returncode == 128 + signal.SIGTERM
        assert b"unattributed" in stderr
        assert outcome(path) == "failed"

    def test_of_the_terminal_reach_the_command_once(self, path: Path) -> None:
        with terminal(arguments(path, *python(COUNT_SIGNALS, "1"))) as screen:
            screen.wait_for("ready")
            screen.type("\x03")
            assert screen.finish() == 7
        assert b'{"SIGINT": 1}\n' in screen.output
        assert b"unattributed" in screen.output

    def test_that_only_we_get_when_the_terminal_goes_away_is_passed_on(
        self, path: Path, tmp_path: Path
    ) -> None:
        told = tmp_path / "told"
        program = COUNT_SIGNALS.replace("print(json.dumps(counts), flush=True)", "").replace(
            "raise", f"open({str(told)!r}, 'w').write(json.dumps(counts)); raise"
        )
        opened = Terminal(arguments(path, *python(program, "1")))
        opened.wait_for("ready")
        os.close(opened.ours)
        assert opened.process.wait(timeout=DEADLINE_S) == 7
        assert json.loads(told.read_text()) == {"SIGHUP": 1}
        assert outcome(path) == "failed"

    def test_are_not_blocked_in_the_command(self, path: Path) -> None:
        program = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
        assert run(path, *python(program)).stdout == b"set()\n"


class TestTerminal:
    def test_shows_a_stage_while_it_is_open(self, path: Path, tmp_path: Path) -> None:
        program = """
import pathlib, sys, time
from ledger import Recorder
recorder = Recorder.from_environment()
with recorder.stage("torch_compile", role="encoder", source="monitor"):
    with recorder.stage("dynamo", source="backend"):
        while not pathlib.Path(sys.argv[1]).exists():
            time.sleep(0.01)
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.01)
"""
        go_on, end = tmp_path / "go on", tmp_path / "end"
        with terminal(arguments(path, *python(program, str(go_on), str(end)))) as screen:
            for text in (f"torch_compile {INTO} dynamo", "encoder"):
                screen.wait_for(text)
            go_on.touch()
            screen.wait_for("compiled so far: encoder ")
            end.touch()
            assert screen.finish() == 0
        assert b" since the start" in screen.view
        assert b"compiled so far" not in screen.output
        assert b"completed after " in screen.output

    def test_gets_the_output_whole_however_slow_it_is(self, path: Path) -> None:
        lines = "".join(f"\x1b[3{n % 8}m{n}\x1b[0m: a line, with what is in it\r\n" for n in range(5000))
        program = """
import os, sys, time
assert all(map(os.isatty, (0, 1, 2))) and os.get_terminal_size(1) == (100, 30)
for n in range(5000):
    file = sys.stdout if n % 2 else sys.stderr
    file.write("\\x1b[3%dm%d\\x1b[0m: a line, with what is in it\\r\\n" % (n % 8, n))
    file.flush()
print("the end has no line's end", end="")
"""
        with terminal(arguments(path, *python(program)), pause_s=0.005) as screen:
            assert screen.finish() == 0
        assert screen.output.startswith(lines.encode() + b"the end has no line's end\r\n")
        assert screen.view

    def test_shows_a_question_and_takes_the_answer(self, path: Path) -> None:
        with terminal(arguments(path, *python('print("hello", input("name? "))'))) as screen:
            screen.wait_for("name? ")
            screen.type("Ada\n")
            assert screen.finish() == 0
        assert b"hello Ada\n" in screen.output

    def test_is_not_kept_by_what_the_command_leaves_behind(self, path: Path) -> None:
        program = """
import os, time
from ledger import Recorder
recorder = Recorder.from_environment()
reading, writing = os.pipe()
if os.fork() == 0:
    recorder.milestone("left behind")
    os.write(1, b"child %d here\\n" % os.getpid())
    os.write(writing, b"recorded")
    time.sleep(600)
os.read(reading, 8)
recorder.milestone("gone")
"""
        with terminal(arguments(path, *python(program))) as screen:
            try:
                assert screen.finish() == 0
            finally:
                os.kill(int(re.findall(rb"child (\d+) here", screen.output)[0]), signal.SIGKILL)
        note = b"1 of the session's processes are still running"
        # The report is the last thing on the screen.
        assert 0 < screen.output.index(note) < screen.output.index(b"unattributed")

    def test_that_is_no_terminal_for_the_cursor_gets_no_view(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = ["env", "TERM=dumb", *arguments(path, "sh", "-c", "sleep 0.5; tty <&1")]
        with terminal(command) as screen:
            assert screen.finish() == 0
        assert b"\x1b7" not in screen.screen


class TestLedger:
    def test_keeps_that_an_exception_left_a_stage(self, path: Path) -> None:
        program = """
from ledger import Recorder
with Recorder.from_environment().stage("torch_compile", role="encoder", source="monitor"):
    raise ValueError("no")
"""
        done = run(path, *python(program))
        assert done.returncode == 1
        assert b"ValueError: no" in done.stderr
        found = rows(path, "SELECT stage, role, outcome, error FROM intervals WHERE source = 'monitor'")
        expected = {"stage": "torch_compile", "role": "encoder", "outcome": "failed", "error": "ValueError"}
        assert found == [expected]
        assert outcome(path) == "failed"

    def test_is_brought_up_to_date_while_the_command_runs(self, path: Path) -> None:
        program = """
import sqlite3, sys, time
from ledger import Recorder
with Recorder.from_environment().stage("dynamo", role="encoder", source="backend"):
    pass
end = time.monotonic() + 60
found = []
while not found and time.monotonic() < end:
    time.sleep(0.1)
    found = sqlite3.connect(sys.argv[1]).execute("SELECT role FROM role_totals WHERE role <> ''").fetchall()
print(found)
"""
        assert run(path, *python(program, str(path))).stdout == b"[('encoder',)]\n"

    @pytest.mark.skipif(not IS_ROOT, reason="mounting a small disk takes root")
    def test_on_a_full_disk_does_not_hurt_the_command(self, tmp_path: Path) -> None:
        program = """
import os, sys, time
from ledger import Recorder
recorder = Recorder.from_environment()
recorder.milestone("begun")
with open(sys.argv[1], "wb", buffering=0) as file:
    try:
        while file.write(b"x" * 1000):
            continue
    except OSError:
        pass
for _ in range(200):
    with recorder.stage("dynamo", role="encoder", source="backend"):
        time.sleep(0.002)
print("done", flush=True)
sys.exit(4)
"""
        with small_disk(tmp_path / "disk", "1m") as disk:
            done = run(disk / "startup.db", *python(program, str(disk / "filler")))
            assert done.stdout == b"done\n"
            assert done.returncode == 4
            assert b"Traceback" not in done.stderr
            assert b"disk is full" in done.stderr or b"No space left" in done.stderr
            (disk / "filler").unlink()
            assert rows(disk / "startup.db", "SELECT 1 FROM milestones WHERE name = 'begun'")
        with small_disk(tmp_path / "disk", "32k") as disk:
            done = run(disk / "startup.db", "true")
            assert (done.returncode, done.stderr.count(b"\n")) == (125, 1)


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
