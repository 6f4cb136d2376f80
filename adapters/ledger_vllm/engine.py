"""Hooks of the engine, its workers and its front end: their stages and final accumulators."""

import multiprocessing
from collections.abc import Generator
from typing import Any, Final

from ledger_engine.model_parts import Part
from ledger_engine.patching import Call, Ended, HookPoint, Patcher
from ledger_engine.stages import OpenStage, Stages
from ledger_vllm.claims import claim_accumulated, claim_total
from ledger_vllm.model_parts import current_tag, is_drafter

_WORKER: Final = "VllmWorker"
"""Prefix of the names of processes in which vLLM runs only a worker."""


class Engine:
    """The hooks of the engine core, the executor, the workers, the model runners and the front end."""

    def __init__(self, stages: Stages, patcher: Patcher) -> None:
        self._stages = stages
        self._patcher = patcher
        self._load_weights = self.stage("weights_load")
        self._loaders: set[type] = set()
        """The classes whose `load_weights` is hooked already."""

    def stage(self, stage: str) -> HookPoint:
        """Return a hook that records a stage of the engine and, if it raises, that the process failed."""
        return self._stages.hook(stage, self._drafter, self._fail)

    def engine_init(self, call: Call) -> Generator[None, Ended, None]:
        """Record `_initialize_kv_caches`, which vLLM calls "init engine", and the engine's accumulators."""
        begun = self._stages.begin("engine_init", "engine")
        ended = yield
        if ended.error is None:
            config = call.given["vllm_config"].compilation_config
            claim_accumulated(self._stages, config, "engine", "ranks", "engine core:")
        self._end(begun, ended)

    def busy_loop(self, call: Call) -> Generator[None, Ended, None]:
        """Note that the engine takes requests from now on."""
        self._stages.recorder.milestone("engine_ready")
        yield

    def engine_start(self, call: Call) -> Generator[None, Ended, None]:
        """Record the front end's wait for its engine, and its own accumulators after it."""
        begun = self._stages.begin("engine_start", "engine")
        ended = yield
        if ended.error is None:
            claim_accumulated(
                self._stages, _vllm_config(call).compilation_config, "engine", "ranks", "front end:"
            )
        self._stages.end(begun, ended.error)

    def engine_start_in_process(self, call: Call) -> Generator[None, Ended, None]:
        """Record the start of an engine core without a process of its own."""
        yield from self.engine_start(call)
        self._stages.recorder.milestone("engine_ready")

    def device_init(self, call: Call) -> Generator[None, Ended, None]:
        """Name a worker's process, of which this is the first event, and record its device's start."""
        worker = call.owner
        is_alone = multiprocessing.current_process().name.startswith(_WORKER)
        if is_alone or worker.parallel_config.distributed_executor_backend == "ray":
            self._stages.recorder.name_process(_worker_name(worker), int(worker.rank))
        yield from self.stage("device_init")(call)

    def worker_warmup(self, call: Call) -> Generator[None, Ended, None]:
        """Record `compile_or_warm_up_model`, and the compile times that the worker hands to the engine."""
        begun = self._stages.begin("warmup", "engine")
        ended = yield
        if ended.error is None:
            times = ended.result
            if isinstance(times, (int, float)):  # up to 0.19.1
                self._claim_handed_over("compilation_time", float(times))
            else:
                self._claim_handed_over("compilation_time", float(times.language_model))
                self._claim_handed_over("encoder_compilation_time", float(times.encoder))
        self._end(begun, ended)

    def graph_capture(self, call: Call) -> Generator[None, Ended, None]:
        """Record a capture of graphs: for good, or only to see how much memory it takes."""
        is_probe = bool(call.given.get("profile_only"))
        yield from self.stage("graph_capture_probe" if is_probe else "graph_capture")(call)

    def load_model(self, call: Call) -> Generator[None, Ended, None]:
        """Hook the class of this loader, of which there are many, from its first use on."""
        kind: Any = next(kind for kind in type(call.owner).__mro__ if "load_weights" in vars(kind))
        if kind not in self._loaders:
            self._loaders.add(kind)
            kind.load_weights = self._patcher.function(kind.load_weights, self._load_weights)
        yield

    def _claim_handed_over(self, name: str, seconds: float) -> None:
        text = f"compile_or_warm_up_model: {name} = {seconds!r}"
        claim_total(self._stages, seconds, "monitor", "total", name, text)

    def _drafter(self) -> Part | None:
        """Return the drafter's part while one is made; None for what serves the whole model."""
        tag, _ = current_tag()
        return Part("drafter", tag) if is_drafter(tag) else None

    def _end(self, begun: OpenStage, ended: Ended) -> None:
        self._stages.end(begun, ended.error)
        if ended.error is not None:
            self._fail(ended.error)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            # vLLM tells the engine, or logs it, and may still leave the process with an exit code of 0.
            self._stages.recorder.process_failed()


def _vllm_config(call: Call) -> Any:
    # Up to 0.29 the client that runs the engine in its own process takes any arguments, and passes them on.
    return next(value for value in call.given.values() if hasattr(value, "compilation_config"))


def _worker_name(worker: Any) -> str:
    """Return the name that vLLM gives a worker's process once its groups are made: `Worker_DP1_TP0`.

    vLLM lays ranks out as data, pipeline, prefill-context and tensor parallel, the last one innermost; decode
    context groups span the prefill-context ones first.
    """
    config = worker.parallel_config
    tensor = int(config.tensor_parallel_size)
    prefill = int(getattr(config, "prefill_context_parallel_size", 1))
    decode = int(getattr(config, "decode_context_parallel_size", 1))
    data_rank, rank = int(config.data_parallel_rank), int(worker.rank)
    tensor_rank, prefill_rank = rank % tensor, rank // tensor % prefill
    parts = (
        ("DP", int(config.data_parallel_size), data_rank),
        ("PP", int(config.pipeline_parallel_size), rank // (tensor * prefill)),
        ("PCP", prefill, prefill_rank),
        ("TP", tensor, tensor_rank),
        ("DCP", decode, (tensor_rank * prefill + prefill_rank) % decode),
    )
    name = "Worker" + "".join(f"_{what}{its_rank}" for what, size, its_rank in parts if size > 1)
    if config.enable_expert_parallel:
        name += f"_EP{(data_rank * prefill + prefill_rank) * tensor + tensor_rank}"
    return name
