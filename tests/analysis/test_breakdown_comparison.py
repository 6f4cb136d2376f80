"""Two sets of breakdowns beside each other, of built sessions and of recorded ones."""

import pytest

from ledger import Timeline, reduce
from ledger.analysis.breakdown_comparison import Medians, StageKey, compare_breakdowns, stage_times
from ledger.testing import SessionBuilder
from tests.support.recordings import recorded

NO_STAGE = StageKey(None, None)


def start(load_ns: int, compile_ns: int = 0, ready_ns: int = 1000) -> Timeline:
    builder = SessionBuilder()
    builder.begin()
    builder.milestone(0, "command_started")
    builder.stop(load_ns, builder.start(0, "weights_load", source="engine"))
    if compile_ns:
        outer = builder.start(load_ns, "torch_compile", role="encoder", source="monitor")
        inner = builder.start(load_ns + 1, "dynamo", source="torch", parent=outer)
        builder.stop(load_ns + compile_ns - 1, inner)
        builder.stop(load_ns + compile_ns, outer)
    builder.milestone(ready_ns, "engine_ready")
    builder.stop(ready_ns + 500, builder.start(ready_ns, "weights_load", source="engine"))
    builder.end(ready_ns + 500)
    return reduce(builder.events)


def test_stages_have_the_median_of_each_set_and_what_a_session_lacks_counts_as_0() -> None:
    cold = [start(100, 300), start(110, 320), start(400, 310)]
    found = compare_breakdowns(cold, [start(100), start(120)])
    assert dict(found.stages) == {
        StageKey("weights_load", None): Medians(110, 110),
        StageKey("torch_compile", "encoder"): Medians(310, 0),
        NO_STAGE: Medians(570, 890),
    }
    assert [key.stage for key, _ in found.stages] == [None, "torch_compile", "weights_load"]
    assert found.whole == Medians(1000, 1000)
    assert found.ended_by == ("engine_ready",)
    assert found.whole.difference_ns == 0
    assert dict(found.stages)[NO_STAGE].difference_ns == 320


def test_several_stages_together_are_added_up_in_each_session_first() -> None:
    found = compare_breakdowns([start(100, 300), start(300, 100), start(200, 250)], [start(10)])
    keys = [key for key, _ in found.stages if key != NO_STAGE]
    assert found.together(keys) == Medians(400, 10)
    assert found.together([key for key, _ in found.stages]) == found.whole


def test_torch_s_own_stages_count_for_the_compile_stage_around_them() -> None:
    assert stage_times(start(100, 300))[StageKey("torch_compile", "encoder")] == 300
    builder = SessionBuilder()
    builder.begin()
    init = builder.start(0, "engine_init", source="engine")
    dynamo = builder.start(10, "dynamo", source="torch", parent=init)
    builder.stop(40, builder.start(20, "bytecode_tracing", source="torch", parent=dynamo))
    builder.stop(50, dynamo)
    builder.stop(60, init)
    builder.end(60)
    times = {key.stage: ns for key, ns in stage_times(reduce(builder.events)).items()}
    assert times == {"engine_init": 20, "dynamo": 40}


@pytest.mark.parametrize("label", ["vllm cold", "vllm warm"])
def test_the_stages_of_a_recorded_start_add_up_to_its_window(label: str) -> None:
    timeline = recorded("vllm").timeline(label)
    assert stage_times(timeline).total() == timeline.startup_windows[0].duration_ns


def test_a_set_without_a_breakdown_is_refused() -> None:
    with pytest.raises(ValueError, match="a session with a breakdown"):
        compare_breakdowns([], [start(100)])
