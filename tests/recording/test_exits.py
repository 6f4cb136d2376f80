"""What a process records at its end and after its close: it is kept, or it is told that it is not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger import Ledger, Recorder
from ledger.storage.verification import verify
from ledger_birth.environment import FILE_VARIABLE
from tests.support.births import HANGS_AFTER_S, Program, environment_with_hook
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_with_hook(tmp_path_factory.mktemp("environment"))


@pytest.fixture(params=["hook", "no hook"])
def program(request: pytest.FixtureRequest, python: Path, tmp_path: Path) -> Program:
    return Program(python if request.param == "hook" else Path(sys.executable), tmp_path)


def milestones(program: Program) -> list[str]:
    with Ledger.open(program.ledger) as ledger:
        names = [str(row["name"]) for row in ledger.sql("SELECT name FROM milestones ORDER BY at_ns")]
        assert {process.outcome for process in ledger.timeline().processes} == {"completed"}
        assert ledger.timeline().anomalies == ()
    assert [finding for finding in verify(program.ledger) if finding.is_fault] == []
    return names


LATE = """
import atexit, ledger
def late(name):
    ledger.Recorder.from_environment().milestone(name)
atexit.register(late, "before the recorder")
recorder = ledger.Recorder.from_environment()
atexit.register(late, "after the recorder")
recorder.on_close(lambda: recorder.milestone("closing"))
recorder.milestone("begin")
"""

DAEMONS = """
import threading, time
from ledger import Recorder
recorder = Recorder.from_environment()
acknowledged = open("acknowledged", "ab", buffering=0)
def work(name):
    number = 0
    while True:
        recorder.milestone(f"{name}-{number}")
        acknowledged.write(f"{name}-{number}\\n".encode())
        number += 1
        time.sleep(0.0001)
for name in "abcd":
    threading.Thread(target=work, args=(name,), daemon=True).start()
import atexit
atexit.register(time.sleep, 0.05)
time.sleep(0.05)
"""

AT_THE_VERY_END = """
from ledger import Recorder
recorder = Recorder.from_environment()
recorder.milestone("begin")
def numbers():
    with recorder.stage("dynamo"), recorder.role("encoder"):
        yield 1
held = numbers()
next(held)
class Last:
    def __del__(self, recorder=recorder):
        recorder.milestone("in a finalizer")
        with recorder.stage("dynamo"):
            recorder.claim(1.0, source="log")
last = Last()
"""
AFTER_ALL_MODULES = (
    AT_THE_VERY_END
    + """
import sys
sys.last_of_all = Last()
"""
)


def test_exit_handlers_may_record_before_ours_and_after_it(program: Program) -> None:
    ran = program.run("-c", LATE)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(milestones(program)) == ["after the recorder", "before the recorder", "begin", "closing"]


def test_threads_record_until_the_process_is_gone(program: Program) -> None:
    ran = program.run("-c", DAEMONS)
    assert (ran.returncode, ran.stderr) == (0, "")
    acknowledged = (program.folder / "acknowledged").read_text().split()
    assert len(acknowledged) > 100
    assert set(acknowledged) <= set(milestones(program))


def test_nothing_gets_out_while_the_interpreter_is_taken_down(program: Program) -> None:
    ran = program.run("-c", AT_THE_VERY_END)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert milestones(program) == ["begin", "in a finalizer"]
    assert program.run("-c", AFTER_ALL_MODULES).stderr == ""


def test_after_a_close_the_environment_s_recorder_is_another_one(program: Program) -> None:
    ran = program.run("-c", """
from ledger import Recorder
first = Recorder.from_environment()
first.milestone("first")
interval = first.start("dynamo")
first.close()
assert not first.enabled
second = Recorder.from_environment()
assert second.enabled and second is not first
second.stop(interval)
second.milestone("second")
""")  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert milestones(program) == ["first", "second"]


@pytest.mark.parametrize("place", [".", "..", "folder", "fifo", "/dev/null"])
def test_where_no_ledger_can_be_nothing_is_recorded_and_the_log_says_why(tmp_path: Path, place: str) -> None:
    (tmp_path / "inner" / "folder").mkdir(parents=True)
    os.mkfifo(tmp_path / "inner" / "fifo")
    before = sorted(tmp_path.rglob("*"))
    code = f"""
from ledger import Recorder
Recorder.from_environment().milestone("m")
Recorder.open({place!r}).milestone("m")
assert not Recorder.from_environment().enabled
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "inner", env={**os.environ, FILE_VARIABLE: place},
        capture_output=True, text=True, timeout=HANGS_AFTER_S, check=True,
    )  # fmt: skip
    assert sorted(tmp_path.rglob("*")) == before
    assert "nothing is recorded" in ran.stderr
    assert place in ran.stderr


def test_a_working_directory_that_is_gone_stops_no_recorder(tmp_path: Path) -> None:
    code = f"""
import os
from ledger import Recorder
os.chdir({str(tmp_path)!r}); os.mkdir("gone"); os.chdir("gone"); os.rmdir({str(tmp_path / "gone")!r})
with Recorder.open("startup.db") as recorder, recorder.stage("dynamo"):
    recorder.milestone("m")
with Recorder.open({str(tmp_path / "startup.db")!r}) as recorder:
    recorder.milestone("m")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "nothing is recorded" in ran.stderr
    with Ledger.open(tmp_path / "startup.db") as ledger:
        assert len(ledger.sql("SELECT * FROM milestones")) == 1


def test_a_recorder_in_a_place_that_is_none_harms_nobody() -> None:
    class Odd:
        def __fspath__(self) -> str:
            raise SystemExit

    for place in (Odd(), 3, None, "a\0b"):
        recorder = Recorder.open(place)  # type: ignore[arg-type]
        assert not recorder.enabled
        with recorder.stage("dynamo"):
            recorder.milestone("m")


def test_a_process_that_is_killed_after_its_close_is_no_lost_one(program: Program) -> None:
    code = """
import atexit, os, signal, time
def last():
    open("ready", "w").close()
    time.sleep(1000)
atexit.register(last)
from ledger import Recorder
recorder = Recorder.from_environment()
recorder.milestone("m")
recorder.close()
"""
    child = subprocess.Popen(
        program.command("-c", code), cwd=program.folder, env=program.environment(recording=True)
    )
    wait_until((program.folder / "ready").exists, "its exit handler")
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert milestones(program) == ["m"]
