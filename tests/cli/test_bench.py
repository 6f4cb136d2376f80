"""`bench`: cold and warm starts of real programs, how they end, and what is said of them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger import Ledger
from ledger.cli.bench_start import last_lines
from tests.support.paths import ROOT
from tests.support.terminals import terminal
from tests.support.waiting import DEADLINE_S, wait_until

PROGRAM = [sys.executable, "-m", "ledger.cli", "bench"]
START = [sys.executable, str(ROOT / "tests" / "programs" / "cached_start.py")]


def arguments(path: Path, *options: str, command: list[str] = START) -> list[str]:
    return [*PROGRAM, "-o", str(path), *options, "--", *command]


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def run(path: Path, *options: str, command: list[str] = START) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        arguments(path, *options, command=command),
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip


def rows(path: Path, query: str) -> list[dict[str, Any]]:
    with Ledger.open(path) as ledger:
        return ledger.sql(query)


def labels(path: Path) -> list[tuple[str, str]]:
    found = rows(path, "SELECT label, outcome FROM sessions ORDER BY started_at")
    return [(row["label"], row["outcome"]) for row in found]


def log(path: Path, label: str) -> str:
    return (path.parent / f"{path.name}.logs" / f"{label}.log").read_text()


class TestStarts:
    def test_are_cold_and_warm_in_turns_and_compared_at_the_end(self, path: Path) -> None:
        done = run(path, "--cold", "2", "--warm", "2")
        assert done.returncode == 0, done.stderr
        assert labels(path) == [
            (label, "completed") for label in ("cold-1", "warm-1", "cold-2", "warm-2")
        ]  # fmt: skip
        ways = [log(path, label).split()[0] for label, _ in labels(path)]
        assert ways == ["graph_compile", "graph_load"] * 2
        sentence, *lines = done.stdout.splitlines()
        assert re.search(r"A \(cold\)", sentence)
        assert re.search(r"B \(warm\)", sentence)
        shown = "\n".join(lines)
        assert re.search(r"stage +cold +warm +warm - cold", shown)
        for stage in ("graph_compile of encoder", "graph_load of encoder", "from command to server_ready"):
            assert re.search(rf"^ {stage} +\d+\.\d+ +\d+\.\d+ +[+-]\d+\.\d+", shown, re.MULTILINE)
        assert re.findall(r"^(\S+): server_ready after \d+\.\d+ s$", done.stderr, re.MULTILINE) == [
            "cold-1", "warm-1", "cold-2", "warm-2"
        ]  # fmt: skip

    def test_leave_no_cache_behind_and_use_none_of_the_user_s(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine = tmp_path / "mine"
        mine.mkdir()
        (mine / "compiled").touch()
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(mine))
        monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
        assert run(path, "--cold", "1", "--warm", "1").returncode == 0
        assert log(path, "cold-1").split()[:2] == ["graph_compile", "TRITON_CACHE_DIR=None"]
        assert sorted(os.listdir(path.parent)) == ["mine", path.name, f"{path.name}.logs"]
        assert os.listdir(mine) == ["compiled"]

    def test_can_be_read_by_a_program(self, path: Path) -> None:
        done = run(path, "--cold", "1", "--warm", "2", "--json")
        found = json.loads(done.stdout)
        assert [(start["label"], start["is_cold"], start["ended_by"]) for start in found["starts"]] == [
            ("cold-1", True, "server_ready"),
            ("warm-1", False, "server_ready"),
            ("warm-2", False, "server_ready"),
        ]
        sessions = {row["session"] for row in rows(path, "SELECT session FROM sessions")}
        assert {start["session"] for start in found["starts"]} == sessions
        breakdown = found["breakdown"]
        assert breakdown["cold_ns"] == found["starts"][0]["duration_ns"]
        stages = {(row["stage"], row["role"]): row for row in breakdown["stages"]}
        assert stages["graph_compile", "encoder"]["warm_ns"] == 0
        assert sum(row["cold_ns"] for row in breakdown["stages"]) == breakdown["cold_ns"]
        assert found["difference"]["b"]["sessions"] == [start["session"] for start in found["starts"][1:]]

    def test_are_compared_with_those_of_this_bench_alone(self, path: Path) -> None:
        for _ in range(2):
            done = run(path, "--cold", "1", "--warm", "1", "--json")
        assert len(json.loads(done.stdout)["difference"]["a"]["sessions"]) == 1
        assert len(labels(path)) == 4

    def test_are_each_prepared(self, path: Path, tmp_path: Path) -> None:
        done = run(
            path, "--cold", "1", "--warm", "1", "--prepare", f"echo prepared | tee -a {tmp_path}/times"
        )
        assert done.returncode == 0
        assert (tmp_path / "times").read_text() == "prepared\n" * 2
        assert [log(path, label).split()[:2] for label in ("cold-1", "warm-1")] == [
            ["prepared", "graph_compile"], ["prepared", "graph_load"]
        ]  # fmt: skip

    def test_get_no_input(self, path: Path) -> None:
        command = ["sh", "-c", f'test -z "$(cat)" && exec {" ".join(START)}']
        assert run(path, "--cold", "1", "--warm", "1", command=command).returncode == 0


class TestUntil:
    def test_ends_a_server_once_it_is_ready_and_that_is_no_failure(self, path: Path) -> None:
        done = run(path, "--cold", "1", "--warm", "1", "--until", "server_ready", command=[*START, "serve"])
        assert done.returncode == 0, done.stderr
        assert labels(path) == [("cold-1", "completed"), ("warm-1", "completed")]
        assert "KeyboardInterrupt" in log(path, "cold-1")

    def test_kills_what_does_not_end_and_all_of_its_group(self, path: Path, tmp_path: Path) -> None:
        program = f"""
import os, signal, time
from ledger import Recorder
recorder = Recorder.from_environment()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: print(signal.Signals(number).name, flush=True))
pid = os.fork()
if pid:
    open({str(tmp_path / "pids")!r}, "a").write(f"{{pid}} {{os.getpid()}} ")
    recorder.milestone("ready")
while True:
    time.sleep(600)
"""
        options = ("--cold", "1", "--warm", "1", "--until", "ready", "--grace", "1")
        done = run(path, *options, command=python(program))
        assert done.returncode == 0, done.stderr
        assert set(re.findall("SIGINT|SIGTERM", log(path, "cold-1"))) == {"SIGINT", "SIGTERM"}
        pids = (tmp_path / "pids").read_text().split()
        assert len(pids) == 4
        for pid in pids:
            wait_until(lambda pid=pid: not is_running(pid), f"{pid} was killed")

    def test_ends_what_outlives_the_command(self, path: Path, tmp_path: Path) -> None:
        program = f"""
import os, signal, time
from ledger import Recorder
recorder = Recorder.from_environment()
reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.write(writing, b"here")
    time.sleep(600)
os.read(reading, 4)
open({str(tmp_path / "pids")!r}, "a").write(f"{{pid}} ")
recorder.milestone("ready")
time.sleep(600)
"""
        options = ("--cold", "1", "--warm", "1", "--until", "ready", "--grace", "2")
        done = run(path, *options, command=python(program))
        assert done.returncode == 0, done.stderr
        pids = (tmp_path / "pids").read_text().split()
        assert len(pids) == 2
        for pid in pids:
            wait_until(lambda pid=pid: not is_running(pid), f"{pid} was ended")

    def test_that_is_never_reached_is_said_in_one_line(self, path: Path) -> None:
        done = run(path, "--until", "engine_ready")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "cold-1 ended before engine_ready was recorded" in done.stderr
        assert len(labels(path)) == 1


def is_running(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


class TestFailure:
    def test_of_a_start_ends_the_bench_with_its_exit_code_and_what_to_look_at(
        self, path: Path, tmp_path: Path
    ) -> None:
        again = tmp_path / "again"
        program = f"import os; print('no memory left'); os.path.exists({str(again)!r}) and os._exit(7)"
        command = ["sh", "-c", f'"$@" || exit $?; touch {again}', "sh", *python(program)]
        done = run(path, command=command)
        assert done.returncode == 7
        assert labels(path) == [("cold-1", "completed"), ("warm-1", "failed")]
        assert "  no memory left\n" in done.stderr
        assert "warm-1 failed with exit code 7" in done.stderr
        assert f"{path}.logs/warm-1.log" in done.stderr
        assert f"compile-ledger report {path} --session warm-1" in done.stderr
        assert not [name for name in os.listdir(path.parent) if "caches" in name]

    def test_of_a_command_that_can_not_be_started_is_its_own(self, path: Path) -> None:
        done = run(path, command=["no-such-command"])
        assert (done.returncode, done.stderr.count("\n")) == (127, 1)

    def test_of_what_prepares_a_start_is_its_exit_code(self, path: Path) -> None:
        done = run(path, "--prepare", "echo no server; exit 5")
        assert (done.returncode, done.stderr.count("\n")) == (5, 1)
        assert "--prepare failed before cold-1 with exit code 5" in done.stderr
        assert log(path, "cold-1") == "no server\n"

    def test_of_an_option_that_there_is_not_starts_nothing(self, path: Path) -> None:
        assert run(path, "--colt", "3").returncode == 2
        assert not path.exists()

    def test_of_a_place_that_takes_no_files_is_one_line(self, tmp_path: Path) -> None:
        done = run(tmp_path / "no such folder" / "bench.db")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)

    def test_shows_lines_as_a_terminal_would_leave_them(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_bytes(b"one\n\n 10%\r 20%\rdone \xff\r\n\ntwo")
        assert last_lines(tmp_path / "log", 2) == ["done \ufffd", "two"]
        assert last_lines(tmp_path / "log", 9) == ["one", "done \ufffd", "two"]


class TestTerminal:
    def test_shows_which_start_it_is_and_its_stages(self, path: Path, tmp_path: Path) -> None:
        program = f"""
import pathlib, time
from ledger import Recorder
with Recorder.from_environment().stage("weights_load", source="engine"):
    while not pathlib.Path({str(tmp_path / "go on")!r}).exists():
        time.sleep(0.01)
"""
        options = ("--cold", "1", "--warm", "1")
        with terminal(arguments(path, *options, command=python(program))) as screen:
            for text in ("cold-1, start 1 of 2", " since the start", "weights_load"):
                screen.wait_for(text)
            (tmp_path / "go on").touch()
            screen.wait_for("cold-1: command_ended after ")
            assert screen.finish() == 0
        assert b"from command to command_ended" in screen.screen

    def test_is_not_the_command_s(self, path: Path) -> None:
        command = ["sh", "-c", f"cat /dev/tty || exec {' '.join(START)}"]
        with terminal(arguments(path, "--cold", "1", "--warm", "1", command=command)) as screen:
            assert screen.finish() == 0
        assert "/dev/tty" in log(path, "warm-1")

    def test_s_interrupt_ends_the_start_and_the_bench(self, path: Path) -> None:
        with terminal(arguments(path, command=[*START, "serve"])) as screen:
            screen.wait_for("server_ready after")
            screen.type("\x03")
            assert screen.finish() == 128 + signal.SIGINT
        assert b"stopped by SIGINT in cold-1" in screen.screen
        assert labels(path) == [("cold-1", "failed")]
        assert not [name for name in os.listdir(path.parent) if "caches" in name]

    def test_s_interrupt_ends_the_preparation_and_the_bench(self, path: Path, tmp_path: Path) -> None:
        prepare = f"touch {tmp_path}/here; exec sleep 600"
        with terminal(arguments(path, "--prepare", prepare)) as screen:
            wait_until((tmp_path / "here").exists, "the preparation runs")
            screen.type("\x03")
            assert screen.finish() == 128 + signal.SIGINT
        assert not [name for name in os.listdir(path.parent) if "caches" in name]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="Inductor needs it")
def test_torch_compiles_in_cold_starts_and_loads_in_warm_ones(path: Path) -> None:
    pytest.importorskip("torch")
    program = "import torch; torch.compile(lambda x: (x.sin() + 1).relu().sum())(torch.ones(8))"
    done = run(path, "--cold", "1", "--warm", "1", "--json", command=python(program))
    assert done.returncode == 0, done.stderr
    answers = rows(
        path, "SELECT label, fx_graph_cache FROM compilations JOIN sessions USING (session) ORDER BY label"
    )
    assert [(row["label"], row["fx_graph_cache"]) for row in answers] == [
        ("cold-1", "miss"), ("warm-1", "hit")
    ]  # fmt: skip
    stages = {row["stage"] for row in json.loads(done.stdout)["breakdown"]["stages"]}
    assert {"import", "dynamo"} <= stages
