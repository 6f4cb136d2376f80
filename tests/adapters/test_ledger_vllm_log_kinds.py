"""Kinds of lines that logs of vLLM's have besides those of a plain start, each by two inputs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ledger import StageStarted, reduce
from ledger.storage.queries import saved_query
from ledger.testing import MemoryLedger
from ledger_vllm_log.importer import importer
from tests.support.reading_logs import LOGS, Imported, S, import_content, line, read

ENGINE = "(EngineCore pid=61) "
INIT = "init engine (profile, create kv cache, warmup model) took "
COMPILE = "torch.compile took 9.00 s in total"
BAR = "{}: 100%|██████████| 4/4 [{}<00:00,  2.92s/it]"


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Imported]:
    return partial(import_content, tmp_path)


def kind(name: str) -> Imported:
    return read(LOGS / "kinds" / f"{name}.log")


def engine(message: str, at: str) -> str:
    return line(message, at, ENGINE)


def stated(imported: Imported) -> list[tuple[str | None, float]]:
    return sorted(
        ((claim.stage, claim.claimed_ns / S) for claim in imported.claims),
        key=lambda one: (str(one[0]), one[1]),
    )


def test_lines_that_state_durations_in_other_words_are_claims() -> None:
    imported = kind("silent-durations")
    assert imported.unread == []
    assert stated(imported) == [
        ("autotune", 61.2),
        ("backend_compile", 2.62),
        ("expert_rearrangement", 3.2),
        ("kernel_compile", 31.2),
        ("kernel_warmup", 95.1),
        ("weights_download", 508.5),
    ]
    assert imported.stage("kernel_warmup").outcome == "failed"
    assert imported.stage("kernel_compile").component == "decode_q8kv4"


def test_so_are_others(log: Callable[..., Imported]) -> None:
    imported = log(
        line("Compilation for decode done in 3.10 s."),
        line("[some_key] Compiled in 12.345s"),
        line("Built FlyDSL UltraQuant kernel #3 in 4.20s (total 9.1s), key=(1, 2)"),
        line("DeepSeek V4 mHC TileLang warmup finished in 4.20 seconds."),
        line("Registry inspect model class: Elapsed time 12.3456789 secs"),
        line("Chat template warmup completed in 12.5ms"),
    )
    assert imported.unread == []
    assert stated(imported) == [
        ("backend_compile", 3.1),
        ("kernel_compile", 4.2),
        ("kernel_compile", 12.345),
        ("model_inspection", 12.3456789),
        ("tilelang_warmup", 4.2),
        ("warmup", 0.0125),
    ]
    assert {claim.resolution_ns for claim in imported.claims if claim.stage == "warmup"} == {10**5}
    components = {one.component for one in imported.intervals if one.stage == "kernel_compile"}
    assert components == {"some_key", "FlyDSL UltraQuant kernel"}


def test_a_load_encloses_its_download_in_any_unit_of_memory() -> None:
    imported = kind("gb-model-loading")
    assert imported.unread == []
    assert stated(imported) == [("model_load", 509.75), ("weights_download", 508.5), ("weights_load", 0.5)]
    load = imported.stage("model_load").interval
    assert {imported.stage(stage).enclosing for stage in ("weights_download", "weights_load")} == {load}
    [total] = reduce(imported.events).role_totals
    assert (total.activity, total.total_ns) == ("load", 509.75 * S)


def test_so_does_one_without_the_word_memory(log: Callable[..., Imported]) -> None:
    imported = log(
        line("Loading weights took 30.25 seconds", "09:18:40"),
        line("Model loading took 14.2500 GB memory and 33.500000 seconds", "09:18:42"),
        line("Online quantization as part of model loading took 2.00 seconds", "09:18:42"),
    )
    assert imported.unread == []
    [*_, total] = [one for one in reduce(imported.events).role_totals if one.activity == "load"]
    assert total.total_ns == 33.5 * S


def test_wordings_of_old_versions_are_claims() -> None:
    imported = kind("old-wordings")
    assert imported.unread == []
    assert stated(imported) == [
        ("graph_capture", 29),
        ("memory_profile", 11.94),
        ("memory_profile", 28.21),
        ("torch_compile", 14.73),
    ]
    compile_ = imported.stage("torch_compile")
    [around] = [one for one in imported.intervals if one.interval == compile_.enclosing]
    assert (around.stage, around.duration_ns) == ("memory_profile", 28.21 * S)


def test_so_are_those_with_more_after_the_duration(log: Callable[..., Imported]) -> None:
    imported = log(
        line("Memory profiling takes 3.21 seconds. Total non KV cache memory: 15.37GiB; torch peak: 1.4GiB."),
        line("Compilation finished in in 2.62 [secs]."),
    )
    assert imported.unread == []
    assert stated(imported) == [("backend_compile", 2.62), ("memory_profile", 3.21)]


def test_what_is_loaded_after_the_drafters_line_is_the_drafters() -> None:
    imported = kind("drafter-weights")
    assert [(claim.stage, claim.role, claim.claimed_ns / S) for claim in imported.claims] == [
        ("model_load", None, 139.75),
        ("weights_load", None, 123.5),
        ("weights_load", "drafter", 11.25),
    ]


def test_until_the_model_is_loaded(log: Callable[..., Imported]) -> None:
    imported = log(
        line("Loading drafter model...", "09:18:02"),
        line("Loading weights took 2.00 seconds", "09:18:05"),
        line("Loading weights took 1.00 seconds", "09:18:06"),
        line("Model loading took 1.00 GiB memory and 4.500000 seconds", "09:18:07"),
        line("Loading weights took 3.00 seconds", "09:18:20"),
    )
    roles = [(claim.stage, claim.role) for claim in imported.claims]
    assert sorted(roles, key=str) == [
        ("model_load", None),
        ("weights_load", "drafter"),
        ("weights_load", "drafter"),
        ("weights_load", None),
    ]


def test_other_loggers_lines_and_finished_bars_fill_holes() -> None:
    imported = kind("foreign-loggers-and-bars")
    assert imported.unread == []
    assert imported.stage("autotune").duration_ns == 570.872 * S
    assert stated(imported) == [
        ("capture_pass", 148),
        ("deep_gemm_warmup", 195),
        ("engine_init", 1115.75),
        ("graph_capture", 171),
    ]
    assert {claim.resolution_ns for claim in imported.claims if claim.stage == "deep_gemm_warmup"} == {S}
    assert imported.stage("engine_init").unattributed_ns == 178.878 * S
    assert imported.stage("capture_pass").enclosing == imported.stage("graph_capture").interval


@pytest.mark.parametrize("stamp", ["2026-08-06T20:00:00.123456789Z ", "2026-08-06T20:00:00+01:00 "])
def test_a_containers_stamp_is_in_nobodys_way(log: Callable[..., Imported], stamp: str) -> None:
    lines = (LOGS / "kinds" / "foreign-loggers-and-bars.log").read_text().splitlines()
    imported = log(*(stamp + one for one in lines))
    assert imported.unread == []
    assert stated(imported) == stated(kind("foreign-loggers-and-bars"))
    assert {claim.text for claim in imported.claims} == {
        claim.text for claim in kind("foreign-loggers-and-bars").claims
    }
    assert imported.stage("autotune").duration_ns == 570.872 * S


def test_a_bar_lies_where_its_stamps_leave_it(log: Callable[..., Imported]) -> None:
    shards = "Loading safetensors checkpoint shards: {:3}% Completed | {}/4 [{}<00:00,  3.1s/it]"
    imported = log(
        line("Starting to load model m...", "09:00:00", "(APIServer pid=1) "),
        engine("Starting to load model m...", "09:00:02"),
        "\r".join(
            [shards.format(25, 1, "00:05"), shards.format(100, 4, "00:20"), shards.format(100, 4, "00:20")]
        ),
        engine("Loading weights took 20.50 seconds", "09:00:23"),
        engine("Model loading took 1.00 GiB memory and 21.000000 seconds", "09:00:23"),
        ENGINE + BAR.format("Capturing CUDA graphs (decode, FULL)", "1:00:05"),
        BAR.format("Unheard-of work", "00:09"),
        BAR.format("Processed prompts", "00:09"),
        BAR.format("Compiling CuTeDSL kernels", "00:00"),
        line("Avg prompt throughput: 1.0 tokens/s", "10:01:00", "(APIServer pid=1) "),
    )
    bars = {
        one.stage: one for one in imported.intervals if one.stage in ("checkpoint_shards", "capture_pass")
    }
    assert {one.process for one in bars.values()} == {"pid-61"}
    assert bars["checkpoint_shards"].duration_ns == 20 * S
    assert (bars["capture_pass"].component, bars["capture_pass"].duration_ns) == ("decode, FULL", 3605 * S)
    assert reduce(imported.events).role_totals[-1].total_ns >= 21 * S
    assert [(one.line, one.reason) for one in imported.unread] == [
        (7, "a progress bar with an unknown description")
    ]


def test_another_loggers_duration_in_unknown_words_is_unread(log: Callable[..., Imported]) -> None:
    imported = log(
        line("Using x"),
        "[2026-11-22 09:18:05,123] [INFO] [accelerator.py:203:get] Setting up took 3.5 s",
        "2026-11-22 09:18:05.123 | WARNING  | module.x:run:12 - Prepared after 2 min",
        "2026-11-22 09:18:06,000 - INFO - x: nothing to say",
    )
    assert [(one.line, one.text) for one in imported.unread] == [
        (2, "Setting up took 3.5 s"),
        (3, "Prepared after 2 min"),
    ]


def test_kernels_that_are_compiled_after_ready_are_told() -> None:
    imported = kind("jit-after-ready")
    with MemoryLedger(imported.events) as ledger:
        [row] = ledger.sql(saved_query("after_ready"))
    assert (row["component"], row["seconds"], row["seconds_after"]) == ("some_kernel", 9, 373)
    assert imported.data("kernel_compile")["reason"] == "TileLang JIT compilation"


def test_so_are_those_of_which_nothing_says_how_long_they_took(log: Callable[..., Imported]) -> None:
    spike = (
        " during inference: {}. This causes a latency spike; consider extending warmup to cover this shape."
    )
    imported = log(
        line("Starting vLLM server on http://0.0.0.0:8000", "09:18:02", "(APIServer pid=1) "),
        engine("Triton kernel JIT compilation" + spike.format("_slot_mapping (num_warps=4)"), "09:18:12"),
        engine("CuTeDSL JIT compilation" + spike.format("other_kernel"), "09:18:13"),
    )
    with MemoryLedger(imported.events) as ledger:
        rows = ledger.sql(saved_query("after_ready"))
    assert [(row["component"], row["seconds"]) for row in rows] == [("_slot_mapping", 0), ("other_kernel", 0)]
    assert {
        event.data["length"] for event in imported.events if isinstance(event, StageStarted) and event.data
    } == {"not stated"}


def test_why_a_start_was_cold_is_told_of_logs() -> None:
    imported = kind("cache-factors")
    with MemoryLedger(imported.events) as ledger:
        rows = ledger.sql(saved_query("why_cold"))
    assert [(row["component"], row["part"], row["value_before"], row["value_now"]) for row in rows] == [
        ("backbone", "directory", "6bfa2c828b", "17aa2c828b"),
        ("backbone", "env", "b059", "ffff"),
    ]


def test_so_is_it_where_only_the_directory_is_logged(log: Callable[..., Imported]) -> None:
    engine_begins = "Initializing a V1 LLM engine (v0.21.0) with config: model='m'"
    begins = "Using cache directory: /c/torch_compile_cache/{}/rank_0_0/{} for vLLM's torch.compile"
    compiled = "torch.compile took 5.00 s in total"
    lines = [
        engine(text.format(key, part), f"{hour}:00:{second:02}")
        for hour, key in (("09", "a1"), ("10", "a1"), ("11", "b2"))
        for second, (text, part) in enumerate(
            [
                (engine_begins, ""),
                (begins, "backbone"),
                (compiled, ""),
                (begins, "eagle_head"),
                (compiled, ""),
            ]
        )
    ]
    imported = log(*lines)
    assert len(imported.sessions) == 3
    with MemoryLedger(imported.events) as ledger:
        rows = ledger.sql(saved_query("why_cold"))
    assert [(row["component"], row["part"], row["value_now"]) for row in rows] == [
        ("backbone", "directory", "b2"),
        ("eagle_head", "directory", "b2"),
    ]


def test_a_redacted_or_shortened_directory_still_names_the_component() -> None:
    imported = kind("cache-directory-variants")
    assert [(claim.role, claim.component, claim.claimed_ns / S) for claim in imported.claims] == [
        ("language_model", "backbone", 50),
        ("drafter", "eagle_head", 11),
    ]


@pytest.mark.parametrize(
    ("directory", "role", "component"),
    [
        ("/c/torch_compile_cache/432ab28852/rank_0_0/ ", "language_model", None),
        ("/c/432ab28852/rank_1/VisionBlock for v[redacted]'s torch.compile", "encoder", "VisionBlock"),
        ("~/.cache/…/rank_0_0/backbone for vLLM's torch.compile", "language_model", "backbone"),
    ],
)  # fmt: skip
def test_so_do_others(log: Callable[..., Imported], directory: str, role: str, component: str | None) -> None:
    imported = log(line(f"Using cache directory: {directory}"), line("torch.compile took 2.00 s in total"))
    assert [(claim.role, claim.component) for claim in imported.claims] == [(role, component)]


def test_a_failure_in_no_stage_is_told_with_its_exception() -> None:
    imported = kind("failed-without-exception")
    with MemoryLedger(imported.events) as ledger:
        [row] = ledger.sql(saved_query("failed_stages"))
    assert (row["process"], row["error"], row["seconds"]) == ("EngineCore_DP0", "RuntimeError", 61)
    assert row["last_line"] == (
        "RuntimeError: CUDA out of memory occurred when warming up sampler "
        "(after torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 594.00 MiB.)"
    )
    assert imported.data("last_step")["after"] == "torch_compile"


def test_so_is_one_before_anything_was_timed(log: Callable[..., Imported]) -> None:
    imported = log(
        engine("Initializing a V1 LLM engine (v0.21.0) with config: model='m'", "09:00:00"),
        engine("EngineCore failed to start.", "09:00:08"),
        engine("ValueError: No available memory for the cache blocks.", "09:00:08"),
        line("Exiting", "09:00:09", "(APIServer pid=1) "),
    )
    with MemoryLedger(imported.events) as ledger:
        [row] = ledger.sql(saved_query("failed_stages"))
    assert (row["process"], row["error"], row["seconds"]) == ("EngineCore", "ValueError", 8)
    assert row["last_line"] == "ValueError: No available memory for the cache blocks."


def test_a_failure_after_ready_is_none_of_the_start(log: Callable[..., Imported]) -> None:
    imported = log(
        engine(f"{INIT}5.00 s", "09:00:00"),
        line("Starting vLLM server on http://0.0.0.0:8000", "09:00:01", "(APIServer pid=1) "),
        engine("EngineCore encountered a fatal error.", "10:00:08"),
        engine("RuntimeError: x", "10:00:08"),
    )
    assert [one.stage for one in imported.intervals] == ["engine_init"]


def test_a_bar_is_of_the_process_whose_prefix_stands_before_it(log: Callable[..., Imported]) -> None:
    shards = "Loading safetensors checkpoint shards: 100% Completed | 6/6 [00:14<00:00,  2.4s/it]"
    imported = log(
        line("Starting to load model m...", "09:00:00", "(Worker_TP0 pid=21) "),
        line("Starting to load model m...", "09:00:00", "(Worker_TP1 pid=22) "),
        "(Worker_TP0 pid=21) ",
        shards,
        line("Loading weights took 13.50 seconds", "09:00:14", "(Worker_TP1 pid=22) "),
        line("Loading weights took 14.25 seconds", "09:00:15", "(Worker_TP0 pid=21) "),
    )
    bar = imported.stage("checkpoint_shards")
    [around] = [
        one for one in imported.intervals if one.interval == bar.enclosing and one.process == "pid-21"
    ]
    assert (bar.process, around.stage, around.duration_ns) == ("pid-21", "weights_load", 14.25 * S)
    assert imported.data("checkpoint_shards")["logged_by"] == "a progress bar"


def test_a_bar_that_names_nobody_is_of_the_next_line_and_says_so(log: Callable[..., Imported]) -> None:
    imported = log(
        line("Using x", "09:00:00", "(Worker_TP1 pid=22) "),
        BAR.format("Capturing CUDA graphs (decode, FULL)", "00:04"),
        line("Graph capturing finished in 5 secs, took 0.50 GiB", "09:00:06", "(Worker_TP0 pid=21) "),
    )
    assert imported.stage("capture_pass").process == "pid-21"
    assert "names no process" in imported.data("capture_pass")["logged_by"]


def test_a_bar_before_the_first_stamp_ends_by_it(log: Callable[..., Imported]) -> None:
    imported = log(
        BAR.format("Loading safetensors checkpoint shards", "00:20"),
        engine("Loading weights took 20.50 seconds", "09:00:23"),
    )
    assert imported.unread == []
    assert imported.stage("checkpoint_shards").enclosing == imported.stage("weights_load").interval
    alone = log(engine(f"{INIT}5.00 s", "09:00:00"))
    assert alone.unread == []


def test_bars_without_the_bar_itself_are_bars(log: Callable[..., Imported]) -> None:
    imported = log(
        engine("Starting to load model m...", "09:00:00"),
        "Loading safetensors checkpoint shards: 100% 3/3 [00:07<00:00,  2.65s/it]",
        "Parse safetensors files: 100% 3/3 [00:02<00:00,  1.99it/s]",
        engine("Loading weights took 7.75 seconds", "09:00:11"),
    )
    assert imported.unread == []
    assert stated(imported) == [("checkpoint_shards", 7), ("model_inspection", 2), ("weights_load", 7.75)]


OTHER_LOGGER = "2026-04-02 10:00:{:02} | {} | 14023 | INFO : {}"


def test_another_formatter_is_read_by_its_messages(log: Callable[..., Imported], tmp_path: Path) -> None:
    lines = [
        OTHER_LOGGER.format(10, "backends", "Dynamo bytecode transform time: 6.25 s"),
        OTHER_LOGGER.format(18, "backends", "Compiling a graph for compile range (1, 4096) takes 7.50 s"),
        OTHER_LOGGER.format(18, "monitor", "torch.compile takes 13.75 s in total"),
    ]
    imported = log(*lines)
    assert stated(imported) == [("dynamo", 6.25), ("graph_compile", 7.5), ("torch_compile", 13.75)]
    assert importer().recognises(tmp_path, "\n".join(lines).encode())
    assert not importer().recognises(tmp_path, OTHER_LOGGER.format(10, "x", "Setting up took 3 s").encode())


def test_a_prefix_may_lack_its_name_or_its_first_character(log: Callable[..., Imported]) -> None:
    imported = log(
        "EngineCore_DP0 pid=61) INFO 11-22 09:00:06 [x.py:1] Dynamo bytecode transform time: 5.00 s",
        line("Loading weights took 3.00 seconds", "09:00:10", "(pid=7, ip=192.0.2.1) "),
        line(COMPILE, "09:00:11", "(EngineCore_DP0 pid=61) "),
    )
    assert {claim.process for claim in imported.claims} == {"pid-61", "pid-7@192.0.2.1"}
    assert imported.joined["pid-7@192.0.2.1"].name == "unnamed"


def test_lines_that_lost_their_ends_are_records_each(log: Callable[..., Imported]) -> None:
    messages = ("Dynamo bytecode transform time: 5.80 s", "Cache the graph for later use", COMPILE)
    imported = log(
        " ".join(engine(one, f"09:00:{second}") for one, second in zip(messages, (10, 14, 17), strict=True))
    )
    assert stated(imported) == [("dynamo", 5.8), ("torch_compile", 9.0)]


def test_another_loggers_line_that_names_nobody_is_of_the_last_process(log: Callable[..., Imported]) -> None:
    lines = (LOGS / "kinds" / "foreign-loggers-and-bars.log").read_text().splitlines()
    imported = log(*(one.replace(ENGINE, "") if "flashinfer" in one else one for one in lines))
    assert imported.stage("engine_init").unattributed_ns == 178.878 * S
    assert "names no process" in imported.data("autotune")["logged_by"]
