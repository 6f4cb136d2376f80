"""What the saved queries answer of real starts on H200s that came up.

The answers are written down from what the starts printed (`tests/data/gpu/logs`): the log lines of vLLM, and
the tables of the report at the end. Of starts whose output isn't kept they come from the recording's lines,
each stop less its start.
"""

import pytest

from tests.support.gpu_starts import LOGS, answer, gpu_ledger, selected

# Who says what

WHO_SAYS_WHAT = {
    "llama": [
        ("llama-cold", "EngineCore", "language_model", 9.220, 9.034, 9.033, 24.842, 9.03),
        ("llama-warm", "EngineCore", "language_model", 1.168, 1.167, 1.167, 3.124, 1.17),
        ("llama-warm-2", "EngineCore", "language_model", 1.302, 1.302, 1.302, 3.457, 1.30),
    ],
    "vl": [
        ("vl-cold", "EngineCore", "encoder", 7.255, 7.006, 7.004, 18.518, 7.01),
        ("vl-cold", "EngineCore", "language_model", 10.182, 9.996, 9.995, 27.680, 10.00),
        ("vl-warm", "EngineCore", "encoder", 1.246, 1.246, 1.246, 3.227, 1.25),
        ("vl-warm", "EngineCore", "language_model", 0.533, 0.533, 0.533, 1.242, 0.53),
    ],
    "big": [
        ("big-cold", "EngineCore", "language_model", 14.011, 13.901, 13.900, 34.289, 13.90),
        ("big-warm", "EngineCore", "language_model", 2.264, 2.264, 2.264, 5.837, 2.26),
    ],
    # The second warm start was stopped before it compiled anything.
    "triton-plain": [
        ("plain-cold", "EngineCore", "language_model", 14.711, 14.481, 14.480, 40.348, 14.48),
        ("plain-warm-1", "EngineCore", "language_model", 1.930, 1.930, 1.930, 5.069, 1.93),
    ],
    "v1": [
        ("v1-runner-cold", "EngineCore", "language_model", 10.852, 10.728, 10.727, 29.504, 10.73),
        ("v1-runner-warm", "EngineCore", "language_model", 1.227, 1.227, 1.227, 3.290, 1.23),
    ],
    # The engine of these said nothing more, and no line of the second but the monitor's.
    "fails": [
        ("fails-memory", "EngineCore", "language_model", 15.802, 15.693, 15.692, 40.021, None),
        ("fails-kv-cache", "EngineCore", "language_model", 9.494, 9.388, 9.388, 21.880, None),
    ],
    "killed": [
        ("big-killed-engine", "EngineCore", "language_model", 4.706, None, 4.706, 10.757, None),
        # It is not known to have ended, so that only what had stopped inside counts.
        ("big-killed-all", "EngineCore", "language_model", 4.179, None, 3.737, 3.737, None),
    ],
    "tp2killed": [
        ("tp2-worker-killed", "Worker_TP0", "language_model", 15.586, None, 15.585, 41.560, None),
        ("tp2-worker-killed", "Worker_TP1", "language_model", 6.499, None, 6.499, 14.490, None),
    ],
    "serve": [],
    # With Triton's kernels, which no role compiled, and of which nobody says anything.
    "tp2-cold": [
        ("tp2-cold", "Worker_TP0", None, 13.145, None, 13.145, 18.585, None),
        ("tp2-cold", "Worker_TP0", "language_model", 11.678, 11.596, 11.595, 31.911, 11.60),
        ("tp2-cold", "Worker_TP1", None, 13.059, None, 13.059, 18.010, None),
        ("tp2-cold", "Worker_TP1", "language_model", 11.522, 11.441, 11.440, 31.208, 11.60),
    ],
    "text-warm": [
        ("text-warm", "EngineCore", None, 0.070, None, 0.070, 0.070, None),
        ("text-warm", "EngineCore", "language_model", 1.639, 1.639, 1.639, 4.403, 1.64),
    ],
}


@pytest.mark.parametrize("name", WHO_SAYS_WHAT)
def test_who_says_what(name: str) -> None:
    columns = ("label", "process", "role", "measured", "monitor", "backend", "backend_added_up", "engine")
    assert answer(gpu_ledger(name), "who_says_what", *columns) == WHO_SAYS_WHAT[name]


# Components


def test_the_parts_of_a_model_with_an_encoder_are_compiled_and_loaded_one_by_one() -> None:
    embed, block, merger = (f"Qwen2_5_Vision{part}" for part in ("PatchEmbed", "Block", "PatchMerger"))
    columns = ("label", "role", "component", "cache", "times", "seconds")
    assert answer(gpu_ledger("vl"), "components", *columns) == [
        ("vl-cold", "encoder", embed, "miss", 1, 0.0),
        ("vl-cold", "encoder", embed, "compiled", 1, 2.041),
        ("vl-cold", "encoder", block, "miss", 1, 0.0),
        ("vl-cold", "encoder", block, "compiled", 1, 3.121),
        ("vl-cold", "encoder", block, "hit", 1, 0.108),  # the second block: "Directly load AOT compilation"
        ("vl-cold", "encoder", merger, "miss", 1, 0.0),
        ("vl-cold", "encoder", merger, "compiled", 1, 1.735),
        ("vl-cold", "language_model", "backbone", "miss", 1, 0.0),
        ("vl-cold", "language_model", "backbone", "compiled", 1, 9.996),
        ("vl-warm", "encoder", embed, "hit", 1, 0.714),
        ("vl-warm", "encoder", block, "hit", 2, 0.375),
        ("vl-warm", "encoder", merger, "hit", 1, 0.156),
        ("vl-warm", "language_model", "backbone", "hit", 1, 0.533),
    ]


ONE_PART = {
    "llama-cold": ("llama", 9.034),
    "llama-warm": ("llama", 1.168),
    "llama-warm-2": ("llama", 1.302),
    "big-cold": ("big", 13.901),
    "big-warm": ("big", 2.264),
    "plain-cold": ("triton-plain", 14.481),
    "plain-warm-1": ("triton-plain", 1.930),
    "v1-runner-cold": ("v1", 10.728),
    "v1-runner-warm": ("v1", 1.227),
    "fails-memory": ("fails", 15.693),
    "fails-kv-cache": ("fails", 9.388),
}


@pytest.mark.parametrize("label", ONE_PART)
def test_a_model_of_text_alone_is_compiled_after_a_miss_or_loaded(label: str) -> None:
    name, seconds = ONE_PART[label]
    # The version that made these recordings found no component before the backend was imported.
    of_model = ("EngineCore", "language_model", None)
    is_warm = "-warm" in label
    expected = [(*of_model, "hit", 1, seconds)]
    if not is_warm:
        expected = [(*of_model, "miss", 1, 0.0), (*of_model, "compiled", 1, seconds)]
    columns = ("process", "role", "component", "cache", "times", "seconds")
    assert answer(gpu_ledger(name, label), "components", *columns) == expected


def test_a_compile_that_was_not_ended_lasted_at_least_so_long() -> None:
    columns = ("label", "process", "cache", "times", "seconds")
    assert answer(gpu_ledger("killed"), "components", *columns) == [
        ("big-killed-engine", "EngineCore", "miss", 1, 0.0),
        ("big-killed-engine", "EngineCore", "abandoned", 1, 4.706),
        ("big-killed-all", "EngineCore", "miss", 1, 0.0),
        ("big-killed-all", "EngineCore", "open", 1, 4.440),
    ]
    assert answer(gpu_ledger("tp2killed"), "components", *columns[1:]) == [
        ("Worker_TP0", "miss", 1, 0.0),
        ("Worker_TP0", "abandoned", 1, 15.585),
        ("Worker_TP1", "miss", 1, 0.0),
        ("Worker_TP1", "abandoned", 1, 6.499),
    ]


def test_what_compiled_nothing_has_no_component() -> None:
    assert answer(gpu_ledger("serve"), "components") == []
    assert answer(gpu_ledger("triton-plain", "plain-warm-2"), "components") == []
    assert answer(gpu_ledger("fails", "fails-length"), "components") == []


# Graphs

RANGES = {
    # process, component, range, sum of all its graphs, what the line says
    "llama-cold": ("llama", [("EngineCore", "backbone", "(1, 8192)", 6.776, 6.78)]),
    "llama-warm": ("llama", [("EngineCore", "backbone", "(1, 8192)", 0.307, 0.308)]),
    "llama-warm-2": ("llama", [("EngineCore", "backbone", "(1, 8192)", 0.363, 0.364)]),
    "big-cold": ("big", [("EngineCore", "backbone", "(1, 16384)", 7.954, 7.96)]),
    "big-warm": ("big", [("EngineCore", "backbone", "(1, 16384)", 0.744, 0.75)]),
    "plain-cold": ("triton-plain", [("EngineCore", "backbone", "(1, 8192)", 10.806, 10.81)]),
    "plain-warm-1": ("triton-plain", [("EngineCore", "backbone", "(1, 8192)", 0.531, 0.533)]),
    "v1-runner-cold": ("v1", [("EngineCore", "backbone", "(1, 8192)", 8.190, 8.19)]),
    "v1-runner-warm": ("v1", [("EngineCore", "backbone", "(1, 8192)", 0.359, 0.361)]),
    "fails-memory": ("fails", [("EngineCore", "backbone", "(1, 16384)", 9.485, 9.49)]),
    "fails-kv-cache": ("fails", [("EngineCore", "backbone", "(1, 16384)", 4.082, 4.09)]),
    # Killed in its first graph, before any line.
    "big-killed-engine": ("killed", [("EngineCore", "backbone", "(1, 16384)", 0.738, None)]),
    "tp2-worker-killed": (
        "tp2killed",
        [
            ("Worker_TP0", "backbone", "(1, 16384)", 9.523, 9.53),
            ("Worker_TP1", "backbone", "(1, 16384)", 0.646, None),
        ],
    ),
    "vl-cold": (
        "vl",
        [
            ("EngineCore", "Qwen2_5_VisionPatchEmbed", "(1, 2147483647)", 1.179, 1.18),
            # 2.30 s for the first block, and 0.020 s from the cache for the second
            ("EngineCore", "Qwen2_5_VisionBlock", "(1, 2147483647)", 2.326, 2.32),
            ("EngineCore", "Qwen2_5_VisionPatchMerger", "(1, 2147483647)", 0.912, 0.91),
            ("EngineCore", "backbone", "(1, 8192)", 8.135, 8.13),
        ],
    ),
    "vl-warm": (
        "vl",
        [
            ("EngineCore", "Qwen2_5_VisionPatchEmbed", "(1, 2147483647)", 0.077, 0.076),
            ("EngineCore", "Qwen2_5_VisionBlock", "(1, 2147483647)", 0.076, 0.074),
            ("EngineCore", "Qwen2_5_VisionPatchMerger", "(1, 2147483647)", 0.018, 0.017),
            ("EngineCore", "backbone", "(1, 8192)", 0.121, 0.121),
        ],
    ),
}


@pytest.mark.parametrize("label", RANGES)
def test_a_range_is_the_sum_of_its_graphs_beside_what_its_line_says(label: str) -> None:
    name, expected = RANGES[label]
    columns = ("process", "component", "range", "of_range", "line_says")
    assert list(dict.fromkeys(answer(gpu_ledger(name, label), "graphs", *columns))) == expected


def test_each_graph_was_compiled_loaded_or_used_again() -> None:
    columns = ("graph", "cache", "seconds")
    assert answer(gpu_ledger("llama", "llama-cold"), "graphs", *columns) == [
        (0, "miss", 3.558),
        (1, "miss", 2.646),
        (2, "reused", 0.034),
        (3, "reused", 0.034),
        (4, "miss", 0.505),
    ]
    assert answer(gpu_ledger("llama", "llama-warm"), "graphs", *columns) == [
        (0, "hit", 0.083),
        (1, "hit", 0.024),
        (2, "reused", 0.152),
        (3, "reused", 0.034),
        (4, "hit", 0.014),
    ]
    # 16 layers: one graph before the first attention, one behind the last, fifteen between that are alike.
    warm = answer(gpu_ledger("big", "big-warm"), "graphs", "graph", "cache")
    assert warm == [(0, "hit"), (1, "hit"), *((graph, "reused") for graph in range(2, 16)), (16, "hit")]
    assert answer(gpu_ledger("vl", "vl-cold"), "graphs", *columns) == [
        (0, "miss", 1.179),
        (0, "miss", 2.306),
        (0, "hit", 0.020),
        (0, "miss", 0.912),
        (0, "miss", 3.724),
        (1, "miss", 3.678),
        (2, "miss", 0.732),
    ]


# Time that nothing inside accounts for

UNATTRIBUTED = {
    # role, stage, seconds, and those of them in which nothing inside was open
    "llama-cold": [
        (None, "warmup", 11.736, 11.230),  # Triton's kernels, of which no line speaks
        (None, "profile_run", 10.686, 1.371),
        (None, "model_load", 1.212, 1.005),
        ("language_model", "benchmark_fused_nodes", 0.859, 0.846),
        (None, "memory_profile", 11.423, 0.737),
    ],
    "vl-cold": [
        (None, "profile_run", 23.312, 5.723),  # the same under the other runner
        (None, "model_load", 1.264, 1.079),
        (None, "memory_profile", 25.607, 0.856),
        (None, "warmup", 1.601, 0.460),
        ("language_model", "benchmark_fused_nodes", 0.462, 0.450),
    ],
    "tp2-cold": [
        (None, "warmup", 14.504, 13.781),
        (None, "warmup", 14.438, 13.715),
        (None, "profile_run", 12.438, 1.863),
        (None, "profile_run", 12.482, 1.848),
        (None, "model_load", 1.523, 1.169),
    ],
    "tp2-warm": [
        (None, "model_load", 1.759, 1.339),
        (None, "model_load", 1.490, 1.214),
        (None, "memory_profile", 4.088, 0.949),
        (None, "profile_run", 3.138, 0.949),
        (None, "profile_run", 3.077, 0.851),
    ],
    "dp2-serve-cold": [
        (None, "warmup", 6.409, 5.709),
        (None, "profile_run", 14.384, 2.046),
        (None, "profile_run", 17.642, 2.029),
        (None, "model_load", 1.665, 1.312),
        (None, "model_load", 1.615, 1.242),
    ],
    "fails-kv-cache": [
        (None, "model_load", 1.304, 1.015),
        (None, "profile_run", 10.229, 0.614),
        (None, "executor_init", 2.645, 0.462),
        ("language_model", "_recursive_post_grad_passes", 0.475, 0.452),
        ("language_model", "vllm_backend", 4.758, 0.442),
    ],
    "big-killed-engine": [
        (None, "model_load", 1.555, 1.221),
        (None, "memory_profile", 5.334, 0.582),
        ("language_model", "vllm_backend", 0.612, 0.373),
        ("language_model", "cache_key", 0.463, 0.368),
        ("language_model", "_recursive_joint_graph_passes", 0.214, 0.208),
    ],
    "tp2-worker-killed": [
        (None, "model_load", 2.058, 1.476),
        (None, "model_load", 1.957, 1.424),
        ("language_model", "benchmark_fused_nodes", 0.968, 0.945),
        ("language_model", "Scheduler.create_combo_kernel_nodes", 2.475, 0.857),
        ("language_model", "_recursive_joint_graph_passes", 0.796, 0.785),
    ],
    "serve-cold": [],
}


@pytest.mark.parametrize("label", UNATTRIBUTED)
def test_what_nothing_inside_accounts_for(label: str) -> None:
    columns = ("role", "stage", "seconds", "unattributed")
    rows = answer(gpu_ledger(LOGS[label], label), "unattributed", *columns)
    assert rows[:5] == UNATTRIBUTED[label]


# What else is odd


def test_the_only_oddity_is_a_block_that_was_loaded_beside_its_compile() -> None:
    sql = "SELECT label, what, detail FROM anomalies JOIN sessions USING (session)"
    found = [row for name in (*WHO_SAYS_WHAT, "tp2", "dp2") for row in selected(gpu_ledger(name), sql)]
    loaded = "1 loads of Qwen2_5_VisionBlock are added to 1 compiles of it"
    assert found == [("vl-cold", "repeated_load", loaded)]
    sql = "SELECT what FROM gaps"
    assert [row for name in (*WHO_SAYS_WHAT, "tp2", "dp2") for row in selected(gpu_ledger(name), sql)] == []
