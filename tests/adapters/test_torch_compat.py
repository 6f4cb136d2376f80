"""What the hooks rest on, held against torch's real sources: the oldest version, the newest, the installed.

`make compat` takes the facts anew; each file beside `torch_compat/take.py` is one version's.
"""

import importlib.util
import json
import sys
from functools import cache
from typing import Any

import pytest

from ledger.timeline import compile_phases
from ledger_torch import hook_targets
from ledger_vllm.hook_targets import TABLE
from tests.support.paths import TESTS

FOLDER = TESTS / "torch_compat"
KEPT = {path.stem.removeprefix("torch-"): path for path in sorted(FOLDER.glob("torch-*.json"))}


@cache
def installed() -> dict[str, Any]:
    """The facts of the torch that is installed here, read from its sources now."""
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("take", FOLDER / "take.py")
        assert spec is not None
        assert spec.loader is not None
        take = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(take)
        found: dict[str, Any] = json.loads(json.dumps(take.of_installed()))
    finally:
        sys.path.remove(str(FOLDER))
    return found


@pytest.fixture(params=[*KEPT, "installed"])
def facts(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "installed":
        return installed()
    found: dict[str, Any] = json.loads(KEPT[request.param].read_text(encoding="utf-8"))
    assert found["torch"] == request.param
    return found


def class_of(module: str, name: str) -> str:
    """An exception's name in the facts: those of Dynamo's own module go by their short one."""
    return name if module == "torch._dynamo.exc" else f"{module}.{name}"


def test_the_oldest_supported_version_and_a_newer_one_are_kept() -> None:
    versions = sorted(tuple(map(int, version.split(".")[:2])) for version in KEPT)
    assert versions[0] == (2, 6)
    assert versions[-1] >= (2, 15)


def test_the_installed_torch_is_as_kept() -> None:
    found = installed()
    if found["torch"] not in KEPT:
        pytest.skip(f"no facts of torch {found['torch']} are kept: run make compat")
    assert found == json.loads(KEPT[found["torch"]].read_text(encoding="utf-8"))


def test_both_stubs_take_one_argument_and_are_called_where_they_are_replaced(facts: dict[str, Any]) -> None:
    assert facts["hooks"] == {hook_targets.EVENT_HOOK: ["event"], hook_targets.METRICS_HOOK: ["metrics"]}
    # By name out of this module's own namespace, which is why replacing its attribute is enough.
    assert set(facts["imported_by_utils"].values()) == {"torch._utils_internal"}
    assert facts["callers"] == {
        hook_targets.EVENT_HOOK: [f"{hook_targets.LOGGER}._log_timed_event"],
        hook_targets.METRICS_HOOK: ["record_compilation_metrics"],
    }


def test_events_and_torchs_own_stack_are_what_the_spans_read(facts: dict[str, Any]) -> None:
    assert set(hook_targets.EVENT_KEYS) <= set(facts["event_keys"])
    assert facts["logger_getter"] == []
    assert facts["logger_methods"]["get_stack"] == ["self"]
    assert facts["begin_is_reported_before_it_is_open"]
    assert facts["dynamo_timed"][0] == "key"


def test_control_flow_and_soft_errors_are_classes_of_torchs(facts: dict[str, Any]) -> None:
    known = facts["exceptions"]
    assert {class_of(*error) for error in (*hook_targets.CONTROL_FLOW, *hook_targets.SOFT_ERRORS)} <= set(
        known
    )
    # All that restarts an analysis derives from the one class that is named.
    restarts = [name for name in known if name.endswith("RestartAnalysis") and name != "RestartAnalysis"]
    assert {base for name in restarts for base in known[name]} == {"RestartAnalysis"}
    miss = class_of("torch._functorch._aot_autograd.autograd_cache", "FXGraphCacheMiss")
    assert known[miss] == ["BypassAOTAutogradCache"]


def test_dynamo_answers_just_these_errors_with_eager_execution(facts: dict[str, Any]) -> None:
    soft = set(facts["soft_errors"])
    assert "Unsupported" in soft
    # UserError derives from Unsupported where it is not named itself.
    named = {name for _, name in hook_targets.SOFT_ERRORS}
    assert soft <= named
    assert all(name in soft or set(facts["exceptions"][name]) & soft for name in named)
    callers = {f"{name}.__call__" for name in (hook_targets.CONVERTER, hook_targets.CONVERTER_ENTRY)}
    assert callers <= set(facts["converter"])


def test_a_probe_of_the_cpu_is_where_it_is_looked_for(facts: dict[str, Any]) -> None:
    assert facts["probe"] == ["self", "code"]


def test_a_compile_ahead_of_time_is_saved_where_the_adapter_for_vllm_hooks_it(facts: dict[str, Any]) -> None:
    (target,) = (target for target in TABLE.targets if target.module.startswith("torch."))
    assert (target.module, target.name) == (
        "torch._dynamo.aot_compile",
        "AOTCompiledFunction.save_compiled_function",
    )
    if facts["aot_save"] is None:
        # The oldest vLLM that is hooked comes with torch 2.10.
        assert tuple(map(int, facts["torch"].split(".")[:2])) < (2, 10)
        return
    names = [name.rstrip("=") for name in facts["aot_save"]]
    assert target.fault(names) is None
    # The hook takes the first one after self for the path.
    assert names[:2] == ["self", "path"]


def test_fields_are_timed_by_the_stages_that_claims_name(facts: dict[str, Any]) -> None:
    timed = facts["timed_fields"]
    for field, stages in hook_targets.TIMED.items():
        if field in timed:  # not every field is in every version
            assert sorted((stages.stage, *stages.others)) == timed[field], field
    of_total = {hook_targets.FORWARD, hook_targets.BACKWARD}
    assert of_total <= {stage for stages in timed.values() for stage in stages}
    assert {"duration_us", "start_time_us", "compile_id", "is_forward"} <= set(facts["metrics_fields"])


def test_older_fields_are_twins_of_the_ones_that_are_claimed(facts: dict[str, Any]) -> None:
    for older, field in facts["legacy_fields"].items():
        if older != "start_time":
            assert hook_targets.TWINS[older] == field
    assert set(hook_targets.TWINS.values()) <= set(facts["metrics_fields"])
    assert set(facts["metrics_fields"]) >= hook_targets.NOT_DURATIONS


def test_no_field_that_ends_like_a_duration_is_something_else(facts: dict[str, Any]) -> None:
    numbers = {
        name
        for name, kind in facts["metrics_fields"].items()
        if name.endswith(tuple(hook_targets.DURATIONS_END_IN)) and ("int" in kind or "float" in kind)
    }
    said = {name for name in numbers - hook_targets.NOT_DURATIONS if name not in hook_targets.TWINS}
    words = ("duration", "time", "timeout", "overhead", "latency")
    assert [name for name in said if not any(word in name for word in words)] == []


def test_what_torch_keeps_of_a_compile_is_where_it_is_read(facts: dict[str, Any]) -> None:
    if (found := facts.get("of_compiles")) is None:
        pytest.skip("taken before these facts were: run make compat")
    assert found["lists"] == [hook_targets.GRAPH_BREAKS, hook_targets.GUARD_FAILURES]
    assert found["graph_break"][:2] == ["reason", "user_stack"]
    assert found["cache_state_of"] == [compile_phases.JOINT_GRAPH, compile_phases.GRAPH]
    # On 2.6 kernels don't say what the autotune cache answered.
    assert found["kernels"] == found["autotune_answer"] == (facts["torch"] != "2.6.0")


def test_the_facts_of_a_record_are_fields_of_it(facts: dict[str, Any]) -> None:
    fields = set(facts["metrics_fields"])
    wanted = {
        "co_name",
        "co_filename",
        "co_firstlineno",
        "guard_count",
        "accumulated_cache_size",
        "fail_type",
    }
    assert wanted | {"fail_reason", "fail_user_frame_filename", "has_guarded_code"} <= fields
    assert ("recompile_reason" in fields) == (facts["torch"] != "2.6.0")


def test_totals_are_what_their_claims_say_they_add_up(facts: dict[str, Any]) -> None:
    totals = facts["totals"]
    assert totals["report"] == []
    assert totals["report_names"] == sorted([hook_targets.WALL_KEY, *hook_targets.WALL])
    assert totals["kept"][hook_targets.LENGTHS] == "dict[str, list[float]]"
    # Both at once: a list is as long as there are spans of its own in either total.
    assert totals["cleared_by"] == ["reset_frame_count"]
    ((_, names),) = hook_targets.ACCUMULATED.items()
    assert totals["without_a_span"] in ([], [f"{name}_ns" for name in names])


def test_torch_calls_the_entry_points_of_its_group(facts: dict[str, Any]) -> None:
    assert facts["entry_points"] == {
        "groups": ["torch.backends"],
        "loads": True,
        "calls_what_it_loaded": True,
        "called_by_the_module": True,
        "turned_off_by": ["TORCH_DEVICE_BACKEND_AUTOLOAD"],
    }
