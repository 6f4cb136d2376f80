"""The fixture `compile_ledger`, in runs of pytest as a project would have them, with real compiles."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger import Ledger
from ledger.storage.verification import verify

pytest_plugins = ["pytester"]

COMPILE = """
import threading
import torch

def compiled(add):
    # Not dynamic: else Dynamo would compile for no third number any more.
    return torch.compile(lambda x: x + add, backend="eager", dynamic=False)(torch.zeros(2))
"""

FOUND = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error"]


def kept(folder: Path) -> dict[str, Path]:
    """The ledgers under a base folder of temporary ones, by the test's name; every one must be whole."""
    ledgers = {path.parent.name: path for path in folder.rglob("compile_ledger.db")}
    for path in ledgers.values():
        assert [finding for finding in verify(path) if finding.is_fault] == []
        assert not path.with_name("compile_ledger.db.journal").exists()
    return ledgers


def session(path: Path) -> dict[str, object]:
    with Ledger.open(path) as ledger:
        (row,) = ledger.sql("SELECT label, outcome FROM sessions")
    return row


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    base = pytester.path / "base"
    shutil.rmtree(base, ignore_errors=True)
    return pytester.run(*FOUND, f"--basetemp={base}", *arguments)


TESTS = (
    COMPILE
    + """
import pytest
from ledger import InvalidBudget

WITHIN = {"total": [{"activity": "compile", "at_most": "10 min"}]}

def test_nothing_compiled(compile_ledger):
    compiled  # not called
    assert compile_ledger.timeline.intervals == ()
    with pytest.raises(AssertionError, match="nothing measured"):
        compile_ledger.assert_within(WITHIN)

def test_roles_and_stages(compile_ledger):
    recorder = compile_ledger.recorder
    with recorder.stage("torch_compile", role="encoder", component="Block", source="monitor"):
        compiled(1)
    assert [total.role for total in compile_ledger.timeline.role_totals] == ["encoder"]
    compiled(2)
    timeline = compile_ledger.timeline
    assert [total.role for total in timeline.role_totals] == ["encoder", "model"]
    assert {i.component for i in timeline.intervals if i.is_top_level} == {"Block", None}
    compile_ledger.assert_within(WITHIN)
    verdicts = compile_ledger.check({"total": [{"role": "encoder", "each": "component", "at_most": "1 ns"}]})
    (broken,) = verdicts.broken
    assert (broken.name, broken.over) == ("total: encoder [encoder, Block]", broken.measured - 1)

def test_without_the_fixture():
    compiled(3)

def test_only_its_own(compile_ledger):
    assert compile_ledger.timeline.intervals == ()
    threads = [threading.Thread(target=compiled, args=[n]) for n in (4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dynamo = [i for i in compile_ledger.timeline.intervals if i.stage == "dynamo"]
    assert [i.outcome for i in dynamo] == ["completed"] * 2
    assert len({i.thread for i in dynamo}) == 2
    assert compile_ledger.timeline.gaps == ()

def test_open_stage(compile_ledger):
    with compile_ledger.recorder.stage("torch_compile", role="encoder"):
        with pytest.raises(AssertionError, match="is still open after"):
            compile_ledger.assert_within({"total": [{"role": "encoder", "at_most": "10 min"}]})

def test_wrong_budget(compile_ledger):
    with pytest.raises(InvalidBudget, match="no key 'atmost' here"):
        compile_ledger.assert_within({"total": [{"atmost": "1 s"}]})

def test_backward_in_aot_eager(compile_ledger):
    x = torch.ones(3, requires_grad=True)
    torch.compile(lambda x: (x * x).sum(), backend="aot_eager")(x).backward()
    assert {"dynamo", "backend_compile"} <= {i.stage for i in compile_ledger.timeline.intervals}
    assert compile_ledger.timeline.claims
"""
)


def test_a_test_sees_what_it_compiled_and_nothing_else(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=TESTS)
    run(pytester, "-q").assert_outcomes(passed=7)
    ledgers = kept(pytester.path)
    assert session(ledgers["test_only_its_own0"]) == {
        "label": "test_it.py::test_only_its_own", "outcome": "completed",
    }  # fmt: skip
    assert len(ledgers) == 6


FAILING = (
    COMPILE
    + """
import pytest

def test_over(compile_ledger):
    with compile_ledger.recorder.role("encoder"):
        compiled(1)
    compile_ledger.assert_within("budget.toml")

def test_in_the_middle(compile_ledger):
    with compile_ledger.recorder.stage("warmup"):
        compiled(2)
        raise RuntimeError("in the middle")

def test_in_a_compile(compile_ledger):
    def broken(graph, inputs):
        raise KeyError("in the backend")
    torch.compile(lambda x: x + 3, backend=broken)(torch.zeros(2))

def test_afterwards(compile_ledger):
    assert not hasattr(torch._dynamo.utils.log_compilation_event.__wrapped__, "listener")
    compiled(4)
    assert {i.outcome for i in compile_ledger.timeline.intervals} == {"completed"}

def test_put_back():
    assert not hasattr(torch._dynamo.utils.record_chromium_event_internal, "listener")
    assert not hasattr(torch._dynamo.utils.log_compilation_event, "listener")
"""
)


def test_a_budget_fails_a_test_with_the_rows_that_the_command_prints(pytester: pytest.Pytester) -> None:
    """And what was recorded until a test failed is kept."""
    (pytester.path / "budget.toml").write_text(
        '[[total]]\nrole = "encoder"\nactivity = "compile"\nat_most = "1 µs"\n'
        '[[total]]\nrole = "encoder"\nactivity = "compile"\nat_most = "1 h"\n'
    )
    pytester.makepyfile(FAILING)
    result = run(pytester, "-q")
    result.assert_outcomes(failed=3, passed=2)
    result.stdout.fnmatch_lines(
        [
            "E*AssertionError: 2 of 3 limits hold, 1 broken",
            "E*limit  *allowed  *measured  *over by  *verdict",
            "E*total: encoder, compile  *at most 1 µs  *BROKEN",
            "E*total: encoder, compile  *at most 1 h  *holds",
            "E*total: encoder, compile: * measured; at most 1 µs allowed: * over",
            "E*in process *of session *",
            "E*interval *: *, dynamo",
            "E*recorded in *test_over0/compile_ledger.db",
        ]
    )
    ledgers = kept(pytester.path)
    assert {name: session(path)["outcome"] for name, path in ledgers.items()} == {
        "test_over0": "failed", "test_in_the_middle0": "failed", "test_in_a_compile0": "failed",
        "test_afterwards0": "completed",
    }  # fmt: skip
    with Ledger.open(ledgers["test_in_the_middle0"]) as ledger:
        failed = ledger.sql("SELECT stage, error FROM intervals WHERE outcome = 'failed'")
    assert failed == [{"stage": "warmup", "error": "RuntimeError"}]
    command = [
        sys.executable,
        "-m",
        "ledger.cli",
        "check",
        str(ledgers["test_in_a_compile0"]),
        "-b",
        "budget.toml",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=pytester.path, check=False)
    assert done.returncode == 1
    assert "it failed, and has not become ready" in done.stdout


RECORDED = (
    COMPILE
    + """
def test_without_the_fixture():
    compiled(1)

def test_with_it(compile_ledger):
    compiled(2)
    assert sum(i.stage == "dynamo" for i in compile_ledger.timeline.intervals) == 1

def test_without_it_again():
    compiled(3)
"""
)


def test_a_run_that_is_recorded_itself_keeps_everything(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pytester.path / "run.db"
    monkeypatch.setenv("COMPILE_LEDGER", str(path))
    pytester.makepyfile(RECORDED)
    run(pytester, "-q").assert_outcomes(passed=3)
    monkeypatch.delenv("COMPILE_LEDGER")
    with Ledger.open(path) as ledger:
        assert len(ledger.sessions()) == 1
        assert len(ledger.sql("SELECT * FROM intervals WHERE stage = 'dynamo'")) == 3
        assert ledger.sql("SELECT * FROM gaps") == []
    assert list(kept(pytester.path)) == ["test_with_it0"]


PARALLEL = (
    COMPILE
    + """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_it(number, compile_ledger):
    compiled(number)
    assert sum(i.stage == "dynamo" for i in compile_ledger.timeline.intervals) == 1
    assert number != 3

def test_nothing(compile_ledger):
    assert compile_ledger.timeline.intervals == ()
"""
)


def test_it_works_in_several_processes_at_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PARALLEL)
    run(pytester, "-q", "-n", "2").assert_outcomes(passed=4, failed=1)
    outcomes = [session(path)["outcome"] for path in kept(pytester.path).values()]
    assert sorted(map(str, outcomes)) == ["completed"] * 4 + ["failed"]


def test_a_test_that_imports_no_torch_can_record_its_own_stages(pytester: pytest.Pytester) -> None:
    """And a run without the fixture imports neither us nor what we need."""
    pytester.makepyfile(
        test_a="""
        import sys

        def test_nothing_is_imported():
            ours = {"ledger", "ledger_torch", "ledger_pytest.recording", "pydantic", "sqlite_utils", "torch"}
            assert not ours & set(sys.modules)
        """,
        test_b="""
        import sys

        def test_stages(compile_ledger):
            with compile_ledger.recorder.stage("warmup", role="encoder"):
                pass
            compile_ledger.assert_within({"total": [{"role": "encoder", "at_most": "1 s"}]})
            assert "torch" not in sys.modules

        def test_a_baseline_in_another_ledger(compile_ledger):
            from ledger import Recorder
            with Recorder.open("main.db", label="main") as recorder, recorder.stage("warmup", role="encoder"):
                pass
            limit = {"role": "encoder", "at_most_over_baseline": "1 min"}
            with compile_ledger.recorder.stage("warmup", role="encoder"):
                pass
            compile_ledger.assert_within({"total": [limit]}, baseline="main.db:main")
        """,
    )
    run(pytester, "-q").assert_outcomes(passed=3)
    shown = pytester.run(*FOUND, "--fixtures", "-q").stdout.str()
    assert "compile_ledger" in shown
    assert "Records what torch compiles while the test runs" in shown
