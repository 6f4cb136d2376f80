"""What the saved queries answer of real starts on H200s that failed or were killed.

Written down from what the starts printed (`tests/data/gpu/logs`) and, where there is no log, from the last
lines of each process in the recording.
"""

import pytest

from tests.support.gpu_starts import answer, gpu_ledger

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
            ("Worker [10288-15316ab6]", None, "warmup", "SystemExit", 6.409),
        ],
    ),
    "plain-warm-2": ("triton-plain", [(PROGRAM, None, "engine_start", "lost", 0.0)]),
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


@pytest.mark.parametrize("label", CAME_UP)
def test_of_what_came_up_nothing_failed_and_nobody_died(label: str) -> None:
    ledger = gpu_ledger(CAME_UP[label], label)
    assert answer(ledger, "failed_stages") == answer(ledger, "died_in") == []


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
        ("Worker [10289-349745ae]", "running", None, "warmup", "abandoned", 0.749),
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
        ("Worker [10289-349745ae]", 0, "running", 456),
        ("Worker [10288-15316ab6]", 0, "completed", 465),
    ],
}


@pytest.mark.parametrize("label", TOOK_PART)
def test_who_took_part_beside_what_recorded_the_start(label: str) -> None:
    name = {**CAME_UP, **{label: FAILED[label][0] for label in FAILED}}[label]
    columns = ("name", "rank", "outcome", "events", "lost")
    recorder, *others = answer(gpu_ledger(name, label), "who_took_part", *columns)
    assert recorder == ("compile-ledger", None, "completed", 6, 0)
    assert others == [(*process, 0) for process in TOOK_PART[label]]
