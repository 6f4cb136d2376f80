"""The public names do together what the README says."""

import importlib.util
from pathlib import Path

import ledger
from ledger import reduce
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


def test_every_public_name_is_there_and_listed() -> None:
    assert all(hasattr(ledger, name) for name in ledger.__all__)
    assert dir(ledger) == sorted(ledger.__all__)
