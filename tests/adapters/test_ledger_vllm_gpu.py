"""What a GPU's start of vLLM does besides its compiles: recordings of the fake vLLM (tests/fake_vllm)."""

from pathlib import Path

import pytest

from ledger_engine.signature_check import parameters, reader
from ledger_vllm.gpu_hook_targets import GPU_STAGES, GPU_TARGETS
from ledger_vllm.hook_targets import TABLE
from tests.fake_vllm.driver import Recording, record

TWO_RANKS = "LLM(VllmConfig(parallel_config=ParallelConfig(tensor_parallel_size=2))).shutdown()"
COMMUNICATION = [
    ("distributed_init", "device_init"),
    ("process_group_init", "distributed_init"),
    ("model_parallel_init", "distributed_init"),
    ("nccl_init", "model_parallel_init"),
    ("custom_all_reduce_init", "model_parallel_init"),
    ("p2p_check", "custom_all_reduce_init"),
    ("quick_all_reduce_init", "model_parallel_init"),
    ("symm_mem_init", "model_parallel_init"),
]


def inside(start: Recording, process: str) -> list[tuple[str, str]]:
    """The stages of this module's in a process, in order, each with what encloses it."""
    of_process = [i for i in start.intervals if i.process == start.processes[process]["process"]]
    stage_of = {i.interval: i.stage for i in of_process}
    return [(i.stage, stage_of.get(i.enclosing, "")) for i in of_process if i.stage in GPU_STAGES]


def test_each_rank_sets_up_its_communication_within_its_device(tmp_path: Path) -> None:
    start = record(tmp_path, TWO_RANKS, VLLM_ENABLE_V1_MULTIPROCESSING="1")
    for worker in ("Worker_TP0", "Worker_TP1"):
        found = inside(start, worker)
        assert found[: len(COMMUNICATION)] == COMMUNICATION
        assert found[len(COMMUNICATION)] == ("runner_init", "device_init")
    assert {i.activity for i in start.of("nccl_init")} == {"startup"}


@pytest.mark.parametrize(("is_v2", "last"), [(False, "sampler_warmup"), (True, "step_warmup")])
def test_kernels_are_warmed_up_within_the_workers_warm_up(tmp_path: Path, is_v2: bool, last: str) -> None:
    start = record(tmp_path, f"LLM(VllmConfig(use_v2_model_runner={is_v2}))")
    [process] = start.processes
    warmups = [node for node in inside(start, process) if GPU_STAGES[node[0]] == "warmup"]
    assert warmups == [
        ("deep_gemm_warmup", "kernel_warmup"),
        ("flashinfer_autotune", "kernel_warmup"),
        (last, "warmup"),
    ]


def test_a_rank_that_cannot_communicate_has_failed_there(tmp_path: Path) -> None:
    body = (
        "FAULTS['init_process_group'] = OSError('no route')\n"
        "try:\n    LLM(VllmConfig())\nexcept OSError as error:\n    print(error)\n"
    )
    start = record(tmp_path, body, is_clean=False)
    assert start.printed == "no route\n"
    assert (start.one("process_group_init").outcome, start.one("process_group_init").error) == (
        "failed",
        "OSError",
    )


@pytest.mark.parametrize(("version", "probes"), [("0.20.0", 0), ("0.32.0", 1)])
def test_a_probe_that_captures_nothing_is_none(tmp_path: Path, version: str, probes: int) -> None:
    start = record(tmp_path, "LLM(VllmConfig(use_v2_model_runner=True))", version=version)
    assert len(start.of("graph_capture_probe")) == probes
    assert len(start.of("graph_capture")) == 1


def test_who_keeps_totals_hears_that_the_engine_is_ready(tmp_path: Path) -> None:
    body = "from ledger.adapters import when_ready\nwhen_ready(lambda: print('ready'))\nLLM(VllmConfig())\n"
    assert record(tmp_path, body).printed == "ready\n"


def test_the_table_has_them_all_and_no_stage_too_many() -> None:
    assert set(GPU_TARGETS) <= set(TABLE.targets)
    assert {target.records for target in GPU_TARGETS} == set(GPU_STAGES)


def test_a_name_that_a_package_has_by_a_star_is_found(tmp_path: Path) -> None:
    package = tmp_path / "vllm" / "distributed"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .utils import *\nfrom .parallel_state import *\n")
    (package / "utils.py").write_text("def other(): ...\n")
    (package / "parallel_state.py").write_text("def init_distributed_environment(size, rank): ...\n")
    worker = tmp_path / "vllm" / "v1" / "worker"
    worker.mkdir(parents=True)
    (worker / "gpu_worker.py").write_text("from vllm.distributed import init_distributed_environment\n")
    (target,) = (t for t in GPU_TARGETS if t.name == "init_distributed_environment")
    assert parameters(target, reader(tmp_path)) == ["size", "rank"]


def test_vllms_plugin_has_triton_recorded_too(tmp_path: Path) -> None:
    body = (
        "load_general_plugins()\nfrom ledger_engine import activation\nprint(sorted(activation._activated))\n"
        "LLM(VllmConfig())\n"
    )
    assert record(tmp_path, body).printed == "['triton', 'vllm']\n"
