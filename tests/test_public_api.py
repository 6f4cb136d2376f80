"""The public names do together what the README says."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import ledger
import ledger.adapters
from ledger import Ledger, Recorder, reduce
from ledger_pytest import CompileLedger
from tests.support.paths import TESTS

_PATH = TESTS / "public_api" / "examples.py"
_SPEC = importlib.util.spec_from_file_location("examples", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
examples = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(examples)


def test_what_is_recorded_is_read_back_with_its_exact_times(tmp_path: Path) -> None:
    examples.record(tmp_path / "startup.db")
    timeline, rows, frame_length = examples.read(tmp_path / "startup.db")
    assert rows == [
        {"role": "drafter", "activity": "compile", "total_ns": 3},
        {"role": None, "activity": "load", "total_ns": 5},
        {"role": "language_model", "activity": "warmup", "total_ns": 7},
        {"role": "encoder", "activity": "compile", "total_ns": 10},
    ]
    assert frame_length == 1
    assert timeline.session.label == "nightly"
    assert [claim.claimed_ns for claim in timeline.claims] == [16_770_000_000]
    assert [milestone.name for milestone in timeline.milestones] == ["engine_ready"]
    assert timeline.session.outcome == "completed"


def test_a_session_built_by_hand_reduces_like_a_recorded_one() -> None:
    timeline = reduce(examples.build())
    assert [interval.self_ns for interval in timeline.intervals] == [7, 3]
    assert timeline.claims[0].interval == timeline.intervals[0].interval


def test_a_refused_event_names_its_field() -> None:
    assert examples.refuse().startswith("stage_stopped.seq:")


def test_a_budget_is_held_against_what_was_recorded(tmp_path: Path, compile_ledger: CompileLedger) -> None:
    examples.record(tmp_path / "startup.db")
    assert [text.partition(";")[0] for text in examples.hold(tmp_path / "startup.db")] == [
        "total: encoder, compile: 10 ns measured"
    ]
    examples.assert_in_a_test(compile_ledger)


@pytest.mark.parametrize("module", [ledger, ledger.adapters])
def test_every_public_name_is_there_and_listed(module: ModuleType) -> None:
    assert all(hasattr(module, name) for name in module.__all__)
    assert dir(module) == sorted(module.__all__)
    assert not hasattr(module, "no_such_name")


def test_importing_the_front_doors_loads_no_sqlite() -> None:
    code = "import sys, ledger, ledger.adapters; print([name for name in sys.modules if 'sqlite' in name])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_a_ledger_and_a_timeline_show_themselves_in_a_notebook(path: Path) -> None:
    with Recorder.open(path, label="<b>nightly</b>") as recorder:
        recorder.stop(recorder.start("dynamo", role="<encoder>"))
    with Ledger.open(path) as opened:
        timeline = opened.timeline()
        shown, sessions = timeline._repr_html_(), opened._repr_html_()
        assert repr(opened) == f"<Ledger {str(path)!r}>"
    assert "<td>&lt;encoder&gt;</td><td>compile</td>" in shown
    assert f"<caption>{path}</caption>" in sessions
    assert "<td>&lt;b&gt;nightly&lt;/b&gt;</td><td>completed</td>" in sessions
    assert repr(timeline).endswith(
        "(<b>nightly</b>), completed: 1 process, 1 interval, 0 claims, 0 anomalies>"
    )
    assert "no session" in reduce([])._repr_html_()
