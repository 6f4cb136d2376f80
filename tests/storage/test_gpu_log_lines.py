"""What vLLM's log lines say of real starts on H200s, beside what passed on the clock.

The numbers are written down from what the starts printed. Those of vLLM 0.20.0 and of the starts with an
encoder are of the V1 model runner, the others of the V2 runner.
"""

import pytest

from tests.support.gpu_starts import gpu_ledger, selected

EMBED, BLOCK, MERGER = (f"Qwen2_5_Vision{part}" for part in ("PatchEmbed", "Block", "PatchMerger"))
COMPILED, LOADED = "Compiling a", "Directly load"

OF_PARTS = {
    # process, component, "Dynamo bytecode transform time", compiled or loaded in, "torch.compile took" and
    # "Initial profiling/warmup run took"
    "text-cold": [("EngineCore", "backbone", 2.08, COMPILED, 6.56, 9.12, 0.21)],
    "vl-cold": [
        ("EngineCore", EMBED, 1.33, COMPILED, 1.44, 2.85, 0.10),
        ("EngineCore", BLOCK, 0.51, COMPILED, 2.24, 2.92, 0.19),
        ("EngineCore", BLOCK, 0.08, LOADED, 0.022, 0.11, 0.00),
        ("EngineCore", MERGER, 0.63, COMPILED, 0.83, 1.56, 0.10),
        ("EngineCore", "backbone", 0.81, COMPILED, 6.65, 7.79, 0.26),
    ],
    "vl-warm": [
        ("EngineCore", EMBED, 0.57, LOADED, 0.049, 0.62, 0.07),
        ("EngineCore", BLOCK, 0.10, LOADED, 0.030, 0.14, 0.01),
        ("EngineCore", BLOCK, 0.06, LOADED, 0.019, 0.09, 0.00),
        ("EngineCore", MERGER, 0.07, LOADED, 0.012, 0.09, 0.00),
        ("EngineCore", "backbone", 0.22, LOADED, 0.076, 0.32, 0.01),
    ],
    "eagle-cold": [
        ("EngineCore", "backbone", 1.85, COMPILED, 6.99, 9.35, 0.21),
        ("EngineCore", "eagle_head", 0.66, COMPILED, 1.64, 2.48, 0.12),
    ],
    "eagle-warm": [
        ("EngineCore", "backbone", 0.85, LOADED, 0.277, 1.18, 0.08),
        ("EngineCore", "eagle_head", 0.16, LOADED, 0.038, 0.22, 0.00),
    ],
    # vLLM prints these lines of the first rank alone.
    "pp2-cold": [("Worker_PP0", "backbone", 2.18, COMPILED, 9.05, 11.73, 0.24)],
    "pp2-warm": [("Worker_PP0", "backbone", 1.11, LOADED, 0.126, 1.29, 0.10)],
    "v020-cold": [("EngineCore", "backbone", 3.12, COMPILED, 9.61, 13.43, 0.20)],
    "v020-warm": [("EngineCore", "backbone", 1.17, LOADED, 0.300, 1.52, 0.09)],
}
OF_WHOLE = {
    # process, "Model loading took", "Graph capturing finished in"
    "text-cold": [("EngineCore", 1.233294, 0)],
    "vl-cold": [("EngineCore", 0.241533, 1)],
    "vl-warm": [("EngineCore", 0.174523, 1)],
    "eagle-cold": [("EngineCore", 1.416024, 32)],
    "eagle-warm": [("EngineCore", 1.276819, 31)],
    "pp2-cold": [("Worker_PP0", 1.615807, 1), ("Worker_PP1", 1.629799, 1)],
    "pp2-warm": [("Worker_PP0", 1.419469, 0), ("Worker_PP1", 1.708892, 0)],
    "v020-cold": [("EngineCore", 0.188016, 1)],
    "v020-warm": [("EngineCore", 0.185418, 1)],
}
INIT_ENGINE = {
    # "init engine (profile, create kv cache, warmup model) took", and of this "compilation", by role
    "text-cold": (22.03, {None: 9.12}),
    "vl-cold": (23.51, {None: 15.23, "encoder": 7.44, "language_model": 7.79}),
    "vl-warm": (5.06, {None: 1.26, "encoder": 0.94, "language_model": 0.32}),
    "eagle-cold": (65.47, {None: 11.82}),
    "eagle-warm": (34.72, {None: 1.40}),
    "pp2-cold": (30.70, {None: 12.80}),
    "pp2-warm": (4.27, {None: 1.29}),
    "v020-cold": (22.39, {None: 13.43}),
    "v020-warm": (5.08, {None: 1.52}),
}
LINES = """
    SELECT
        p.name, c.role, c.component, c.stage, c.text, c.claimed_ns / 1e9 AS claimed, r.measured_s,
        r.main_cause
    FROM claims c
    JOIN reconciliation r USING (session, process, claim)
    JOIN process_names p USING (session, process)
    WHERE json_extract(c.data, '$.logger') IS NOT NULL
    ORDER BY p.name, c.at_ns, c.role
"""


@pytest.mark.parametrize("name", OF_PARTS)
def test_each_line_that_states_a_duration_is_a_claim_of_its_process_and_component(name: str) -> None:
    expected: list[tuple[str, str | None, str, float]] = []
    for process, component, dynamo, graph, graph_seconds, compiled, first_run in OF_PARTS[name]:
        expected += [
            (process, component, "Dynamo bytecode", dynamo),
            (process, component, graph, graph_seconds),
            (process, component, "torch.compile took", compiled),
            (process, component, "Initial profiling/warmup", first_run),
        ]
    for process, loading, capture in OF_WHOLE[name]:
        expected += [(process, None, "Model loading", round(loading, 3))]
        expected += [(process, None, "Graph capturing", capture)]
    initialized, compilation = INIT_ENGINE[name]
    expected += [
        ("EngineCore", None, "init engine", seconds) for seconds in (initialized, *compilation.values())
    ]
    columns = ("name", "component", "text", "claimed")
    found = [
        (process, component, " ".join(text.split()[:2]), claimed)
        for process, component, text, claimed in selected(gpu_ledger(name), LINES, *columns)
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("name", OF_PARTS)
def test_what_the_lines_say_of_a_part_is_what_passed_to_their_last_digit(name: str) -> None:
    """All but the engine's compilation in the end is in agreement: it leaves out what it didn't time."""
    columns = ("stage", "text", "claimed", "measured_s", "main_cause")
    rows = selected(gpu_ledger(name), LINES, *columns)
    assert len(rows) >= 7
    for stage, text, claimed, measured, main_cause in rows:
        if text.startswith("init engine") and stage == "torch_compile":
            continue
        # These two are logged before the stage that they speak of has ended.
        is_inside = text.startswith(("init engine", "Model loading")) and 0 <= measured - claimed < 0.01
        assert main_cause in ("rounding", None) or is_inside, text


@pytest.mark.parametrize("name", INIT_ENGINE)
def test_the_engines_compilation_is_held_against_each_role_and_all(name: str) -> None:
    _, compilation = INIT_ENGINE[name]
    rows = selected(gpu_ledger(name), LINES, "text", "stage", "role", "claimed")
    found = [row[2:] for row in rows if row[0].startswith("init engine") and row[1] == "torch_compile"]
    assert sorted(found, key=str) == sorted(compilation.items(), key=str)


def test_a_start_that_was_killed_has_the_lines_that_it_printed() -> None:
    columns = ("name", "component", "text")
    assert selected(gpu_ledger("killed-cold"), LINES, *columns) == [
        ("EngineCore", None, "Model loading took 0.02 GiB and 1.653204 seconds"),
        ("EngineCore", "backbone", "Dynamo bytecode transform time: 1.92 s"),
    ]
    assert selected(gpu_ledger("fails-cold"), LINES) == []
