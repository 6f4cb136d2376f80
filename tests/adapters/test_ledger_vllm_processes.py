"""vLLM's processes, threads and failures as the recorder sees them, and that recording harms none of them."""

import multiprocessing
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger_vllm.engine import _worker_name
from tests.fake_vllm.driver import STATES_TIME, Recording, record, run

BACKBONE = "backbone"
WITH_PROCESSES = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
FROM_IMPORT = {"FAKE_TORCH_AUTOLOAD": "1", **WITH_PROCESSES}
"""As the real torch does it: vLLM is recorded as soon as it is imported."""
TWO_RANKS = """
LLM(VllmConfig(parallel_config=ParallelConfig(tensor_parallel_size=2), {more})).shutdown()
"""


@pytest.fixture(scope="module")
def spawned(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    body = TWO_RANKS.format(more="slow_ranks={1: 0.1}")
    environment = {"VLLM_WORKER_MULTIPROC_METHOD": "spawn", "FAKE_WORK_S": "0.002", **FROM_IMPORT}
    return record(tmp_path_factory.mktemp("spawned"), body, **environment)


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    environment = {"VLLM_WORKER_MULTIPROC_METHOD": "fork", **FROM_IMPORT}
    return record(tmp_path_factory.mktemp("forked"), TWO_RANKS.format(more=""), **environment)


@pytest.fixture(scope="module", params=["spawn", "fork"])
def several(request: pytest.FixtureRequest) -> Recording:
    return request.getfixturevalue({"spawn": "spawned", "fork": "forked"}[request.param])


def of_process(start: Recording, name: str) -> list[Any]:
    process = start.processes[name]["process"]
    return [interval for interval in start.intervals if interval.process == process]


class TestProcesses:
    def test_each_is_there_under_vllms_name_for_it(self, several: Recording) -> None:
        assert {name: row["rank"] for name, row in several.processes.items()} == {
            "program.py": None, "EngineCore": None, "Worker_TP0": 0, "Worker_TP1": 1,
        }  # fmt: skip
        assert {row["outcome"] for row in several.processes.values()} == {"completed"}

    def test_each_has_the_stages_that_ran_in_it_and_no_other_ones(self, several: Recording) -> None:
        stages = {
            name: [i.stage for i in of_process(several, name) if i.stage != "process_start"]
            for name in several.processes
        }
        assert stages["program.py"] == [
            "front_end_start", "plugins_load", "configuration", "model_config", "renderer_init",
            "tokenizer_load", "engine_start", "process_spawn", "waiting", "renderer_warmup",
        ]  # fmt: skip
        rpcs = ["waiting"] * 3
        of_engine = [stage for stage in stages["EngineCore"] if stage != "plugins_load"]
        assert of_engine == [
            "engine_core_init", "executor_init", "process_spawn", "process_spawn", "waiting",
            "engine_init", *rpcs, "gc_freeze",
        ]  # fmt: skip
        assert stages["Worker_TP0"] == stages["Worker_TP1"]
        assert stages["Worker_TP0"][0] == "worker_init"
        assert {"model_load", "torch_compile", "graph_compile", "graph_capture"} <= set(stages["Worker_TP0"])

    def test_nobody_s_stage_is_the_child_of_another_process_s(self, several: Recording) -> None:
        for name in several.processes:
            intervals = {i.interval: i for i in of_process(several, name)}
            for interval in intervals.values():
                assert interval.parent is None or interval.parent in intervals
        assert [i.parent for i in several.of("worker_init")] == [None, None]

    def test_the_engine_speaks_of_the_slowest_rank(self, several: Recording) -> None:
        totals = [c.claimed_ns for c in several.claims if (c.counts, c.role) == ("total", "language_model")]
        assert len(totals) == 2
        engine = several.processes["EngineCore"]["process"]
        [ranks] = [
            c for c in several.claims
            if (c.process, c.counts, c.role) == (engine, "ranks", "language_model") and "core" in str(c.text)
        ]  # fmt: skip
        assert ranks.claimed_ns == max(totals)
        [line] = [c for c in several.lines() if c.counts == "ranks"]
        assert (line.process, line.source, line.role) == (engine, "engine", None)
        assert abs(line.claimed_ns - max(totals)) <= 5 * 10**6

    def test_the_front_ends_own_configuration_knows_nothing_of_it(self, several: Recording) -> None:
        front_end = several.processes["program.py"]["process"]
        claims = [claim for claim in several.claims if claim.process == front_end]
        assert [(c.source, c.counts, c.role, c.claimed_ns) for c in claims] == [
            ("engine", "ranks", "language_model", 0),
            ("engine", "ranks", "encoder", 0),
        ]

    def test_the_engine_is_ready_once_and_its_front_end_at_the_end_of_its_start(
        self, several: Recording
    ) -> None:
        # The engine tells its front end before it begins to serve: which of them notes it first is chance.
        [ready] = [row for row in several.milestones if row["name"] == "engine_ready"]
        assert ready["process"] == several.processes["EngineCore"]["process"]
        [front_end] = [row for row in several.milestones if row["name"] == "server_ready"]
        assert front_end["process"] == several.processes["program.py"]["process"]
        assert several.one("engine_core_init").stop_ns < ready["at_ns"]
        waiting = next(i for i in of_process(several, "program.py") if i.stage == "waiting")
        assert waiting.stop_ns < front_end["at_ns"] < several.one("front_end_start").stop_ns

    def test_the_engine_s_first_token_is_a_moment_and_later_ones_are_none(self, several: Recording) -> None:
        [first] = [row for row in several.milestones if row["name"] == "first_token"]
        [ready] = [row for row in several.milestones if row["name"] == "engine_ready"]
        assert first["process"] == ready["process"]
        assert ready["at_ns"] < first["at_ns"]

    def test_who_waits_says_for_which_process(self, several: Recording) -> None:
        pids = {name: row["pid"] for name, row in several.processes.items()}
        workers = [pids["Worker_TP0"], pids["Worker_TP1"]]
        [engine] = [i for i in of_process(several, "program.py") if i.stage == "waiting"]
        assert engine.data == {"for": "the engine", "child_pid": pids["EngineCore"]}
        waits = [i.data for i in of_process(several, "EngineCore") if i.stage == "waiting"]
        assert [data.pop("for") for data in waits] == [
            "the workers", "determine_available_memory", "initialize_from_config",
            "compile_or_warm_up_model",
        ]  # fmt: skip
        assert waits == [{"child_pids": workers}] * 4
        spawned = [i.data["child_pid"] for i in several.of("process_spawn")]
        assert spawned == [pids["EngineCore"], *workers]

    def test_nobody_is_watched_while_the_engine_serves(self, several: Recording) -> None:
        # A call of all workers, after the engine is ready.
        [ready] = [row for row in several.milestones if row["name"] == "engine_ready"]
        assert [
            i
            for i in of_process(several, "EngineCore")
            if i.stage == "waiting" and i.start_ns > ready["at_ns"]
        ] == []

    def test_a_spawned_process_has_its_start_before_all_else(self, spawned: Recording) -> None:
        for name in ("EngineCore", "Worker_TP0", "Worker_TP1"):
            first, second = of_process(spawned, name)[:2]
            assert (first.stage, first.activity, first.source, first.role, first.parent) == (
                "process_start", "startup", "engine", None, None,
            )  # fmt: skip
            assert first.data["until"] == "vLLM was imported"
            assert first.stop_ns <= second.start_ns
            assert 10**7 < first.duration_ns < 30 * 10**9
        assert "process_start" not in {i.stage for i in of_process(spawned, "program.py")}

    def test_a_forked_process_inherits_the_hooks_and_no_start(self, forked: Recording) -> None:
        assert forked.of("process_start") == []
        front_end, engine, worker = (
            set(forked.joined[name].hooks) for name in ("program.py", "EngineCore", "Worker_TP0")
        )
        assert front_end <= engine <= worker
        assert "vllm.entrypoints.llm.LLM.__init__" in front_end
        assert "vllm.v1.executor.multiproc_executor.WorkerProc.__init__" in worker

    def test_the_command_vllm_is_a_process_of_vllms(self, tmp_path: Path) -> None:
        start = record(tmp_path, "LLM(VllmConfig())", script="vllm")
        begun = start.one("process_start")
        assert begun.data["until"] == "vLLM loaded its plugins"
        assert begun.stop_ns <= start.one("engine_start").start_ns

    def test_one_worker_in_a_process_of_its_own_is_called_worker(self, tmp_path: Path) -> None:
        start = record(tmp_path, "LLM(VllmConfig(is_cpu=True)).shutdown()")
        assert start.processes["Worker"]["rank"] == 0
        warmups = [i for i in of_process(start, "Worker") if i.activity == "warmup"]
        assert [i.stage for i in warmups] == ["warmup", "first_run", "warmup"]
        assert start.one("profile_run").parent == warmups[0].interval

    def test_a_worker_of_ray_s_is_named_as_vllm_names_it(self, tmp_path: Path) -> None:
        body = (
            "load_general_plugins()\nfrom vllm.v1.worker.gpu_worker import Worker\n"
            "parallel = ParallelConfig(tensor_parallel_size=4, distributed_executor_backend='ray')\n"
            "Worker(VllmConfig(parallel_config=parallel), 3, 3).init_device()\n"
        )
        start = record(tmp_path, body)
        assert {name: row["rank"] for name, row in start.processes.items()} == {"Worker_TP3": 3}

    def test_a_process_that_only_looks_a_model_up_has_no_stage_of_vllms(self, tmp_path: Path) -> None:
        start = record(tmp_path, "LLM(VllmConfig(), looks_model_up=True)")
        assert set(start.processes) == {"program.py", "vllm.model_executor.models.registry"}
        assert of_process(start, "vllm.model_executor.models.registry") == []

    @pytest.mark.parametrize(
        ("rank", "sizes", "name"),
        [
            (0, {}, "Worker"),
            (3, {"tensor": 4}, "Worker_TP3"),
            (5, {"tensor": 2, "pipeline": 3}, "Worker_PP2_TP1"),
            (1, {"tensor": 2, "data": 2, "data_rank": 1}, "Worker_DP1_TP1"),
            (1, {"tensor": 2, "data": 2, "data_rank": 1, "is_expert": True}, "Worker_DP1_TP1_EP3"),
            (0, {"engine": "EngineCore_DP0"}, "Worker_DP0"),
            (1, {"tensor": 2, "engine": "EngineCore_DP3"}, "Worker_DP3_TP1"),
            (0, {"data": 2, "data_rank": 1, "engine": "EngineCore_DP1"}, "Worker_DP1"),
            (0, {"engine": "EngineCore"}, "Worker"),
            (2, {"tensor": 2, "prefill": 2}, "Worker_PCP1_TP0"),
            (3, {"tensor": 4, "decode": 2}, "Worker_TP3_DCP1"),
        ],
    )
    def test_a_worker_has_the_name_that_vllm_gives_it_later(
        self, monkeypatch: pytest.MonkeyPatch, rank: int, sizes: dict[str, Any], name: str
    ) -> None:
        engine = SimpleNamespace(name=sizes.get("engine", "MainProcess"))
        monkeypatch.setattr(multiprocessing, "parent_process", lambda: engine)
        config = SimpleNamespace(
            tensor_parallel_size=sizes.get("tensor", 1),
            pipeline_parallel_size=sizes.get("pipeline", 1),
            prefill_context_parallel_size=sizes.get("prefill", 1),
            decode_context_parallel_size=sizes.get("decode", 1),
            data_parallel_size=sizes.get("data", 1),
            data_parallel_rank=sizes.get("data_rank", 0),
            enable_expert_parallel=sizes.get("is_expert", False),
        )
        assert _worker_name(config, rank) == name

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_a_worker_knows_what_the_process_of_its_engine_is_called(
        self, tmp_path: Path, method: str
    ) -> None:
        program = tmp_path / "program.py"
        program.write_text(
            "import multiprocessing, sys\n"
            "from ledger_vllm.engine import _parent_name\n"
            "def worker():\n    print(_parent_name(), flush=True)\n"
            "def engine():\n    start(worker, 'VllmWorker-0')\n"
            "def start(target, name):\n"
            "    process = multiprocessing.get_context(sys.argv[1]).Process(target=target, name=name)\n"
            "    process.start()\n    process.join()\n"
            "if __name__ == '__main__':\n    start(engine, 'EngineCore_DP1')\n"
        )
        done = subprocess.run(
            [sys.executable, str(program), method], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "EngineCore_DP1\n"


MONITORS = """
import threading, time
load_general_plugins()
from vllm.compilation import decorators
config = VllmConfig()
def time_it(seconds, until=None, **known):
    with decorators.monitor_torch_compile(config, **known):
        time.sleep(seconds)
        if until is not None:
            until()
"""


class TestNestingAndThreads:
    def test_a_monitor_inside_another_one_adds_its_own(self, tmp_path: Path) -> None:
        body = MONITORS + "time_it(0.2, lambda: time_it(0.1, is_encoder=True, tag='Block'), tag='backbone')"
        start = record(tmp_path, body)
        outer, inner = start.of("torch_compile")
        assert (inner.parent, inner.component, outer.component) == (outer.interval, "Block", "backbone")
        added = {c.component: c for c in start.additions()}
        assert [start.named_by(added[name]) for name in ("Block", "backbone")] == [[inner], [outer]]
        assert [c.claimed_ns > 0 for c in start.additions()] == [True, True]
        # The inner one sets vLLM's only start time anew: what came before it is lost to the outer one.
        assert outer.duration_ns - added["backbone"].claimed_ns > 0.15 * 10**9

    def test_a_monitor_inside_another_one_of_the_same_role_is_claimed_once(self, tmp_path: Path) -> None:
        body = MONITORS + "time_it(0, lambda: time_it(0.02, tag='eagle_head'), tag='backbone')\n"
        start = record(tmp_path, body + "print(config.compilation_config.compilation_time)")
        added = [(c.component, c.source) for c in start.additions()]
        assert added == [("eagle_head", "monitor"), ("backbone", "monitor")]
        assert abs(sum(c.claimed_ns for c in start.additions()) - float(start.printed) * 1e9) < 10

    def test_a_compile_in_another_thread_is_an_interval_of_that_thread(self, tmp_path: Path) -> None:
        body = MONITORS + (
            "known = {'tag': 'eagle_head'}\n"
            "thread = threading.Thread(target=time_it, args=(0.01,), kwargs=known, name='second')\n"
            "time_it(0, lambda: (thread.start(), thread.join()), tag='backbone')\n"
        )
        start = record(tmp_path, body)
        outer, inner = start.of("torch_compile")
        assert (inner.component, inner.parent, "second" in inner.thread) == ("eagle_head", None, True)
        assert outer.thread != inner.thread
        [line] = [c for c in start.lines() if c.component == "eagle_head"]
        assert start.named_by(line) == [inner]

    def test_compiles_in_two_threads_are_each_claimed_once(self, tmp_path: Path) -> None:
        body = MONITORS + (
            "thread = threading.Thread(target=time_it, args=(0.02,), kwargs={'tag': 'eagle_head'})\n"
            "time_it(0, lambda: (thread.start(), thread.join()), tag='backbone')\n"
            "print(config.compilation_config.compilation_time)"
        )
        start = record(tmp_path, body)
        assert [(c.component, c.source) for c in start.additions()] == [
            ("eagle_head", "monitor"), ("backbone", "monitor"),
        ]  # fmt: skip
        assert abs(sum(c.claimed_ns for c in start.additions()) - float(start.printed) * 1e9) < 10


FAILURES = """
from ledger import Recorder
load_general_plugins()
recorder = Recorder.from_environment()
for place in {places}:
    FAULTS.clear()
    error = FAULTS[place] = KeyboardInterrupt(place) if place == "inductor" else KeyError(place)
    recorder.milestone(place)
    try:
        LLM(VllmConfig())
    except BaseException as caught:
        assert caught is error, caught
        assert (caught.__cause__, caught.__context__) == (None, None)
    else:
        raise AssertionError(place)
"""
START = ["front_end_start", "engine_start"]
INSIDE = [*START, "engine_init", "memory_profile", "profile_run", "torch_compile"]
FAILED: dict[str, list[str]] = {
    "init_device": [*START, "executor_init", "device_init"],
    "model_init": [*START, "executor_init", "model_load", "model_init"],
    "weights_load": [*START, "executor_init", "model_load", "weights_load"],
    "dynamo": [*INSIDE, "aot_compile", "dynamo"],
    "cache_key": [*INSIDE, "aot_compile", "backend_compile", "cache_key"],
    "graph_split": [*INSIDE, "aot_compile", "backend_compile", "graph_split"],
    "inductor": [*INSIDE, "aot_compile", "backend_compile", "graph_compile"],
    "cache_save": [*INSIDE, "aot_compile", "backend_compile", "cache_save"],
    "return from dynamo": [*INSIDE, "aot_compile"],
    "first_run": [*INSIDE[:-1], "first_run"],
    "graph_capture_probe": [*START, "engine_init", "memory_profile", "graph_capture_probe"],
    "initialize_kv_cache": [*START, "engine_init", "kv_cache_init"],
    "kernel_warmup": [*START, "engine_init", "warmup", "kernel_warmup"],
    "graph_capture": [*START, "engine_init", "warmup", "graph_capture"],
    "get_kv_cache_configs": [*START, "engine_init"],
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Starts of one process, each of which fails at another place."""
    body = FAILURES.format(places=list(FAILED))
    return record(tmp_path_factory.mktemp("failures"), body, VLLM_DISABLE_COMPILE_CACHE="1")


class TestFailures:
    @pytest.mark.parametrize("place", FAILED)
    def test_a_failure_fails_the_stages_that_it_leaves_and_no_other_ones(
        self, failures: Recording, place: str
    ) -> None:
        moments = {str(row["name"]): row["at_ns"] for row in failures.milestones}
        at_ns = moments.pop(place)
        until_ns = min((other for other in moments.values() if other > at_ns), default=2**63)
        within = [i for i in failures.intervals if at_ns < i.start_ns < until_ns]
        assert [i.stage for i in within if i.outcome == "failed"] == FAILED[place]
        error = "KeyboardInterrupt" if place == "inductor" else "KeyError"
        assert {i.error for i in within if i.outcome == "failed"} == {error}
        assert {i.outcome for i in within} == {"completed", "failed"} or place == "init_device"

    def test_a_failed_compile_adds_nothing(self, failures: Recording) -> None:
        outcomes = {i.outcome for claim in failures.additions() for i in failures.named_by(claim)}
        assert outcomes == {"completed"}
        failed = failures.of("torch_compile", cache="failed")
        assert len(failed) == 6
        assert failures.gaps == []

    def test_a_process_in_which_a_stage_of_the_engine_failed_has_failed(self, failures: Recording) -> None:
        [process] = failures.processes.values()
        assert process["outcome"] == "failed"

    @pytest.mark.parametrize("method", ["spawn", "fork"])
    @pytest.mark.parametrize(
        ("place", "failed"),
        [("init_device", ["worker_init", "device_init"]), ("kernel_warmup", ["warmup", "kernel_warmup"])],
    )
    def test_a_worker_that_vllm_forgives_has_failed_all_the_same(
        self, tmp_path: Path, place: str, failed: list[str], method: str
    ) -> None:
        body = (
            f"config = VllmConfig(is_cpu=False, parallel_config=ParallelConfig(tensor_parallel_size=2),\n"
            f"    faults={{{place!r}: RuntimeError('no device')}})\n"
            "try:\n    LLM(config)\nexcept RuntimeError as error:\n    print(error)\n"
        )
        start = record(tmp_path, body, VLLM_WORKER_MULTIPROC_METHOD=method, **FROM_IMPORT)
        assert start.printed == "Engine core initialization failed.\n"
        outcomes = {name: row["outcome"] for name, row in start.processes.items()}
        assert {outcomes[name] for name in ("EngineCore", "Worker_TP0", "Worker_TP1")} == {"failed"}
        stages = [i.stage for i in of_process(start, "Worker_TP1") if i.outcome == "failed"]
        assert stages == failed


BROKEN = """
from ledger_vllm import backend
def watch(self, call):
    {before}
    yield
    {after}
backend.Backend.{name} = watch
"""
BREAK = "raise ZeroDivisionError('ours')"


class TestBrokenWatches:
    @pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
    @pytest.mark.parametrize("fails", [False, True], ids=["vllm goes well", "vllm fails"])
    def test_a_hook_that_raises_is_a_gap_and_no_more(
        self, tmp_path: Path, is_before: bool, fails: bool
    ) -> None:
        parts = {"before": BREAK, "after": "pass"} if is_before else {"before": "pass", "after": BREAK}
        body = BROKEN.format(name="graph_split", **parts)
        body += "error = KeyError('its own')\n" + ("FAULTS['graph_split'] = error\n" if fails else "")
        body += (
            "try:\n    LLM(VllmConfig())\nexcept KeyError as caught:\n"
            "    print(caught is error, caught.__context__, caught.__cause__)\n"
        )
        start = record(tmp_path, body)
        assert start.printed == ("True None None\n" if fails else "")
        [gap] = start.gaps
        assert (gap.what, gap.count) == ("hook_failed", 1)
        assert str(gap.detail).endswith("watch: ZeroDivisionError: ours")
        assert len([line for line in start.logged if "a stage of vLLM is not recorded" in line]) == 1
        assert start.of("graph_split") == []
        assert start.one("backend_compile").outcome == ("failed" if fails else "completed")

    def test_it_is_said_once_however_often_it_happens(self, tmp_path: Path) -> None:
        body = BROKEN.format(name="graph_compile", before=BREAK, after="pass") + "LLM(VllmConfig())\n"
        start = record(tmp_path, body)
        assert [gap.what for gap in start.gaps] == ["hook_failed"] * 2
        assert len([line for line in start.logged if "a stage of vLLM is not recorded" in line]) == 1

    def test_a_broken_hook_of_the_monitor_leaves_the_rest(self, tmp_path: Path) -> None:
        body = BROKEN.format(name="x", before=BREAK, after="pass").replace("backend", "monitor")
        body = body.replace("Backend.x", "Monitor.torch_compile").replace(
            "monitor.Backend", "monitor.Monitor"
        )
        start = record(tmp_path, body.replace("Monitor.x", "Monitor.torch_compile") + "LLM(VllmConfig())\n")
        assert start.of("torch_compile") == []
        assert start.one("backend_compile").component == BACKBONE
        assert [c.text for c in start.lines() if c.counts == "interval"] == [
            line for line in start.logged if STATES_TIME.fullmatch(line)
        ]

    def test_a_stage_whose_hook_broke_gives_its_part_to_nothing_after_it(self, tmp_path: Path) -> None:
        before = "begun = self._stages.begin('graph_split', 'backend')"
        body = BROKEN.format(name="graph_split", before=before, after=BREAK) + "LLM(VllmConfig())\n"
        start = record(tmp_path, body, is_clean=False)
        assert start.one("graph_split").outcome == "abandoned"
        for stage in ("graph_capture_probe", "kv_cache_init", "warmup", "graph_capture"):
            assert (start.one(stage).role, start.one(stage).component) == (None, None), stage


class TestRegistering:
    def test_where_recording_is_off_nothing_is_imported_or_changed(self, tmp_path: Path) -> None:
        body = (
            "LLM(VllmConfig())\n"
            "print(sorted(name for name in sys.modules if name.startswith(('ledger', 'wrapt'))))\n"
            "from vllm.v1.worker.gpu_worker import Worker\n"
            "print(hasattr(Worker.init_device, '__wrapped__'))\n"
        )
        done = run(tmp_path, body, ledger=None)
        assert done.stdout == "['ledger_vllm', 'ledger_vllm.plugin']\nFalse\n"
        assert not list(tmp_path.glob("*.db*"))

    def test_registering_twice_hooks_once(self, tmp_path: Path) -> None:
        body = (
            "from ledger_vllm.plugin import register\nregister()\nLLM(VllmConfig())\nregister()\n"
            "from vllm.v1.worker.gpu_worker import Worker\n"
            "print(hasattr(Worker.init_device.__wrapped__, '__wrapped__'))\n"
        )
        start = record(tmp_path, body)
        assert start.printed == "False\n"
        assert len(start.of("device_init")) == 1
        said = [line for line in start.logged if STATES_TIME.fullmatch(line)]
        assert [c.text for c in start.lines() if c.counts == "interval"] == said

    @pytest.mark.parametrize(
        "breaking",
        [
            "sys.modules['wrapt'] = None",
            "sys.modules['ledger'] = None",
            "import os; os.environ['COMPILE_LEDGER'] = 'x'; os.mkdir('d'); os.chdir('d'); os.rmdir('../d')",
        ],
        ids=["no wrapt", "no ledger", "no working directory"],
    )
    def test_registering_raises_nothing(self, tmp_path: Path, breaking: str) -> None:
        body = f"{breaking}\nLLM(VllmConfig())\nprint('started')\n"
        assert run(tmp_path, body).stdout == "started\n"

    def test_a_host_that_has_no_arguments_is_recorded(self, tmp_path: Path) -> None:
        # Python inside of another program has none.
        start = record(tmp_path, "sys.argv.clear()\nLLM(VllmConfig())\n")
        assert start.one("engine_start").outcome == "completed"

    def test_a_ledger_that_cannot_be_written_is_a_warning(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        done = run(tmp_path, "LLM(VllmConfig(encoder_blocks=1))\nprint('started')", ledger="file/startup.db")
        assert done.stdout == "started\n"
        assert len([line for line in done.stderr.splitlines() if "compile-ledger" in line]) == 1

    def test_every_hook_that_was_imported_is_in_place(self, tmp_path: Path) -> None:
        body = (
            "from ledger_vllm.hook_targets import TABLE\nimport importlib\n"
            "targets = [target for target in TABLE.targets if target.until is None]\n"
            "load_general_plugins()\n"
            "for target in targets:\n    importlib.import_module(target.module)\n"
            "LLM(VllmConfig())\nprint(len(targets))\n"
        )
        start = record(tmp_path, body)
        [joined] = start.joined.values()
        assert (len(joined.hooks), joined.missing_hooks) == (int(start.printed) + 1, ())


class TestMissingTargets:
    def test_what_is_missing_at_first_is_said_by_the_process_that_joins(self, tmp_path: Path) -> None:
        body = (
            "import contextlib\n"
            "from vllm.compilation import decorators\n"
            "@contextlib.contextmanager\n"
            "def other(config, message='', **known):\n    yield\n"
            "decorators.monitor_torch_compile = other\n"
            "from vllm.v1.engine import core\n"
            "del core.DPEngineCoreProc.run_busy_loop\n"
            "LLM(VllmConfig())\n"
        )
        start = record(tmp_path, body)
        [joined] = start.joined.values()
        assert sorted(joined.missing_hooks) == [
            "vllm.compilation.decorators.monitor_torch_compile: it has no parameter vllm_config",
            "vllm.v1.engine.core.DPEngineCoreProc.run_busy_loop: there is no such function",
        ]
        assert start.of("torch_compile") == []
        assert {"device_init", "aot_compile", "graph_compile", "graph_capture"} <= {
            i.stage for i in start.intervals
        }

    def test_what_is_missing_later_is_a_gap(self, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        (other / "model_runner.py").write_text("class CPUModelRunner:\n    pass\n")
        body = (
            "LLM(VllmConfig())\nimport vllm.v1.worker.cpu\nvllm.v1.worker.cpu.__path__[:] = ['other']\n"
            "import vllm.v1.worker.cpu.model_runner\nLLM(VllmConfig(encoder_blocks=1))\n"
        )
        # The second engine of the process loads what the first one has compiled.
        start = record(tmp_path, body, is_clean=False)
        assert {odd["what"] for odd in start.anomalies} == {"repeated_load"}
        [gap] = start.gaps
        assert gap.what == "hook_missing"
        name = "vllm.v1.worker.cpu.model_runner.CPUModelRunner.warming_up_model"
        assert gap.detail == f"{name}: there is no such function"
        assert len(start.of("engine_init")) == 2

    def test_an_import_that_fails_is_vllms_own_affair(self, tmp_path: Path) -> None:
        body = (
            "load_general_plugins()\nimport vllm.v1.worker.cpu\n"
            "vllm.v1.worker.cpu.__path__[:] = []\n"
            "try:\n    import vllm.v1.worker.cpu.model_runner\n"
            "except ModuleNotFoundError as error:\n    print(error.name)\n"
        )
        done = run(tmp_path, body)
        assert done.stdout == "vllm.v1.worker.cpu.model_runner\n"
