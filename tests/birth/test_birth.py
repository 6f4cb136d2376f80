"""What is recorded of a process from its birth on, by which name, and how it ends."""

import os
import signal
import subprocess
import sysconfig
from pathlib import Path

import pytest

from ledger import Event, Ledger, ProcessJoined, SessionStarted, StageStarted, StageStopped
from ledger.storage.verification import verify
from ledger_birth.environment import LABEL_VARIABLE, SESSION_VARIABLE
from tests.support.births import HOOK, Program
from tests.support.waiting import wait_until

SLOW = "import time\ntime.sleep(0.03)\n"
VERY_SLOW = "import time\ntime.sleep(0.06)\n"


def starts(events: list[Event]) -> list[tuple[str, str | None]]:
    return [(event.stage, event.component) for event in events if isinstance(event, StageStarted)]


class TestBirth:
    def test_the_hook_is_installed_where_these_tests_run(self) -> None:
        installed = Path(sysconfig.get_path("purelib")) / HOOK.name
        assert installed.read_text() == HOOK.read_text(), "install the package again: make install"

    def test_a_process_joins_first_and_then_its_interpreter_has_started(self, program: Program) -> None:
        program.run("-c", "pass", **{LABEL_VARIABLE: "nightly"})
        session, joined, started, stopped, *rest = program.events()
        assert isinstance(session, SessionStarted)
        assert session.command == (str(program.python), "-c", "pass")
        assert (session.label, sorted(session.versions)) == ("nightly", ["compile_ledger", "python"])
        assert isinstance(joined, ProcessJoined)
        assert joined.wall_ns is not None
        assert isinstance(started, StageStarted)
        assert (started.stage, started.source, started.activity) == ("interpreter_start", "python", "startup")
        assert (started.thread, started.parent) == (f"MainThread-{joined.pid}", None)
        assert started.data == {"resolution_ns": 1_000_000_000 // os.sysconf("SC_CLK_TCK")}
        assert isinstance(stopped, StageStopped)
        assert joined.pid_start is not None
        assert started.at_ns < stopped.at_ns <= joined.at_ns
        assert [event.kind for event in rest][-2:] == ["session_ended", "process_left"]

    def test_a_working_directory_that_is_gone_is_in_nobody_s_way(self, program: Program) -> None:
        gone = program.folder / "gone"
        gone.mkdir()
        script = f"cd {gone} && rmdir {gone} && exec {program.python} -c pass"
        environment = program.environment(recording=True)
        subprocess.run(["/bin/sh", "-c", script], env=environment, check=True, capture_output=True)
        assert starts(program.events())[0] == ("interpreter_start", None)

    def test_its_creation_lies_between_the_command_and_the_start_of_the_program(
        self, program: Program
    ) -> None:
        code = "import time; print(time.perf_counter_ns())"
        begin = program.run("-S", "-c", code, recording=False)
        ran = program.run("-c", code)
        [start] = program.intervals("interpreter_start").values()
        tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        assert int(begin.stdout) - tick_ns <= start["start_ns"] < start["stop_ns"] <= int(ran.stdout)

    def test_imports_are_intervals_with_those_inside_that_count(self, program: Program) -> None:
        program.file("outer/__init__.py", SLOW + "from outer import inner, broken\n")
        program.file("outer/inner.py", VERY_SLOW + "import quick\n")
        program.file("quick.py", "")
        program.file("outer/broken.py", SLOW + "try:\n    import fails\nexcept ValueError: ...\n")
        program.file("fails.py", SLOW + "raise ValueError\n")
        program.run("-c", "import outer")
        imports = program.intervals()
        assert {"outer", "outer.inner", "outer.broken", "fails"} <= imports.keys()
        outer, inner, broken, fails = (imports[n] for n in ("outer", "outer.inner", "outer.broken", "fails"))
        assert (outer["source"], outer["activity"], outer["outcome"]) == ("python", "startup", "completed")
        assert [one["parent"] for one in (outer, inner, broken, fails)] == [
            None, outer["interval"], outer["interval"], broken["interval"],
        ]  # fmt: skip
        assert [one["enclosing"] for one in (inner, broken, fails)] == [
            outer["interval"], outer["interval"], broken["interval"],
        ]  # fmt: skip
        assert fails["outcome"] == "failed"
        assert [e.error for e in program.events() if isinstance(e, StageStopped) and e.error] == []
        with Ledger.open(program.ledger) as ledger:
            errors = ledger.sql("SELECT error FROM events WHERE kind = 'stage_stopped' AND error IS NOT NULL")
        assert {"error": "ValueError"} in errors

    def test_an_import_in_a_thread_is_that_thread_s(self, program: Program) -> None:
        program.file("slow_module.py", SLOW)
        program.run("-c", """
import threading
thread = threading.Thread(target=lambda: __import__("slow_module"), name="loader")
thread.start(); thread.join()
""")  # fmt: skip
        assert program.intervals()["slow_module"]["thread"].startswith("loader-")

    def test_a_reload_is_recorded_as_one(self, program: Program) -> None:
        program.file("slow_module.py", SLOW)
        program.run("-c", "import importlib, slow_module; importlib.reload(slow_module)")
        with Ledger.open(program.ledger) as ledger:
            query = "SELECT data FROM events WHERE kind = 'stage_started' AND component = 'slow_module'"
            found = [row["data"] for row in ledger.sql(query)]
        assert found == [None, '{"reload":true}']

    def test_a_process_that_is_killed_in_an_import_has_what_was_over_and_what_went_on(
        self, program: Program
    ) -> None:
        program.file("done.py", SLOW)
        program.file("outer.py", SLOW + "import long_one, quick, hangs\n")
        program.file("long_one.py", VERY_SLOW)
        program.file("quick.py", "")
        program.file("hangs.py", "import os, time\nopen('ready', 'w').close()\ntime.sleep(1000)\n")
        child = subprocess.Popen(
            program.command("-c", "import done, outer"), cwd=program.folder,
            env=program.environment(recording=True),
        )  # fmt: skip
        wait_until((program.folder / "ready").exists, "the import that hangs")
        child.kill()
        assert child.wait() == -signal.SIGKILL
        [process] = program.processes().values()
        assert process["outcome"] == "lost"
        imports = program.intervals()
        assert [imports[name]["outcome"] for name in ("done", "outer", "long_one")] == [
            "completed", "abandoned", "completed",
        ]  # fmt: skip
        assert imports["outer"]["stop_ns"] >= imports["long_one"]["stop_ns"]
        assert imports["long_one"]["parent"] == imports["outer"]["interval"]

    def test_an_import_s_start_is_written_with_the_next_inside_that_ends(self, program: Program) -> None:
        program.file("outer.py", SLOW + "import quick, hangs\n")
        program.file("quick.py", "")
        program.file("hangs.py", "import os, time\nopen('ready', 'w').close()\ntime.sleep(1000)\n")
        child = subprocess.Popen(
            program.command("-c", "import outer"), cwd=program.folder, env=program.environment(recording=True)
        )
        wait_until((program.folder / "ready").exists, "the import that hangs")
        child.kill()
        child.wait()
        assert ("import", "outer") in starts(program.events())


class TestProcesses:
    def test_a_forked_child_has_what_it_imports_and_no_start(self, program: Program) -> None:
        program.file("outer.py", SLOW + "import os\npid = os.fork()\n" + SLOW)
        program.file("of_child.py", SLOW)
        program.run("-c", """
import outer, os
if outer.pid == 0:
    import of_child
    os._exit(0)
os.waitpid(outer.pid, 0)
""")  # fmt: skip
        with Ledger.open(program.ledger) as ledger:
            rows = ledger.sql("SELECT process, stage, component FROM intervals ORDER BY start_ns")
            [parent, child] = ledger.sql("SELECT process, pid, parent_pid FROM processes ORDER BY started_at")
        assert child["parent_pid"] == parent["pid"]
        of = {
            each["process"]: {
                (row["stage"], row["component"]) for row in rows if row["process"] == each["process"]
            }
            for each in (parent, child)
        }
        assert {("interpreter_start", None), ("import", "outer")} <= of[parent["process"]]
        assert of[child["process"]] == {("import", "of_child")}
        assert [fault for fault in verify(program.ledger) if fault.is_fault] == []

    def test_a_forked_child_that_imports_nothing_leaves_nothing(self, program: Program) -> None:
        program.run("-c", "import os; os.fork() or os._exit(0); os.wait()")
        assert len(program.processes()) == 1

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_the_children_of_multiprocessing_have_their_names(self, program: Program, method: str) -> None:
        program.file("slow_module.py", SLOW)
        program.file("start.py", f"""
import multiprocessing, sys
def work(code):
    import slow_module
    sys.exit(code)
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    children = [context.Process(target=work, args=(code,), name=f"Worker_{{code}}") for code in (0, 3)]
    for child in children: child.start()
    for child in children: child.join()
""")  # fmt: skip
        assert program.run("start.py").returncode == 0
        processes = {name: row["outcome"] for name, row in program.processes().items()}
        helpers = {"forkserver": "completed"} if method == "forkserver" else {}
        expected = {"start.py": "completed", "Worker_0": "completed", "Worker_3": "failed", **helpers}
        assert processes == expected

    def test_children_join_the_session_from_wherever_they_are_started(self, program: Program) -> None:
        program.run("-c", """
import os, subprocess, sys
os.mkdir("elsewhere")
subprocess.run([sys.executable, "-c", "pass"], cwd="elsewhere", check=True)
""", COMPILE_LEDGER="startup.db")  # fmt: skip
        with Ledger.open(program.ledger) as ledger:
            [session] = ledger.sql("SELECT process_count, outcome FROM sessions")
            first, second = ledger.sql("SELECT pid, parent_pid FROM processes ORDER BY started_at")
        assert session == {"process_count": 2, "outcome": "completed"}
        assert second["parent_pid"] == first["pid"]

    def test_one_that_is_given_a_session_does_not_end_it(self, program: Program) -> None:
        program.run("-c", "pass", **{SESSION_VARIABLE: "mine"})
        assert {event.session for event in program.events()} == {"mine"}
        assert "session_ended" not in {event.kind for event in program.events()}

    @pytest.mark.parametrize(
        ("ends", "outcome"),
        [
            ("pass", "completed"),
            ("import sys; sys.exit(0)", "completed"),
            ("raise KeyError", "failed"),
            ("import os; os._exit(0)", "lost"),
            ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "lost"),
        ],
    )
    def test_a_process_leaves_as_it_ended(self, program: Program, ends: str, outcome: str) -> None:
        program.run("-c", ends)
        [process] = program.processes().values()
        assert process["outcome"] == outcome

    def test_a_subinterpreter_is_no_process(self, program: Program) -> None:
        ran = program.run("-c", """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
run = getattr(interpreters, "exec", None) or interpreters.run_string
run(interpreters.create(), "import sys; print('ledger_birth.import_timing' in sys.modules, flush=True)")
""")  # fmt: skip
        assert ran.stdout == "True\n"  # the hook ran there
        assert len(program.processes()) == 1

    def test_what_reads_ledgers_is_not_recorded_into_them(self, program: Program) -> None:
        program.run("-c", "pass")
        ran = program.run("-m", "ledger.cli", "sql", str(program.ledger), "SELECT count(*) FROM processes")
        assert ran.returncode == 0, ran.stderr
        assert len(program.processes()) == 1


class TestHandingOver:
    def test_the_recorder_goes_on_with_the_same_journal(self, program: Program) -> None:
        program.file("slow_module.py", SLOW)
        program.run("-c", """
from ledger import Recorder
recorder = Recorder.from_environment()
recorder.add_hook("dynamo")
recorder.name_process("EngineCore", 2)
recorder.on_close(lambda: recorder.milestone("closing"))
with recorder.stage("engine_init"):
    import slow_module
recorder.milestone("engine_ready")
recorder.add_hook("inductor")
""")  # fmt: skip
        [process] = program.processes().values()
        assert (process["name"], process["rank"], process["outcome"]) == ("EngineCore", 2, "completed")
        assert process["hooks"] == '["dynamo", "inductor"]'
        with Ledger.open(program.ledger) as ledger:
            timeline = ledger.timeline()
            milestones = [row["name"] for row in ledger.sql("SELECT name FROM milestones ORDER BY at_ns")]
            [session] = ledger.sql("SELECT outcome, process_count FROM sessions")
        assert session == {"outcome": "completed", "process_count": 1}
        assert milestones == ["engine_ready", "closing"]
        stages = [(one.stage, one.component) for one in timeline.intervals]
        assert stages[0] == ("interpreter_start", None)
        assert {("engine_init", None), ("import", "ledger"), ("import", "slow_module")} <= set(stages)
        by_name = {(one.stage, one.component): one for one in timeline.intervals}
        inner, outer = by_name["import", "slow_module"], by_name["engine_init", None]
        assert (inner.enclosing, inner.thread) == (outer.interval, outer.thread)

    def test_versions_that_become_known_later_are_the_session_s(self, program: Program) -> None:
        program.file("torch.py", "__version__ = '2.99.0'\n")
        program.run("-c", "import torch, ledger; ledger.Recorder.from_environment().milestone('m')")
        with Ledger.open(program.ledger) as ledger:
            [session] = ledger.sql("SELECT torch_version, json_array_length(command) AS n FROM sessions")
        assert session == {"torch_version": "2.99.0", "n": 3}

    def test_a_recorder_of_another_ledger_is_another_process_of_another_session(
        self, program: Program
    ) -> None:
        program.run("-c", "import ledger; ledger.Recorder.open('other.db').milestone('m')")
        assert len(program.processes()) == 1
        with Ledger.open(program.folder / "other.db") as other:
            assert other.sql("SELECT DISTINCT stage FROM intervals") == []
            assert len(other.sql("SELECT * FROM milestones")) == 1

    def test_after_it_is_closed_nothing_is_taken(self, program: Program) -> None:
        program.file("slow_module.py", SLOW)
        ran = program.run("-c", """
from ledger import Recorder
recorder = Recorder.from_environment()
recorder.milestone("m")
recorder.close()
import slow_module
""")  # fmt: skip
        assert ran.stderr == ""
        [process] = program.processes().values()
        assert process["outcome"] == "completed"
        assert "slow_module" not in program.intervals()

    def test_a_forked_child_s_recorder_goes_on_there(self, program: Program) -> None:
        program.file("slow_module.py", SLOW)
        program.run("-c", """
import os
from ledger import Recorder
recorder = Recorder.from_environment()
if (pid := os.fork()) == 0:
    import slow_module
    recorder.milestone("child")
    recorder.close()
    os._exit(0)
os.waitpid(pid, 0)
""")  # fmt: skip
        with Ledger.open(program.ledger) as ledger:
            [of_child] = {row["process"] for row in ledger.sql("SELECT process FROM milestones")}
            rows = ledger.sql("SELECT stage, process FROM intervals WHERE component = 'slow_module'")
            outcomes = ledger.sql("SELECT DISTINCT outcome FROM processes")
        assert rows == [{"stage": "import", "process": of_child}]
        assert outcomes == [{"outcome": "completed"}]
