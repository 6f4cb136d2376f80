"""What the adapter for vLLM rests on, held against the sources of every version that it was written for.

`make compat` takes the facts anew; each file beside `vllm_compat/take.py` is one version's.
"""

import ast
import inspect
import itertools
import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from ledger_vllm import backend, claims, drafters, engine, monitor, processes
from ledger_vllm.hook_targets import TABLE
from ledger_vllm.messages import stated
from ledger_vllm.model_parts import is_drafter, part_of
from tests.support.paths import TESTS

FOLDER = TESTS / "vllm_compat"
KEPT = {path.stem.removeprefix("vllm-"): path for path in FOLDER.glob("vllm-*.json")}

RELEASES = [
    "0.19.1", "0.20.0", "0.20.1", "0.20.2", "0.21.0", "0.22.0", "0.22.1", "0.23.0", "0.24.0", "0.25.0",
    "0.25.1", "0.26.0", "0.27.0", "0.27.1", "0.28.0", "0.29.0", "0.30.0", "0.31.0", "0.32.0", "0.33.0",
]  # fmt: skip
"""All there are between the oldest and the newest, in order."""

ABSENT = {
    "vllm.entrypoints.launchers.api_server.entry": (0, 29),
    "vllm.model_executor.warmup.jit_warmup": (0, 27),
    "vllm.v1.worker.cpu.model_runner": (0, 23),
    "vllm.v1.worker.mm_encoder_model_runner": (0, 29),
}
"""Modules with hooks, and the first version that has them."""


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@pytest.fixture(params=sorted(KEPT, key=number))
def facts(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT[request.param].read_text(encoding="utf-8"))
    assert found["vllm"] == request.param
    return found


def words(text: str) -> list[str]:
    return text.split(", ") if text else []


def test_every_release_from_the_oldest_to_the_newest_is_kept() -> None:
    assert sorted(KEPT, key=number) == RELEASES
    assert (RELEASES[0], RELEASES[-1]) == (TABLE.oldest, TABLE.newest)


# Functions that are hooked


def test_every_target_is_there_with_the_parameters_that_are_read(facts: dict[str, Any]) -> None:
    absent = [module for module, since in ABSENT.items() if number(facts["vllm"]) < since]
    assert facts["absent_modules"] == absent
    for target in TABLE.targets:
        is_absent = (target.since is not None and number(facts["vllm"]) < number(target.since)) or (
            target.until is not None and number(facts["vllm"]) >= number(target.until)
        )
        if target.module.startswith("vllm.") and target.module not in absent and not is_absent:
            known = facts["parameters"][f"{target.module}:{target.name}"]
            assert target.fault(None if known is None else words(known)) is None, target


def test_what_is_decorated_keeps_its_parameters_where_they_are_read(facts: dict[str, Any]) -> None:
    # Of all these only the busy loop's forgets what it wraps.
    keep_names = {
        "JitWarmupRegistry.capture", "contextmanager", "dynamo_timed", "instrument", "torch.inference_mode",
    }  # fmt: skip
    assert set(facts["decorators"]) <= {*keep_names, "fault_tolerant_wrapper", "staticmethod"}
    forgetting = words(facts["decorators"].get("fault_tolerant_wrapper", ""))
    assert all(target.hook == "busy_loop" for target in TABLE.targets if target.name in forgetting)


def test_functions_are_called_by_the_name_that_is_replaced(facts: dict[str, Any]) -> None:
    functions = {target.name for target in TABLE.targets if "." not in target.name}
    assert set(facts["called_by_name"]) == functions
    late = {
        target.name
        for target in TABLE.targets
        if target.since is not None and number(facts["vllm"]) < number(target.since)
    }
    not_called = {name for name, callers in facts["called_by_name"].items() if not callers}
    assert not_called - IMPORTED_WHEN_CALLED <= late
    assert facts["plugins_loaded_by"]
    # Nobody else imports the monitor, so replacing it in one module is enough.
    assert facts["monitor_used_by"] == []


IMPORTED_WHEN_CALLED = {"load_general_plugins", "set_model_tag", "trigger_inductor_lazy_init"}
"""Functions that other modules import, by their names, in the moment in which they call them."""

NOT_HOOKED = {
    "vllm.v1.executor.ray_executor_v2:RayWorkerProc.__init__",
    # These two do nothing: a runner for encoders has neither sampler nor pooler.
    "vllm.v1.worker.mm_encoder_model_runner:MMEncoderModelRunner._dummy_pooler_run",
    "vllm.v1.worker.mm_encoder_model_runner:MMEncoderModelRunner._dummy_sampler_run",
    "vllm.model_executor.model_loader.gguf_loader:GGUFModelLoader.load_model",
    "vllm.model_executor.model_loader.tensorizer_loader:TensorizerLoader.load_model",
    "vllm.model_executor.model_loader.weight_cache.ipc_loader:IpcModelLoader.load_model",
}
"""Overrides of hooked methods that do not call them, and so are not recorded."""


def test_derived_classes_with_methods_of_their_own_are_known(facts: dict[str, Any]) -> None:
    watched = {f"{target.module}:{target.name}" for target in TABLE.targets}
    assert set(facts["overridden"]) <= NOT_HOOKED | watched


# What vLLM says


STAGES = {
    "Dynamo bytecode transform time": ("dynamo", "backend"),
    "Directly load the compiled graph(s)": ("graph_load", "backend"),
    "Compiling a graph for": ("graph_compile", "backend"),
    "Saved compiler manager cache": ("cache_save", "backend"),
    "torch.compile took": ("torch_compile", "monitor"),
    "torch.compile and initial": ("torch_compile", "monitor"),
    "Initial profiling/warmup run took": ("first_run", "monitor"),
    "Loading weights took": ("weights_load", "engine"),
    "Initializing model took": ("model_init", "engine"),
    "Model loading took": ("model_load", "engine"),
    "JIT kernel warmup finished": ("kernel_warmup", "engine"),
    "Graph capturing finished": ("graph_capture", "engine"),
    "Encoder graph capturing finished": ("graph_capture", "engine"),
    "init engine (profile": ("engine_init", "engine"),
}
"""The stage that a message speaks of, and whose clock it is, by how it begins."""

ABOUT_SOMETHING_ELSE = {
    "%s warmup completed": "the renderer's, in the front end",
    "Multi-modal warmup completed": "the renderer's, in the front end",
    "CuTeDSL warmup compiled": "some kernels of the warm-up",
    "DeepSeek V4 mHC TileLang warmup": "one kernel of the warm-up",
    "ROCm segmented attention autotune": "one kernel of the warm-up",
    "It took %.6f seconds to": "sleep mode, after the start",
    "Online quantization as part of": "a part of loading that has no stage",
    "Prefetching checkpoint files": "another thread's, beside the load",
    "Reloading and processing weights": "new weights, after the start",
    "Time spent downloading weights": "a download, before the load",
    "Waiting up to": "a limit",
}
"""Why a message that states a duration is not understood, by how it begins."""

TAG = "backbone"


def filled(message: str) -> tuple[str, list[tuple[float, int]]]:
    """A message with numbers and words in it, and the durations among the numbers, with their units in ns."""
    durations: list[tuple[float, int]] = []
    values = itertools.count(12.3456789, 7.1)

    def value(found: re.Match[str]) -> str:
        if found["kind"] == "s":
            return "(1, 8192)" if found.string[: found.start()].endswith("range ") else "4.5"
        if found["kind"] == "d":
            return "3"
        digits = int(found["digits"])
        text = f"{next(values):.{digits}f}"
        if found["unit"]:
            durations.append((float(text), 10 ** (9 - digits)))
        return text + found["unit"]

    pattern = r"%(?:\.(?P<digits>\d))?(?P<kind>[sdf])(?P<unit>(?:(?<=f) ?(?:seconds|secs|s)\b)?)"
    return re.sub(pattern, value, message), durations


def first(message: str, known: dict[str, Any]) -> Any:
    return next((known[start] for start in known if message.startswith(start)), None)


def test_every_message_that_states_a_duration_is_understood_or_about_something_else(
    facts: dict[str, Any],
) -> None:
    understood: set[str] = set()
    for message in itertools.chain.from_iterable(facts["messages"].values()):
        if first(message, ABOUT_SOMETHING_ELSE) is not None:
            assert stated(filled(message)[0]) == (), message
            continue
        has_tag, bare = message.startswith("%s"), message.removeprefix("%s")
        expected = first(bare, STAGES)
        assert expected is not None, f"not known: {message}"
        text, durations = filled(bare)
        for prefix, tag in (("", None), (f"[{TAG}] ", TAG)) if has_tag else (("", None),):
            said = stated(prefix + text)
            assert [(one.seconds, one.resolution_ns) for one in said] == durations, message
            assert (said[0].stage, said[0].source, said[0].counts, said[0].tag) == (
                *expected,
                "interval",
                tag,
            )
            assert said[0].range == ("(1, 8192)" if "range %s" in bare else None)
        understood.add(expected[0])
    # The kernels' line came with 0.29, that of the model's making with 0.32.
    late = {
        stage
        for stage, since in (("kernel_warmup", (0, 29)), ("model_init", (0, 32)))
        if number(facts["vllm"]) < since
    }
    assert understood == {stage for stage, _ in STAGES.values()} - late


def test_the_engines_line_tells_the_roles_apart_from_0_20_on(facts: dict[str, Any]) -> None:
    lines = [message for message in facts["messages"]["vllm.v1.engine.core"] if message.startswith("init")]
    said = [[(one.stage, one.counts, one.role) for one in stated(filled(line)[0])] for line in lines]
    whole, both = ("engine_init", "interval", None), ("torch_compile", "ranks", None)
    language_model = ("torch_compile", "ranks", "language_model")
    encoder = ("torch_compile", "ranks", "encoder")
    longer = [] if facts["vllm"] == "0.19.1" else [[whole, both], [whole, both, language_model, encoder]]
    assert sorted(said, key=len) == [[whole], *longer]


# What it adds up


def test_accumulators_are_the_ones_that_are_read_and_added_to_where_that_is_looked_for(
    facts: dict[str, Any],
) -> None:
    known = list(claims.ACCUMULATORS)
    if facts["vllm"] == "0.19.1":
        # The backend's `configure_post_pass` follows upon Dynamo's addition, and `compile` makes its own.
        assert words(facts["accumulators"]) == known[:1]
        assert facts["added_to_by"] == {
            "vllm.compilation.backends": ["__call__: compilation_time", "compile: compilation_time"]
        }
    else:
        assert words(facts["accumulators"]) == known
        assert facts["added_to_by"] == {
            "vllm.compilation.monitor": [f"monitor_torch_compile: {name}" for name in known]
        }


def test_workers_hand_over_what_they_added_up(facts: dict[str, Any]) -> None:
    returned = facts["warmup_returns"]
    kinds = {returned[target.name] for target in TABLE.targets if target.hook == "worker_warmup"}
    if facts["vllm"] == "0.19.1":
        assert kinds == {"float"}
    else:
        assert kinds == {"CompilationTimes"}
        assert words(returned["CompilationTimes"]) == list(claims.ACCUMULATORS.values())


# The monitor


def test_the_monitor_is_entered_where_a_local_tells_the_model(facts: dict[str, Any]) -> None:
    # A load is timed by a monitor too: the hook of `_try_load_aot_compiled_fn` tells it from a compile.
    assert facts["monitors"] == [
        *["__call__(self): with monitor_profiling_run()"] * 2,
        *["__call__(self): with monitor_torch_compile(self.vllm_config)"] * 2,
        "_try_load_aot_compiled_fn(model): with monitor_torch_compile(model.vllm_config)",
    ]
    assert "_try_load_aot_compiled_fn" in words(facts["called_by_name"]["monitor_torch_compile"])


def test_a_first_run_within_a_compile_is_told_by_the_monitors_message(facts: dict[str, Any]) -> None:
    (message,) = facts["messages"]["vllm.compilation.decorators"]
    assert "warmup run together" in message
    assert not any("warmup run together" in other for other in facts["messages"]["vllm.compilation.monitor"])


def test_vllms_own_mode_is_a_mode(facts: dict[str, Any]) -> None:
    assert monitor.OWN_MODE in words(facts["modes"])


# Parts of a model


def test_a_models_part_is_what_its_backend_makes_of_the_same(facts: dict[str, Any]) -> None:
    assert facts["model_made"] == {
        "compile_prefix": "cls.__name__ if is_encoder else ''",
        "is_encoder": "is_encoder",
        "backend.prefix": "prefix or model_tag",
        "backend.is_encoder": "is_encoder or model_is_encoder",
        "model_tag": "'backbone'",
        "model_is_encoder": "False",
    }
    made = "vllm.compilation.wrapper:TorchCompileWithNoGuardsWrapper.__init__"
    assert {"compile_prefix", "is_encoder"} <= set(words(facts["parameters"][made]))


ROLES = {
    "self_decoder": "language_model",
    "cross_decoder": "language_model",
    "NaViTEncoder": "encoder",
    "AutoEncoder": "encoder",
    # vLLM gives these tags without saying that they are an encoder's; nothing below them is compiled.
    "HunYuanVisionPatchEmbed": "language_model",
    "HunYuanVisionBlock": "language_model",
    "HunYuanVisionPatchMerger": "language_model",
    "draft_model": "drafter",
    "eagle_head": "drafter",
    "medusa_head": "drafter",
    "extract_hidden_states": "drafter",
    "dflash_head": "drafter",
    "dspark_head": "drafter",
    "dflash2_candidate_selector": "drafter",
    "lilicorr_head": "drafter",
}


def test_every_tag_is_of_the_role_that_it_should_be(facts: dict[str, Any]) -> None:
    for of, tags in facts["tags"].items():
        for tag in words(tags):
            assert part_of(tag, is_encoder=of == "encoders") == (ROLES[tag], tag)
    assert part_of(ast.literal_eval(facts["model_made"]["model_tag"]), is_encoder=False) == (
        "language_model",
        "backbone",
    )


def test_drafters_are_loaded_under_a_tag(facts: dict[str, Any]) -> None:
    assert facts["drafters_without_tag"] == []
    assert any(is_drafter(tag) for tag in words(facts["tags"]["others"]))


STARTS = {
    "drafter": {"load_model": "load_model", "_dummy_run": "dummy_run"},
    "speculator": {"load_model": "load_model", "_dummy_run": "propose", "capture_model": "capture"},
}
"""What a model runner calls of its drafter when it starts."""

NO_TIME = {"prepare_watermarking", "set_eplb_state"}
"""What it calls besides, to set the drafter up."""


@pytest.mark.parametrize("attribute", STARTS)
def test_a_model_runner_makes_its_drafter_first_and_calls_what_is_hooked(
    facts: dict[str, Any], attribute: str
) -> None:
    found = facts["drafters"][attribute]
    assert found["made_in"] == "__init__"
    called = {method: set(words(names)) - NO_TIME for method, names in found["called"].items()}
    expected = {method: {name} for method, name in STARTS[attribute].items()}
    if attribute == "speculator" and number(facts["vllm"]) < (0, 21):
        expected["capture_model"] = {"capture_model"}
    assert called == expected
    hooked = {name for names in drafters.METHODS[attribute].values() for name in names}
    assert set().union(*called.values()) <= hooked


@pytest.mark.parametrize("attribute", STARTS)
def test_a_drafter_with_a_model_has_each_method_once(facts: dict[str, Any], attribute: str) -> None:
    without_model: set[str] = set()
    for kind, names in facts["drafters"][attribute]["classes"].items():
        if "load_model(target_model)" not in words(names):
            without_model.add(kind)
            continue
        has = [re.split(r"[:(]", name)[0] for name in words(names)]
        for hook, alternatives in drafters.METHODS[attribute].items():
            assert len(set(has) & set(alternatives)) == 1, (kind, hook)
    assert without_model <= WITHOUT_MODEL


WITHOUT_MODEL = {"NgramGPUSpeculator", "NgramProposer", "NgramProposerGPU", "SuffixDecodingProposer"}
"""What proposes tokens that it has seen before."""


# The backend


def test_dynamos_time_is_logged_between_the_cache_and_the_post_pass(facts: dict[str, Any]) -> None:
    assert words(facts["backend_calls"]) == [
        "initialize_cache",
        "logs Dynamo's time",
        "configure_post_pass",
        "split_graph",
        "run",
        "save_to_file",
        "logs the saving's time",
    ]


def test_a_load_may_call_the_backend_without_any_dynamo(facts: dict[str, Any]) -> None:
    # Where torch is older than 2.12 each load does, and logs what led up to the call as "Dynamo".
    assert words(facts["backend_called_by_load"]) == ["finalize_loading", "optimized_call"]


def test_objects_have_what_the_watches_read(facts: dict[str, Any]) -> None:
    read = "".join(inspect.getsource(module) for module in (backend, engine, processes))
    wanted = {
        "vllm.compilation.backends:CompilerManager": "cache, compiler, disable_cache, loaded_artifacts",
        "vllm.compilation.backends:VllmBackend": "compilation_config, compiler_manager, is_encoder, prefix",
        "vllm.compilation.caching:StandaloneCompiledArtifacts": "num_artifacts, num_entries",
        "vllm.compilation.piecewise_backend:PiecewiseBackend": (
            "compile_ranges, piecewise_compile_index, total_piecewise_compiles"
        ),
        "vllm.v1.engine:EngineCoreOutput": "new_token_ids",
        "vllm.v1.engine:EngineCoreOutputs": "outputs",
        "vllm.v1.engine.coordinator:DPCoordinator": "proc",
        "vllm.v1.engine.utils:CoreEngineProcManager": "processes",
        "vllm.v1.executor.multiproc_executor:MultiprocExecutor": "workers",
        "vllm.v1.executor.multiproc_executor:UnreadyWorkerProcHandle": "proc",
        "vllm.v1.executor.multiproc_executor:WorkerProcHandle": "proc",
        "vllm.v1.utils:APIServerProcessManager": "processes",
        "vllm.v1.worker.worker_base:WorkerBase": "parallel_config, rank",
    }
    assert facts["attributes"] == wanted
    assert [name for names in wanted.values() for name in words(names) if name not in read] == []


def test_the_processes_that_are_waited_for_are_among_the_arguments(facts: dict[str, Any]) -> None:
    is_separate = number(facts["vllm"]) < (0, 28)
    assert facts["engines_waited_for_by"] == ("proc_manager" if is_separate else "launch")


def test_whether_the_plugins_are_loaded_can_be_asked(facts: dict[str, Any]) -> None:
    assert facts["plugins_loaded_flag"]


def test_a_graph_is_cached_under_the_key_that_is_looked_up(facts: dict[str, Any]) -> None:
    assert facts["cache_looked_up"] == "(compile_range, graph_index, self.compiler.name)"


def test_the_factors_of_a_cache_key_are_in_the_file_that_is_read(facts: dict[str, Any]) -> None:
    assert facts["cache_key_factors"] == {
        "file": "cache_key_factors.json",
        "keys": "code_hash, compiler_hash, config_hash, env",
    }
    assert f'"{facts["cache_key_factors"]["file"]}"' in inspect.getsource(backend)


# The engine and its processes


SIZES = (
    (1, 1, 1, 1, 1), (1, 2, 1, 2, 1), (2, 1, 1, 2, 2), (2, 2, 1, 4, 2), (2, 2, 2, 2, 1), (2, 1, 3, 1, 1),
    (1, 1, 2, 2, 2), (1, 2, 2, 2, 4),
)  # fmt: skip
"""Of data, pipeline, prefill-context, tensor and decode-context parallel."""


def test_workers_are_named_as_vllm_names_them(facts: dict[str, Any]) -> None:
    workers = facts["workers"]
    assert words(workers["processes"]) == ["EngineCore", "EngineCore_DP{global_index}", "VllmWorker-{rank}"]
    assert workers["title"] == (
        "Worker_DP{dp_rank}_PP{pp_rank}_PCP{pcp_rank}_TP{tp_rank}_DCP{dcp_rank}_EP{ep_rank}"
    )
    # Its groups exist once its device is there, and the name that it had before says nothing.
    assert words(workers["named_after"])[1:3] == ["init_device", "setup_proc_title_and_log_prefix"]
    fields = words(workers["parallel_config"])
    read = inspect.getsource(engine)
    assert len(fields) == 7
    assert [name for name in fields if name not in read] == []
    layout = [
        words(workers["rank_layout"])[0],
        *(name.split("_")[0] for name in words(workers["rank_layout"])[1:]),
    ]
    assert layout == ["-1", "data", "pipeline", "prefill", "tensor"]


@pytest.mark.parametrize("is_expert_parallel", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_a_workers_name_follows_from_how_ranks_are_laid_out(
    sizes: tuple[int, ...], is_expert_parallel: bool
) -> None:
    *inner, decode = sizes
    # vLLM: all_ranks.reshape(data, pipeline, prefill, tensor); the experts' groups span all but the pipeline.
    ranks = list(itertools.product(*map(range, inner)))
    for at, (data, pipeline, prefill, tensor) in enumerate(ranks):
        config = SimpleNamespace(
            data_parallel_size=inner[0],
            data_parallel_rank=data,
            pipeline_parallel_size=inner[1],
            prefill_context_parallel_size=inner[2],
            tensor_parallel_size=inner[3],
            decode_context_parallel_size=decode,
            enable_expert_parallel=is_expert_parallel,
        )
        named = zip(
            ("DP", "PP", "PCP", "TP", "DCP"),
            sizes,
            # Groups of decode contexts span the prefill contexts first (from 0.26; before, never with them).
            (data, pipeline, prefill, tensor, (tensor * inner[2] + prefill) % decode),
            strict=True,
        )
        expected = "Worker" + "".join(f"_{what}{rank}" for what, size, rank in named if size > 1)
        if is_expert_parallel:
            group = [rank for rank in ranks if rank[1] == pipeline]
            expected += f"_EP{group.index((data, pipeline, prefill, tensor))}"
        assert engine._worker_name(config, at % (len(ranks) // inner[0])) == expected


def test_plugins_are_loaded_in_each_process_before_its_work(facts: dict[str, Any]) -> None:
    assert facts["plugin_group"]
    assert set(words(facts["plugins_loaded_by"])) >= {
        "vllm.engine.arg_utils",
        "vllm.v1.engine.core",
        "vllm.v1.worker.worker_base",
        "vllm.model_executor.models.registry",
    }


def test_the_configuration_of_logging_can_be_watched_or_is_over(facts: dict[str, Any]) -> None:
    # Up to 0.30 the module configures itself once, when it is imported, which is before plugins are loaded.
    expected = "<module>" if number(facts["vllm"]) < (0, 31) else "configure_logging"
    assert facts["called_by_name"]["_configure_vllm_root_logger"] == expected
