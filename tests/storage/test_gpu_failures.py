"""What the saved queries answer of real starts on H200s that failed or were killed.

Written down from what the starts printed (`tests/data/gpu/logs`) and, where there is no log, from the last
lines of each process in the recording.
"""

import json

import pytest

from tests.support.gpu_starts import FROM_BIRTH, answer, gpu_ledger, gpu_objects, selected

LANGUAGE = "language_model"
PROGRAM = "<file-1>"

Row = tuple[str, str | None, str, str, float]

FAILED: dict[str, tuple[str, list[Row]]] = {
    # process, role, stage, error, seconds: the first to end first
    "fails-memory": (
        "fails",
        [
            ("EngineCore", None, "engine_init", "ValueError", 18.452),
            (PROGRAM, None, "engine_start", "RuntimeError", 21.719),
        ],
    ),
    # Refused before vLLM had begun any stage: this version recorded no process of it but `record`.
    "fails-length": ("fails", []),
    "fails-kv-cache": (
        "fails",
        [
            ("EngineCore", None, "engine_init", "ValueError", 10.231),
            (PROGRAM, None, "engine_start", "RuntimeError", 13.065),
        ],
    ),
    "serve-cold": (
        "serve",
        [
            ("EngineCore", None, "engine_start", "RuntimeError", 0.002),
            ("vllm", None, "engine_start", "RuntimeError", 23.066),
        ],
    ),
    "serve-warm": (
        "serve",
        [
            ("EngineCore", None, "engine_start", "RuntimeError", 0.003),
            ("vllm", None, "engine_start", "RuntimeError", 18.161),
        ],
    ),
    # Its last line is the start of what it was killed in, so nothing shows how long that took.
    "big-killed-engine": (
        "killed",
        [
            ("EngineCore", LANGUAGE, "inductor_compile", "lost", 0.0),
            (PROGRAM, None, "engine_start", "RuntimeError", 8.368),
        ],
    ),
    # Nobody was left to say what failed.
    "big-killed-all": ("killed", []),
    "tp2-worker-killed": (
        "tp2killed",
        [
            ("Worker_TP1", LANGUAGE, "create_aot_dispatcher_function", "lost", 0.401),
            # In torch's fullgraph_capture, to be exact, of which no line shows that it went on for so long.
            ("Worker_TP0", LANGUAGE, "aot_compile", "lost", 15.585),
            ("EngineCore", None, "engine_init", "RuntimeError", 16.354),
            (PROGRAM, None, "engine_start", "RuntimeError", 21.526),
        ],
    ),
    "dp2-serve-cold": (
        "dp2",
        [
            ("ApiServer_1", None, "engine_start", "lost", 0.0),
            ("ApiServer_0", None, "engine_start", "lost", 0.0),
            ("EngineCore_DP1", None, "engine_init", "lost", 0.0),
            ("EngineCore_DP0", None, "engine_init", "lost", 0.0),
            ("Worker pid 10288", None, "warmup", "SystemExit", 6.409),
        ],
    ),
    "plain-warm-2": ("triton-plain", [(PROGRAM, None, "engine_start", "lost", 0.0)]),
    # Refused as well, by a version that records the front end too: "1 validation error for ModelConfig".
    "fails-cold": (
        "fails-cold",
        [
            (PROGRAM, None, "model_config", "ValidationError", 16.600),
            (PROGRAM, None, "configuration", "ValidationError", 16.600),
            (PROGRAM, None, "front_end_start", "ValidationError", 16.644),
            (PROGRAM, None, "process_exit", "ValidationError", 0.0),
            ("compile-ledger", None, "process_exit", "exit code 1", 2.285),
        ],
    ),
    # Its last line is a start too, 9 ms before it was seen alive for the last time.
    "killed-cold": (
        "killed-cold",
        [
            ("EngineCore", LANGUAGE, "benchmark_fused_nodes", "lost", 0.009),
            (PROGRAM, None, "waiting", "RuntimeError", 7.457),
            (PROGRAM, None, "engine_start", "RuntimeError", 7.539),
            (PROGRAM, None, "front_end_start", "RuntimeError", 24.349),
            (PROGRAM, None, "process_exit", "RuntimeError", 0.0),
            ("compile-ledger", None, "process_exit", "exit code 1", 2.448),
        ],
    ),
}
CAME_UP = {
    **dict.fromkeys(("llama-cold", "llama-warm", "llama-warm-2"), "llama"),
    **dict.fromkeys(("vl-cold", "vl-warm"), "vl"),
    **dict.fromkeys(("big-cold", "big-warm"), "big"),
    **dict.fromkeys(("tp2-cold", "tp2-warm"), "tp2"),
    **dict.fromkeys(("v1-runner-cold", "v1-runner-warm"), "v1"),
    **dict.fromkeys(("plain-cold", "plain-warm-1"), "triton-plain"),
}


@pytest.mark.parametrize("label", FAILED)
def test_what_failed(label: str) -> None:
    name, expected = FAILED[label]
    columns = ("process", "role", "stage", "error", "seconds")
    assert answer(gpu_ledger(name, label), "failed_stages", *columns) == expected


ALL_THAT_CAME_UP = [
    *((name, label) for label, name in CAME_UP.items()),
    *((name, name) for name in FROM_BIRTH if name not in FAILED),
]


@pytest.mark.parametrize(("name", "label"), ALL_THAT_CAME_UP)
def test_of_what_came_up_nothing_failed_and_nobody_died(name: str, label: str) -> None:
    """Also where an import failed: what imported it had another way."""
    ledger = gpu_ledger(name, label)
    assert answer(ledger, "failed_stages") == answer(ledger, "died_in") == []


def test_the_last_line_and_the_exit_code_of_a_start_that_was_refused() -> None:
    """Of the message, the last line says least: the whole of it is beside."""
    rows = answer(gpu_ledger("fails-cold"), "failed_stages", "process", "last_line")
    assert rows[-2:] == [(PROGRAM, "For further information visit <url-1>"), ("compile-ledger", None)]
    sql = "SELECT data FROM intervals WHERE stage = 'process_exit' AND outcome = 'failed' ORDER BY start_ns"
    of_program, of_command = (json.loads(data) for (data,) in selected(gpu_ledger("fails-cold"), sql))
    assert of_program["exit_code"] == of_command["exit_code"] == 1
    first, why, *_ = of_program["message"].splitlines()
    assert first == "ValidationError: 1 validation error for ModelConfig"
    refused = "User-specified max_model_len (100000) is greater than the derived max_model_len"
    assert why.strip().startswith(f"Value error, {refused}")


def test_the_last_line_of_a_front_end_whose_engine_was_killed() -> None:
    rows = answer(gpu_ledger("killed-cold"), "failed_stages", "process", "stage", "last_line")
    line = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
    assert [row for row in rows if row[2]] == [(PROGRAM, "process_exit", line)]


# What each process was in that has no end

COMPILING = (
    (LANGUAGE, "torch_compile"),
    (LANGUAGE, "aot_compile"),
    (LANGUAGE, "fullgraph_capture"),
    (LANGUAGE, "backend_compile"),
    (LANGUAGE, "vllm_backend"),
    (LANGUAGE, "graph_compile"),
    (LANGUAGE, "create_aot_dispatcher_function"),
)
PROFILING = ((None, "memory_profile"), (None, "profile_run"))
FROM_BIRTH_IN = (
    *("engine_core_init", "engine_init", "memory_profile", "profile_run", "torch_compile", "aot_compile"),
    *("fullgraph_capture", "backend_compile", "vllm_backend", "graph_compile"),
    *("create_aot_dispatcher_function", "compile_fx.<locals>.fw_compiler_base", "inductor_compile"),
    *("fx_codegen_and_compile", "GraphLowering.compile_to_fn", "code_gen", "GraphLowering.codegen"),
    *("Scheduler.__init__", "Scheduler.create_combo_kernel_nodes", "benchmark_fused_nodes"),
)
BIG = (
    (None, "engine_init"),
    *PROFILING,
    *COMPILING,
    (LANGUAGE, "compile_fx.<locals>.fw_compiler_base"),
    (LANGUAGE, "inductor_compile"),
)
AT_LEAST = {
    # To the last line of what is inside, by the parents that the lines name.
    "big-killed-engine": (5.335, 5.334, 4.751, 4.706, 4.706, 3.353, 1.350, 0.612, 0.738, 0.565, 0.215, 0.0),
    "big-killed-all": (4.863, 4.862, 4.464, 4.440, 4.440, 4.439, 1.306, 1.306, 0.699, 0.553, 0.210, 0.0),
    "TP0": (16.134, 15.626, 15.585, 15.585, 5.089),
    "TP1": (7.015, 6.535, 6.499, 6.498, 4.997, 1.499, 0.853, 0.646, 0.401),
}


def died(name: str, label: str) -> list[tuple[object, ...]]:
    columns = ("process", "process_is", "role", "stage", "stage_is", "at_least_seconds")
    return answer(gpu_ledger(name, label), "died_in", *columns)


def test_a_killed_engine_was_in_all_that_it_had_begun() -> None:
    assert died("killed", "big-killed-engine") == [
        ("EngineCore", "lost", *stage, "abandoned", seconds)
        for stage, seconds in zip(BIG, AT_LEAST["big-killed-engine"], strict=True)
    ]


def test_what_a_killed_engine_was_in_lasted_until_it_was_last_seen_alive() -> None:
    """Less is shown of two of torch's, which are not the parents of what went on inside of them."""
    rows = died("killed-cold", "killed-cold")
    assert [row[3] for row in rows] == list(FROM_BIRTH_IN)
    assert {row[:2] for row in rows} == {("EngineCore", "lost")}
    objects = gpu_objects("killed-cold")["killed-cold"]
    [lost] = [one for one in objects if one["kind"] == "process_lost"]
    last = max(one["at_ns"] for one in objects if one["process"] == lost["lost"])
    assert lost["alive_ns"] > last == lost["at_ns"]
    sql = "SELECT stage, start_ns, start_ns + duration_ns AS stop FROM intervals WHERE outcome = 'abandoned'"
    spans = {stage: (start, stop) for stage, start, stop in selected(gpu_ledger("killed-cold"), sql)}
    assert spans.keys() == set(FROM_BIRTH_IN)
    early = {stage for stage, (_, stop) in spans.items() if stop != lost["alive_ns"]}
    assert early == {"fullgraph_capture", "vllm_backend"}
    assert all(stop > start for start, stop in spans.values())
    assert spans["benchmark_fused_nodes"][0] == last


def test_a_session_that_was_killed_whole_is_in_it_still() -> None:
    assert died("killed", "big-killed-all") == [
        (PROGRAM, "running", None, "engine_start", "open", 0.0),
        *(
            ("EngineCore", "running", *stage, "open", seconds)
            for stage, seconds in zip(BIG, AT_LEAST["big-killed-all"], strict=True)
        ),
    ]


def test_both_workers_died_in_their_compile() -> None:
    of_workers = (
        ("Worker_TP0", (*PROFILING, *COMPILING[:3]), AT_LEAST["TP0"]),
        ("Worker_TP1", (*PROFILING, *COMPILING), AT_LEAST["TP1"]),
    )
    assert died("tp2killed", "tp2-worker-killed") == [
        (worker, "lost", *stage, "abandoned", seconds)
        for worker, stages, at_least in of_workers
        for stage, seconds in zip(stages, at_least, strict=True)
    ]


def test_what_a_stopped_start_was_in() -> None:
    assert died("dp2", "dp2-serve-cold") == [
        ("Worker pid 10289", "running", None, "warmup", "abandoned", 0.749),
        ("EngineCore_DP0", "lost", None, "engine_init", "abandoned", 0.0),
        ("EngineCore_DP1", "lost", None, "engine_init", "abandoned", 0.0),
        ("ApiServer_0", "lost", None, "engine_start", "abandoned", 0.0),
        ("ApiServer_1", "lost", None, "engine_start", "abandoned", 0.0),
    ]
    assert died("triton-plain", "plain-warm-2") == [
        (PROGRAM, "lost", None, "engine_start", "abandoned", 0.0),
        ("EngineCore", "running", None, "executor_init", "abandoned", 3.093),
        ("EngineCore", "running", None, "model_load", "abandoned", 0.904),
    ]


# Who took part

TOOK_PART = {
    # name, rank, outcome, events
    "llama-cold": [(PROGRAM, None, "completed", 7), ("EngineCore", None, "completed", 474)],
    "vl-cold": [(PROGRAM, None, "completed", 7), ("EngineCore", None, "completed", 1031)],
    "serve-cold": [("vllm", None, "failed", 7), ("EngineCore", None, "failed", 7)],
    "fails-kv-cache": [(PROGRAM, None, "failed", 5), ("EngineCore", None, "failed", 624)],
    "big-killed-engine": [(PROGRAM, None, "failed", 5), ("EngineCore", None, "lost", 70)],
    "tp2-cold": [
        (PROGRAM, None, "completed", 7),
        ("EngineCore", None, "completed", 12),
        ("Worker_TP0", 0, "completed", 473),
        ("Worker_TP1", 1, "completed", 469),
    ],
    "tp2-warm": [
        (PROGRAM, None, "completed", 7),
        ("EngineCore", None, "completed", 12),
        ("Worker_TP0", 0, "completed", 147),
        ("Worker_TP1", 1, "completed", 143),
    ],
    "tp2-worker-killed": [
        (PROGRAM, None, "failed", 5),
        ("EngineCore", None, "failed", 7),
        ("Worker_TP0", 0, "lost", 590),
        ("Worker_TP1", 1, "lost", 54),
    ],
    "dp2-serve-cold": [
        ("ApiServer_1", None, "lost", 5),
        ("EngineCore_DP1", None, "lost", 7),
        ("ApiServer_0", None, "lost", 5),
        ("EngineCore_DP0", None, "lost", 7),
        # The parent process had exited: this one was told so by a signal, the other one not yet.
        ("Worker pid 10289", 0, "running", 456),
        ("Worker pid 10288", 0, "completed", 465),
    ],
}

REGISTRY = "vllm.model_executor.models.registry"
"""The process that only looks at the model's class."""
TOOK_PART_FROM_BIRTH = {
    "text-cold": [
        (PROGRAM, None, "completed", 925),
        (REGISTRY, None, "completed", 797),
        ("EngineCore", None, "completed", 942),
    ],
    # Warm, the class's description comes from vLLM's own cache.
    "eagle-warm": [(PROGRAM, None, "completed", 907), ("EngineCore", None, "completed", 614)],
    "pp2-cold": [
        (PROGRAM, None, "completed", 1119),
        (REGISTRY, None, "completed", 909),
        ("EngineCore", None, "completed", 33),
        ("Worker_PP0", 0, "completed", 838),
        ("Worker_PP1", 1, "completed", 904),
    ],
    "v020-cold": [
        (PROGRAM, None, "completed", 1018),
        (REGISTRY, None, "completed", 934),
        ("EngineCore", None, "completed", 749),
    ],
    "fails-cold": [(PROGRAM, None, "failed", 846), (REGISTRY, None, "completed", 764)],
    "killed-cold": [
        (PROGRAM, None, "failed", 883),
        (REGISTRY, None, "completed", 763),
        ("EngineCore", None, "lost", 396),
    ],
}


@pytest.mark.parametrize("name", TOOK_PART_FROM_BIRTH)
def test_who_took_part_from_its_birth_on(name: str) -> None:
    columns = ("name", "rank", "outcome", "events", "lost")
    recorder, *others = answer(gpu_ledger(name), "who_took_part", *columns)
    assert recorder == ("compile-ledger", None, "completed", 8, 0)
    assert others == [(*process, 0) for process in TOOK_PART_FROM_BIRTH[name]]


@pytest.mark.parametrize("label", TOOK_PART)
def test_who_took_part_beside_what_recorded_the_start(label: str) -> None:
    name = {**CAME_UP, **{label: FAILED[label][0] for label in FAILED}}[label]
    columns = ("name", "rank", "outcome", "events", "lost")
    recorder, *others = answer(gpu_ledger(name, label), "who_took_part", *columns)
    assert recorder == ("compile-ledger", None, "completed", 6, 0)
    assert others == [(*process, 0) for process in TOOK_PART[label]]
