"""What vLLM's compilation time leaves out of starts on H200s: Triton's kernels, and the tuning of torch's.

"init engine … (compilation: … s)" is what vLLM's monitor timed. The kernels that Triton compiles when they
are launched for the first time are in no part of it. The engine's numbers are written down from what the
starts printed, those of the stages are added up from the recordings' lines.
"""

from collections import defaultdict

import pytest

from tests.support.gpu_starts import gpu_ledger, gpu_objects, selected, union_ns

Spans = dict[str, list[tuple[int, int]]]

COMPILATION = {
    # the engine's, the seconds in which something compiled, and what Triton and the tuning took of the rest
    "text-cold": (9.12, 19.694, 10.453, 0.118),
    "vl-cold": (15.23, 19.528, 3.769, 0.524),
    "vl-warm": (1.26, 1.279, 0.016, None),
    "eagle-cold": (11.82, 31.441, 19.385, 0.231),
    "eagle-warm": (1.40, 1.484, 0.087, None),
    "pp2-cold": (12.80, 24.041, 11.146, 0.099),
    "pp2-warm": (1.29, 1.317, 0.027, None),
    "v020-cold": (13.43, 18.664, 5.128, 0.108),
    "v020-warm": (1.52, 1.545, 0.026, None),
}


@pytest.mark.parametrize("name", COMPILATION)
def test_the_engine_leaves_out_what_triton_compiles_and_what_is_tuned(name: str) -> None:
    sql = """
        SELECT
            r.claimed_s,
            r.measured_s,
            -sum(k.ns) FILTER (WHERE k.stage LIKE 'triton%') / 1e9 AS triton,
            -sum(k.ns) FILTER (WHERE k.stage = 'CachingAutotuner.benchmark_all_configs') / 1e9 AS tuning,
            sum(k.ns) FILTER (WHERE k.cause NOT IN ('omitted_stage', 'late', 'rounding')) AS other
        FROM reconciliation r
        JOIN claims c USING (session, process, claim)
        JOIN causes k USING (session, process, claim)
        WHERE c.role IS NULL AND c.stage = 'torch_compile' AND c.text LIKE 'init engine%'
        GROUP BY c.claim
    """
    assert selected(gpu_ledger(name), sql) == [(*COMPILATION[name], None)]


def spans_of(name: str, *stages: str) -> Spans:
    """The compile stages of each process that have an end; of `stages` alone where there are any."""
    objects = gpu_objects(name)[name]
    starts = {(one["process"], one["interval"]): one for one in objects if one["kind"] == "stage_started"}
    spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for stop in objects:
        if stop["kind"] == "stage_stopped":
            start = starts[stop["process"], stop["interval"]]
            if start["activity"] == "compile" and (not stages or start["stage"] in stages):
                spans[stop["process"]].append((start["at_ns"], stop["at_ns"]))
    return spans


@pytest.mark.parametrize("name", COMPILATION)
def test_both_numbers_are_of_the_process_in_which_each_is_most(name: str) -> None:
    in_engine, measured, _, _ = COMPILATION[name]
    compiled = max(union_ns(spans) for spans in spans_of(name).values())
    assert round(compiled / 1e9, 3) == measured
    monitored = max(union_ns(spans) for spans in spans_of(name, "torch_compile").values())
    assert monitored / 1e9 == pytest.approx(in_engine, abs=0.01)


@pytest.mark.parametrize("kind", ["text", "vl", "eagle", "tp2", "pp2", "v020"])
def test_a_warm_start_loads_the_kernels_that_a_cold_one_compiled(kind: str) -> None:
    """Of those outside of any part of the model, as all these starts had one TRITON_CACHE_DIR."""
    sql = """
        SELECT component, json_extract(data, '$.cache') AS cache
        FROM intervals
        WHERE stage = 'triton_compile' AND role IS NULL
    """
    cold, warm = (selected(gpu_ledger(f"{kind}-{start}"), sql) for start in ("cold", "warm"))
    assert {kernel for kernel, cache in cold if cache == "miss"} == {kernel for kernel, _ in warm}
    assert {cache for _, cache in warm} == {"hit"}
