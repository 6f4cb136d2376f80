"""What a report says of starts that failed, on H200s: of killed workers, and of sessions without an end."""

import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from ledger import Event, Ledger
from ledger.recording.process_identity import this_process
from ledger.reports.from_ledger import read_report
from ledger.reports.text import print_report
from ledger.storage.queries import saved_query
from ledger.testing import MemoryLedger, SessionBuilder
from tests.support.gpu_starts import FROM_BIRTH, gpu_events


def notes(*events: Event) -> tuple[str, ...]:
    ledger = MemoryLedger(events)
    return read_report(ledger, ledger.session()).ledger_notes


def failed(*events: Event) -> list[tuple[str, str, str | None]]:
    ledger = MemoryLedger(events)
    return [
        (row.process, row.interval.stage, row.failure)
        for row in read_report(ledger, ledger.session()).failed.rows
    ]


def test_the_worker_that_was_killed_is_the_first_of_what_failed() -> None:
    events = gpu_events("tp2killed")["tp2-worker-killed"]
    expected = [
        ("Worker_TP1", "create_aot_dispatcher_function", "lost"),
        ("Worker_TP0", "aot_compile", "lost"),
        ("EngineCore", "engine_init", "RuntimeError"),
        ("<file-1>", "engine_start", "RuntimeError"),
    ]
    found = [(name.partition(" rank")[0], stage, error) for name, stage, error in failed(*events)]
    assert found == expected
    rows = MemoryLedger(events).sql(saved_query("failed_stages"))
    assert [(row["process"], row["stage"], row["error"]) for row in rows] == expected


def test_an_engine_that_was_killed_is_before_the_front_end_that_waited_for_it() -> None:
    found = failed(*gpu_events("killed")["big-killed-engine"])
    assert [(name, error) for name, _, error in found] == [
        ("EngineCore", "lost"),
        ("<file-1>", "RuntimeError"),
    ]


@pytest.mark.parametrize("error", [None, "KeyError", "ModuleNotFoundError"])
def test_an_import_failed_where_its_process_ended_by_the_same_exception(error: str | None) -> None:
    """Elsewhere its importer caught the exception, and had another way."""
    builder = SessionBuilder()
    builder.begin()
    outer = builder.start(1, "import", component="a", source="python")
    inner = builder.start(2, "import", component="a.b", source="python", parent=outer)
    builder.stop(3, inner, "failed", "ModuleNotFoundError")
    builder.stop(4, outer, "failed", "ModuleNotFoundError")
    builder.stop(6, builder.start(5, "import", source="user"), "failed", "ModuleNotFoundError")
    builder.stop(
        8, builder.start(7, "process_exit", source="python"), "failed" if error else "completed", error
    )
    builder.end(9, "failed" if error else "completed")
    of_imports = [("process", "import", "ModuleNotFoundError")] * (2 if error == "ModuleNotFoundError" else 0)
    of_others = [("process", "import", "ModuleNotFoundError")]
    of_others += [("process", "process_exit", error)] if error else []
    assert failed(*builder.events) == [*of_imports, *of_others]
    ledger = MemoryLedger(builder.events)
    rows = ledger.sql(saved_query("failed_stages"))
    assert [(row["process"], row["stage"], row["error"]) for row in rows] == [*of_imports, *of_others]
    assert len(ledger.sql("SELECT * FROM intervals WHERE stage = 'import' AND outcome = 'failed'")) == 3


@pytest.mark.parametrize("name", FROM_BIRTH)
def test_what_failed_of_a_start_of_vllm_is_in_its_report_what_the_saved_query_says(name: str) -> None:
    """No import is among it, though in each that compiles torch looks for a library in vain."""
    events = gpu_events(name)[name]
    found = [(process.partition(" rank")[0], stage, error) for process, stage, error in failed(*events)]
    rows = MemoryLedger(events).sql(saved_query("failed_stages"))
    assert [(row["process"], row["stage"], row["error"]) for row in rows] == found
    assert not [stage for _, stage, _ in found if stage == "import"]
    assert bool(found) == (name in ("fails-cold", "killed-cold"))


@pytest.mark.parametrize("is_caught", [False, True])
def test_a_module_that_fails_to_import_is_what_failed_unless_its_importer_went_on(
    path: Path, is_caught: bool
) -> None:
    module = "import time\ntime.sleep(0.05)\nraise ImportError('no such library')\n"
    (path.parent / "accelerated.py").write_text(module)
    program = "try:\n    import accelerated\nexcept ImportError:\n    " + (
        "print('slower')" if is_caught else "raise"
    )
    command = [
        sys.executable,
        "-m",
        "ledger.cli",
        "record",
        "-o",
        str(path),
        "--",
        sys.executable,
        "-c",
        program,
    ]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, check=False)
    assert done.returncode == (0 if is_caught else 1)
    with Ledger.open(path) as ledger:
        rows = ledger.sql(saved_query("failed_stages"))
        report = read_report(ledger, ledger.session())
        imports = ledger.sql("SELECT outcome FROM intervals WHERE component = 'accelerated'")
    stages = [] if is_caught else ["import", "process_exit", "process_exit"]
    assert [row["stage"] for row in rows] == [row.interval.stage for row in report.failed.rows] == stages
    assert [row["outcome"] for row in imports] == ["failed"]


def test_a_session_that_was_killed_whole_says_so_where_it_is_read() -> None:
    [note] = notes(*gpu_events("killed")["big-killed-all"])
    assert note == (
        "3 processes never said to have left, and can't be found here: the session may have been killed as a "
        "whole"
    )
    assert notes(*gpu_events("killed")["big-killed-engine"]) == ()


@pytest.mark.parametrize("is_other_boot", [False, True])
def test_of_a_process_that_runs_here_nothing_is_said(is_other_boot: bool) -> None:
    own = this_process()
    builder = SessionBuilder()
    builder.begin(host=socket.gethostname())
    joined = next(event for event in builder.events if event.kind == "process_joined")
    identity = {**own._asdict(), **({"boot_id": "another"} if is_other_boot else {})}
    builder.events[builder.events.index(joined)] = joined.model_copy(update=identity)
    assert len(notes(*builder.events)) == is_other_boot


def test_how_a_process_ended_and_its_last_line_are_printed() -> None:
    builder = SessionBuilder()
    builder.begin()
    interval = builder.start(5, "process_exit", source="python")
    builder.stop(5, interval, "failed")
    stopped = builder.events[-1]
    data = {"exit_code": 2, "last_line": "error: no such model"}
    builder.events[-1] = stopped.model_copy(update={"data": data})
    builder.end(6, "failed")
    ledger = MemoryLedger(builder.events)
    text = io.StringIO()
    print_report(read_report(ledger, ledger.session()), Console(file=text, width=120))
    assert "exit code 2" in text.getvalue()
    assert text.getvalue().rstrip().endswith(": error: no such model")
