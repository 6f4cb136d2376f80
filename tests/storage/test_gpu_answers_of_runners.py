"""What the saved queries answer of starts on H200s with both of vLLM's model runners and in two versions.

`text` is vLLM 0.24.0 with the V2 runner; `vl`, a model with an encoder, is the same with the V1 runner;
`v020` is vLLM 0.20.0, with the V1 runner too. All are recorded from the birth of each process on. The answers
are written down from what the starts printed: vLLM's log lines, and the tables of the report at the end.
"""

import pytest

from tests.support.gpu_starts import answer, gpu_ledger

EMBED, BLOCK, MERGER = (f"Qwen2_5_Vision{part}" for part in ("PatchEmbed", "Block", "PatchMerger"))
LANGUAGE = "language_model"

WHO_SAYS_WHAT = {
    # role, measured, monitor, backend, backend added up, engine; first Triton's kernels, which have no role
    "text-cold": [
        (None, 10.453, None, 10.453, 14.598, None),
        (LANGUAGE, 9.241, 9.123, 9.123, 24.914, 9.12),
    ],
    "vl-cold": [
        (None, 3.769, None, 3.769, 4.228, None),
        ("encoder", 7.729, 7.444, 7.442, 20.001, 7.44),
        (LANGUAGE, 8.030, 7.791, 7.790, 21.983, 7.79),
    ],
    "vl-warm": [
        (None, 0.016, None, 0.016, 0.016, None),
        ("encoder", 0.941, 0.941, 0.941, 2.476, 0.94),
        (LANGUAGE, 0.322, 0.322, 0.322, 0.759, 0.32),
    ],
    "v020-cold": [
        (None, 5.128, None, 5.128, 5.610, None),
        (LANGUAGE, 13.536, 13.427, 13.426, 36.598, 13.43),
    ],
    "v020-warm": [
        (None, 0.026, None, 0.026, 0.026, None),
        (LANGUAGE, 1.519, 1.519, 1.519, 3.930, 1.52),
    ],
}


@pytest.mark.parametrize("name", WHO_SAYS_WHAT)
def test_who_says_what(name: str) -> None:
    columns = ("process", "role", "measured", "monitor", "backend", "backend_added_up", "engine")
    expected = [("EngineCore", *row) for row in WHO_SAYS_WHAT[name]]
    assert answer(gpu_ledger(name), "who_says_what", *columns) == expected


COMPONENTS = {
    # role, component, what the cache had, how often, seconds
    "text-cold": [(LANGUAGE, "backbone", "miss", 1, 0.0), (LANGUAGE, "backbone", "compiled", 1, 9.123)],
    "vl-cold": [
        ("encoder", EMBED, "miss", 1, 0.0),
        ("encoder", EMBED, "compiled", 1, 2.852),
        ("encoder", BLOCK, "miss", 1, 0.0),
        ("encoder", BLOCK, "compiled", 1, 2.920),
        ("encoder", BLOCK, "hit", 1, 0.107),  # the second block: "Directly load AOT compilation"
        ("encoder", MERGER, "miss", 1, 0.0),
        ("encoder", MERGER, "compiled", 1, 1.564),
        (LANGUAGE, "backbone", "miss", 1, 0.0),
        (LANGUAGE, "backbone", "compiled", 1, 7.791),
    ],
    "vl-warm": [
        ("encoder", EMBED, "hit", 1, 0.624),
        ("encoder", BLOCK, "hit", 2, 0.226),  # 0.14 s and 0.09 s
        ("encoder", MERGER, "hit", 1, 0.090),
        (LANGUAGE, "backbone", "hit", 1, 0.322),
    ],
    "v020-cold": [(LANGUAGE, "backbone", "miss", 1, 0.001), (LANGUAGE, "backbone", "compiled", 1, 13.427)],
    "v020-warm": [(LANGUAGE, "backbone", "hit", 1, 1.519)],
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_parts_of_a_model_are_compiled_after_a_miss_or_loaded(name: str) -> None:
    columns = ("role", "component", "cache", "times", "seconds")
    assert answer(gpu_ledger(name), "components", *columns) == COMPONENTS[name]


ALL_TOKENS, UP_TO_8192 = "(1, 2147483647)", "(1, 8192)"
RANGES = {
    # component, range, sum of all its graphs, what the line says
    "text-cold": [("backbone", UP_TO_8192, 6.557, 6.56)],
    "vl-cold": [
        (EMBED, ALL_TOKENS, 1.441, 1.44),
        (BLOCK, ALL_TOKENS, 2.264, 2.262),  # 2.24 s for the first block, 0.022 s for the load of the second
        (MERGER, ALL_TOKENS, 0.827, 0.83),
        ("backbone", UP_TO_8192, 6.647, 6.65),
    ],
    "vl-warm": [
        (EMBED, ALL_TOKENS, 0.050, 0.049),
        (BLOCK, ALL_TOKENS, 0.050, 0.049),  # 0.030 s and 0.019 s
        (MERGER, ALL_TOKENS, 0.012, 0.012),
        ("backbone", UP_TO_8192, 0.076, 0.076),
    ],
    "v020-cold": [("backbone", UP_TO_8192, 9.613, 9.61)],
    "v020-warm": [("backbone", UP_TO_8192, 0.299, 0.300)],
}


@pytest.mark.parametrize("name", RANGES)
def test_a_range_is_the_sum_of_its_graphs_beside_what_its_line_says(name: str) -> None:
    columns = ("component", "range", "of_range", "line_says")
    assert list(dict.fromkeys(answer(gpu_ledger(name), "graphs", *columns))) == RANGES[name]
