"""A drafter's part of a start-up: recordings of the fake vLLM (tests/fake_vllm)."""

from pathlib import Path

import pytest

from tests.fake_vllm.driver import Recording, record

EAGLE = ("drafter", "eagle_head")
BASE_V1 = "vllm.v1.spec_decode.llm_base_proposer.SpecDecodeBaseProposer"
SPECULATOR = "vllm.v1.worker.gpu.spec_decode.eagle.speculator"


def start(is_v2: bool, drafter: str | None = "eagle") -> str:
    return f"LLM(VllmConfig(drafter={drafter!r}, use_v2_model_runner={is_v2}))"


def of_drafter(recording: Recording, *, but: tuple[str, ...] = ("compile",)) -> list[tuple[str, str]]:
    """The stages of a drafter in order, less those of some activities, each with what encloses it."""
    stage_of = {(i.process, i.interval): i.stage for i in recording.intervals}
    return [
        (i.stage, stage_of[i.process, i.enclosing])
        for i in recording.intervals
        if i.role == "drafter" and i.activity not in but
    ]


LOADED = [("model_load", "model_load"), ("model_init", "model_load"), ("weights_load", "model_load")]
PROFILED = [("profile_run", "profile_run"), ("first_run", "profile_run")]


def test_the_first_runner_captures_its_drafter_by_running_it(tmp_path: Path) -> None:
    recording = record(tmp_path, start(is_v2=False))
    assert of_drafter(recording) == [
        *LOADED,
        *PROFILED,
        *[("graph_capture_probe", "graph_capture_probe")] * 2,
        *[("graph_capture", "graph_capture")] * 4,
    ]
    assert {(i.role, i.component) for i in recording.intervals if i.role == "drafter"} == {EAGLE}


@pytest.mark.parametrize(
    ("version", "capture", "probed"),
    [
        ("0.20.0", "EagleSpeculator.capture_model", []),
        ("0.21.0", "DraftModelSpeculator.capture", []),
        ("0.32.0", "DraftModelSpeculator.capture", [("graph_capture_probe", "graph_capture_probe")]),
    ],
)
def test_the_second_runners_speculator_captures_and_proposes(
    tmp_path: Path, version: str, capture: str, probed: list[tuple[str, str]]
) -> None:
    recording = record(tmp_path, start(is_v2=True), version=version)
    assert of_drafter(recording) == [
        *LOADED,
        *PROFILED,
        *probed,
        ("graph_capture", "graph_capture"),
        ("warmup", "step_warmup"),
    ]
    assert {(i.role, i.component) for i in recording.intervals if i.role == "drafter"} == {EAGLE}
    [joined] = recording.joined.values()
    assert {hook for hook in joined.hooks if "spec_decode" in hook} == {
        f"{SPECULATOR}.{capture}",
        f"{SPECULATOR}.DraftModelSpeculator.load_model",
        f"{SPECULATOR}.DraftModelSpeculator.propose",
    }
    assert joined.missing_hooks == ()


@pytest.mark.parametrize("is_v2", [False, True])
def test_without_a_drafter_nothing_is_a_drafters(tmp_path: Path, is_v2: bool) -> None:
    recording = record(tmp_path, start(is_v2, drafter=None))
    assert of_drafter(recording, but=()) == []
    [joined] = recording.joined.values()
    assert [hook for hook in joined.hooks if "spec_decode" in hook] == []


def test_what_looks_tokens_up_loads_and_captures_nothing(tmp_path: Path) -> None:
    first = record(tmp_path, start(is_v2=False, drafter="ngram"), ledger="first.db")
    second = record(tmp_path, start(is_v2=True, drafter="ngram"))
    assert of_drafter(first, but=()) == []
    assert of_drafter(second, but=()) == [("profile_run", "profile_run"), ("warmup", "step_warmup")]
    assert {i.component for i in second.intervals if i.role == "drafter"} == {"NgramGPUSpeculator"}
    for recording in (first, second):
        [joined] = recording.joined.values()
        assert joined.missing_hooks == ()


@pytest.mark.parametrize("is_v2", [False, True])
def test_runs_of_a_drafter_are_not_recorded_once_its_worker_is_warm(tmp_path: Path, is_v2: bool) -> None:
    body = (
        "from vllm.v1.worker.gpu.spec_decode.eagle.speculator import DraftModelSpeculator as Second\n"
        "from vllm.v1.spec_decode.llm_base_proposer import SpecDecodeBaseProposer as First\n"
        "plain = First.dummy_run, Second.propose\n"
        "engine = LLM(VllmConfig(drafter='eagle', use_v2_model_runner=" + str(is_v2) + ")).engine\n"
        "engine.engine_core.model_executor.worker.execute_dummy_batch()\n"
        "print((First.dummy_run, Second.propose) == plain)\n"
    )
    recording = record(tmp_path, body)
    assert recording.printed == "True\n"
    [ready] = [row["at_ns"] for row in recording.milestones if row["name"] == "engine_ready"]
    assert [i.stage for i in recording.intervals if i.role == "drafter" and i.start_ns > ready] == []


def test_each_rank_of_several_has_its_drafter_until_it_is_warm(tmp_path: Path) -> None:
    body = (
        "LLM(VllmConfig(drafter='eagle', use_v2_model_runner=True,\n"
        "    parallel_config=ParallelConfig(tensor_parallel_size=2))).shutdown()"
    )
    # The engine has its workers run a dummy batch once it is ready.
    recording = record(tmp_path, body, VLLM_ENABLE_V1_MULTIPROCESSING="1")
    for name in ("Worker_TP0", "Worker_TP1"):
        of_rank = [
            i.stage
            for i in recording.intervals
            if i.process == recording.processes[name]["process"]
            and i.component == "eagle_head"
            and i.stage in ("model_load", "profile_run", "graph_capture", "warmup")
        ]
        assert of_rank == ["model_load", "profile_run", "graph_capture", "warmup"]


def test_a_second_engine_in_a_process_has_a_drafter_of_its_own(tmp_path: Path) -> None:
    body = "FAULTS['weights_load'] = OSError('no file')\n"
    body += "try:\n    " + start(is_v2=True) + "\nexcept OSError:\n    FAULTS.clear()\n"
    recording = record(tmp_path, body + start(is_v2=True), is_clean=False)
    assert of_drafter(recording) == [
        *LOADED,
        *PROFILED,
        ("graph_capture_probe", "graph_capture_probe"),
        ("graph_capture", "graph_capture"),
        ("warmup", "step_warmup"),
    ]


@pytest.mark.parametrize(
    ("work", "failing", "inside"),
    [
        ("drafter's graphs", "graph_capture", []),
        ("share embeddings", "model_load", ["completed", "completed"]),
        ("weights_load", "model_load", []),
    ],
)
def test_a_drafter_that_cannot_be_loaded_or_captured_has_failed_there(
    tmp_path: Path, work: str, failing: str, inside: list[str]
) -> None:
    # The model itself has its weights already.
    body = (
        "from vllm.v1.worker.gpu.spec_decode.eagle import speculator\n"
        "init = speculator.Eagle.__init__\n"
        "def broken(self):\n"
        f"    FAULTS[{work!r}] = RuntimeError('out of memory')\n"
        "    init(self)\n"
        "speculator.Eagle.__init__ = broken\n"
        f"try:\n    {start(is_v2=True)}\nexcept RuntimeError as error:\n    print(error)\n"
    )
    recording = record(tmp_path, body, version="0.24.0", is_clean=False)
    assert recording.printed == "out of memory\n"
    [failed] = [i for i in recording.of(failing) if i.role == "drafter"]
    assert (failed.outcome, failed.error, failed.component) == ("failed", "RuntimeError", "eagle_head")
    if inside:
        assert [i.outcome for i in recording.intervals if i.parent == failed.interval] == inside


@pytest.mark.parametrize("is_v2", [False, True])
def test_a_drafters_load_lasts_until_it_shares_what_the_model_has(tmp_path: Path, is_v2: bool) -> None:
    name = f"{SPECULATOR}.DraftModelSpeculator" if is_v2 else BASE_V1
    module, _, kind = name.rpartition(".")
    body = (
        f"import ledger\nfrom {module} import {kind} as kind\nload = kind.load_model\n"
        "def loads(self, target_model):\n"
        "    load(self, target_model)\n"
        "    ledger.Recorder.from_environment().milestone('shared')\n"
        "kind.load_model = loads\n" + start(is_v2)
    )
    recording = record(tmp_path, body)
    [shared] = [row["at_ns"] for row in recording.milestones if row["name"] == "shared"]
    [loaded] = [i for i in recording.of("model_load") if i.role == "drafter"]
    assert loaded.start_ns < shared <= loaded.stop_ns


@pytest.mark.parametrize(
    ("is_v2", "change", "missing"),
    [
        (False, "from vllm.v1.spec_decode import llm_base_proposer as m\n"
                "del m.SpecDecodeBaseProposer.dummy_run",
         "vllm.v1.spec_decode.eagle.EagleProposer.dummy_run"),
        (True, "from vllm.v1.worker.gpu.spec_decode.eagle import speculator as m\n"
               "m.DraftModelSpeculator.record = m.DraftModelSpeculator.capture\n"
               "del m.DraftModelSpeculator.capture",
         f"{SPECULATOR}.EagleSpeculator.capture"),
    ],
)  # fmt: skip
def test_a_drafter_without_the_method_is_told(tmp_path: Path, is_v2: bool, change: str, missing: str) -> None:
    body = f"{change}\ntry:\n    {start(is_v2)}\nexcept AttributeError:\n    print('raised')\n"
    recording = record(tmp_path, body, is_clean=False)
    assert recording.printed == "raised\n"
    told = [gap.detail for gap in recording.gaps if gap.what == "hook_missing"]
    assert told == [f"{missing}: there is no such function"]


def test_a_proposer_of_somebody_elses_may_lack_the_method(tmp_path: Path) -> None:
    body = (
        "from vllm.v1.worker import gpu_model_runner\n"
        "class Custom:\n"
        "    def __init__(self, config): ...\n"
        "    def load_model(self, target_model=None):\n        print('loads')\n"
        "gpu_model_runner.NgramProposerGPU = Custom\n" + start(is_v2=False, drafter="ngram")
    )
    recording = record(tmp_path, body)
    assert recording.printed == "loads\n"
    [joined] = recording.joined.values()
    assert (joined.missing_hooks, recording.gaps) == ((), [])
