"""What was compiled is a finding, with why no cache gave it; what was loaded is none."""

from pathlib import Path
from typing import Any

import pytest

from ledger import Finding, MilestoneReached, TotalClaimed, reduce
from ledger.timeline.records import IntervalKey
from tests.support import recordings
from tests.support.gpu_starts import gpu_starts
from tests.support.random_sessions import Tape
from tests.support.reading_logs import import_content, line
from tests.support.reconciled import LANGUAGE, S

NAMES = ("cache_empty", "cache_load_failed", "cache_bypassed")


def findings(*tapes: Tape) -> list[Finding]:
    events = [event for tape in tapes for event in tape.events]
    return [one for one in reduce(events).findings if one.finding in NAMES]


def of(name: str, label: str | None = None) -> list[tuple[str, str | None, str]]:
    """What a recorded start of GPUs yields."""
    timeline = gpu_starts(name)[label or name.rpartition("/")[2]]
    return [(one.finding, one.component, one.summary) for one in timeline.findings if one.finding in NAMES]


def engine(process: str = "worker", **joined: Any) -> Tape:
    """An engine's process."""
    tape = Tape(process)
    tape.join(host="host", **joined)
    return tape


def compiled(tape: Tape, interval: int, start: float, stop: float, **data: Any) -> None:
    """A compile that the monitor times; `data` is what the monitor notes."""
    data = data or {"cache": "compiled"}
    tape.span(
        interval,
        round(start * S),
        round(stop * S),
        stage="torch_compile",
        source="monitor",
        data=data,
        **LANGUAGE,
    )


def backend(tape: Tape, interval: int, stage: str, start: float, stop: float, **data: Any) -> None:
    """A stage of the engine's backend."""
    tape.span(
        interval, round(start * S), round(stop * S), stage=stage, source="backend", data=data, **LANGUAGE
    )


def test_a_compile_after_a_miss_is_a_finding_with_its_time() -> None:
    tape = engine()
    compiled(tape, 0, 0, 0.001, cache="miss")
    compiled(tape, 1, 1, 9)
    [found] = findings(tape)
    assert (found.finding, found.stake_ns) == ("cache_empty", 8 * S)
    assert (found.process, found.role, found.component) == ("worker", "language_model", "backbone")
    assert found.summary == "backbone compiled: the cache had nothing for it"
    assert found.intervals == (IntervalKey("worker", 1),)


def test_a_load_is_none() -> None:
    tape = engine()
    compiled(tape, 0, 0, 8, cache="hit")
    assert findings(tape) == []


def test_a_compile_whose_graphs_were_all_loaded_is_none() -> None:
    tape = engine()
    compiled(tape, 0, 0, 8)
    backend(tape, 1, "graph_load", 1, 4, cache="hit")
    backend(tape, 2, "graph_compile", 4, 5, cache="reused")
    assert findings(tape) == []


def test_of_a_compile_that_loaded_some_graphs_the_others_count() -> None:
    tape = engine()
    compiled(tape, 0, 0, 9)
    backend(tape, 1, "graph_load", 1, 4, cache="hit")
    backend(tape, 2, "graph_compile", 4, 6, cache="miss")
    [found] = findings(tape)
    assert (found.stake_ns, found.intervals) == (2 * S, (IntervalKey("worker", 2),))


def test_a_compile_that_never_ended_is_none() -> None:
    tape = engine()
    tape.start(0, 0, "torch_compile", source="monitor", **LANGUAGE)
    tape.span(1, S, 5 * S, stage="dynamo", source="torch", data={"compile_id": "0/0"})
    tape.span(
        2, 2 * S, 5 * S, stage="inductor_compile", source="torch", data={"cache_state": "miss"}, parent=1
    )
    assert findings(tape) == []
    tape.lose(9 * S, "worker", 5)
    assert findings(tape) == []


def test_a_short_compile_is_none() -> None:
    tape = engine()
    tape.span(5, 0, 100 * S, stage="warmup", source="engine")
    compiled(tape, 0, 0, 1.9)
    assert findings(tape) == []


def test_time_after_ready_does_not_count() -> None:
    tape = engine()
    compiled(tape, 0, 0, 9)
    tape.add(MilestoneReached, 5 * S, name="engine_ready")
    [found] = findings(tape)
    assert found.stake_ns == 5 * S


def test_of_ranks_there_is_one_finding_for_the_slowest() -> None:
    tapes = [engine(f"rank{rank}", rank=rank) for rank in range(3)]
    for number, tape in enumerate(tapes):
        compiled(tape, 0, 0, 4 + number)
    [found] = findings(*tapes)
    assert (found.stake_ns, found.process) == (6 * S, "rank2")
    assert found.summary == "backbone compiled on 3 ranks: the cache had nothing for it"


def test_a_load_that_failed_counts_with_the_compile_after_it_and_the_claim_that_lacks_it() -> None:
    tape = engine()
    tape.start(0, 0, "torch_compile", source="monitor", **LANGUAGE)
    tape.start(1, 0, "aot_load", source="backend", parent=0, **LANGUAGE)
    reason = "RuntimeError: Source code has changed since the last compilation"
    tape.stop(1, 2 * S, outcome="failed", data={"cache": "failed", "reason": reason})
    tape.stop(0, 2 * S, outcome="failed", data={"cache": "failed", "reason": reason})
    compiled(tape, 2, 3, 9)
    tape.add(
        TotalClaimed, 10 * S, claim=7, counts="addition", source="monitor", claimed_ns=6 * S, interval=2,
        stage="torch_compile", data={"accumulator": "compilation_time"}, **LANGUAGE,
    )  # fmt: skip
    tape.add(
        TotalClaimed, 10 * S, claim=8, counts="total", source="engine", claimed_ns=6 * S,
        stage="torch_compile", role="language_model",
    )  # fmt: skip
    [found] = findings(tape)
    assert (found.finding, found.stake_ns) == ("cache_load_failed", 8 * S)
    assert found.summary == "backbone could not be loaded: RuntimeError: Source code has changed …"
    assert found.intervals == (IntervalKey("worker", 2), IntervalKey("worker", 1))
    assert [claim.claim for claim in found.claims] == [8]


def test_a_failed_load_of_another_part_changes_nothing() -> None:
    tape = engine()
    tape.span(0, 0, S, stage="aot_load", source="backend", role="encoder", data={"cache": "failed"})
    compiled(tape, 2, 3, 9)
    assert {(one.finding, one.role, one.stake_ns) for one in findings(tape)} == {
        ("cache_load_failed", "encoder", S),
        ("cache_empty", "language_model", 6 * S),
    }


def test_a_log_says_that_a_load_failed_before_it_says_of_what(tmp_path: Path) -> None:
    failed = (
        "Compiling model again due to a load failure from /cache/model, reason: RuntimeError: other source"
    )
    lines = [line(failed, at="09:18:02"), line("torch.compile took 17.50 s in total", at="09:18:19")]
    [events] = import_content(tmp_path, *lines).sessions
    [found] = [one for one in reduce(events).findings if one.finding in NAMES]
    assert (found.finding, found.stake_ns) == ("cache_load_failed", round(17.5 * S))
    assert found.summary == "the model could not be loaded: RuntimeError: other source"


def test_a_graph_that_could_not_be_read_is_a_failed_load() -> None:
    tape = engine()
    compiled(tape, 0, 0, 9)
    backend(tape, 1, "graph_load", 1, 4, cache="hit")
    backend(tape, 2, "graph_load", 4, 7, cache="outdated")
    [found] = findings(tape)
    assert (found.finding, found.stake_ns) == ("cache_load_failed", 3 * S)


def test_an_engine_whose_cache_is_turned_off_passes_it_by() -> None:
    tape = engine()
    compiled(tape, 0, 0, 9)
    backend(tape, 1, "backend_compile", 1, 8, cache="disabled")
    [found] = findings(tape)
    assert (found.finding, found.stake_ns) == ("cache_bypassed", 9 * S)
    assert found.summary == "backbone compiled: the engine's cache is turned off"


def of_torch(tape: Tape, answer: str | None, reason: str | None = None, stage: str = "dynamo") -> None:
    """A compile of torch's, of 10 s: Dynamo takes the first."""
    tape.start(10, 0, stage, data={"compile_id": "0/0"})
    tape.start(11, S, "backend_compile", parent=10)
    noted = {"cache_state": answer, "cache_bypass_reason": reason}
    tape.span(12, 2 * S, 9 * S, stage="inductor_compile", parent=11, data=noted)
    tape.stop(11, 10 * S)
    tape.stop(10, 10 * S)


@pytest.mark.parametrize(
    ("answer", "name"),
    [("miss", "cache_empty"), ("bypass", "cache_bypassed"), ("disabled", "cache_bypassed")],
)
def test_what_torch_compiled_itself_counts_without_dynamo(answer: str, name: str) -> None:
    tape = engine()
    of_torch(tape, answer, "unsupported op")
    [found] = findings(tape)
    assert (found.finding, found.stake_ns, found.role) == (name, 9 * S, "model")
    assert found.summary == (
        "model compiled: the cache had nothing for it"
        if answer == "miss"
        else "model compiled past torch's cache: unsupported op"
    )


@pytest.mark.parametrize("answer", ["hit", None])
def test_what_torch_loaded_or_compiled_without_a_cache_is_none(answer: str | None) -> None:
    tape = engine()
    of_torch(tape, answer)
    assert findings(tape) == []


def test_what_is_compiled_ahead_of_time_into_a_package_is_none() -> None:
    tape = engine()
    of_torch(tape, "disabled", "cache not enabled", stage="compile_fx_aot")
    assert findings(tape) == []


def test_where_a_monitor_does_not_say_torchs_answers_count_for_its_part() -> None:
    tape = engine()
    tape.start(0, 0, "torch_compile", source="monitor", role="encoder", component="Block")
    of_torch(tape, "miss")
    tape.stop(0, 11 * S)
    [found] = findings(tape)
    assert (found.finding, found.component, found.stake_ns) == ("cache_empty", "Block", 9 * S)


def test_a_cold_start_and_a_warm_one() -> None:
    assert of("tp2-cold") == [
        ("cache_empty", "backbone", "backbone compiled on 2 ranks: the cache had nothing for it")
    ]
    assert of("tp2-warm") == of("text-warm") == of("triton_cache/unset1-warm") == []
    # Recorded before the monitor's own tag was: the backend's stands in.
    assert of("tp2", "tp2-cold") == of("tp2-cold")
    assert of("tp2killed", "tp2-worker-killed") == of("fails", "fails-length") == []


def test_torchs_cache_is_off_in_favour_of_the_engines_and_that_is_none() -> None:
    [cold, warm] = recordings.recorded("vllm").sql("SELECT session FROM sessions ORDER BY started_at")
    ledger = recordings.recorded("vllm")
    found = [one for one in ledger.findings(str(cold["session"])) if one.finding in NAMES]
    assert {one.finding for one in found} == {"cache_empty"}
    assert {one.component for one in found} == {
        "backbone",
        "Qwen2_5_VisionBlock",
        "Qwen2_5_VisionPatchEmbed",
        "Qwen2_5_VisionPatchMerger",
    }
    assert [one for one in ledger.findings(str(warm["session"])) if one.finding in NAMES] == []


def test_a_program_without_an_engine_is_cold_once() -> None:
    ledger = recordings.recorded("demo")
    found = {
        str(row["label"]): [
            one.component for one in ledger.findings(str(row["session"])) if one.finding in NAMES
        ]
        for row in ledger.sql("SELECT session, label FROM sessions")
    }
    assert {label: sorted(filter(None, components)) for label, components in found.items()} == {
        "demo cold": ["DecoderLM", "VisionEncoder"],
        "demo warm": [],
        "killed": [],
    }
