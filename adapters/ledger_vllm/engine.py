"""Hooks of the engine, its workers and its front end: their stages and final accumulators."""

import multiprocessing
import re
from collections.abc import Generator
from typing import Any, Final

from ledger.adapters import ENGINE_READY, FIRST_TOKEN, WAITING, process_ready
from ledger_engine.model_parts import Part
from ledger_engine.patching import Call, Ended, HookPoint, Patcher, does_nothing
from ledger_engine.stages import OpenStage, Stages
from ledger_vllm.claims import claim_accumulated, claim_total
from ledger_vllm.drafters import is_of_drafter
from ledger_vllm.model_parts import current_tag, is_drafter

FRONT_END_START: Final = "front_end_start"

_WORKER: Final = "VllmWorker"
"""Prefix of the names of processes in which vLLM runs only a worker."""

_SEVERAL: Final = 2
"""How many there are at least of what has a number in its name."""

_MAY_FAIL: Final = frozenset(
    {"configuration", "model_config", "renderer_init", "renderer_warmup", "tokenizer_load"}
)
"""Stages that may fail without harm to their process, which tries something else or goes on without."""


class Engine:
    """The hooks of the engine core, the executor, the workers, the model runners and the front end."""

    def __init__(self, stages: Stages, patcher: Patcher) -> None:
        self._stages = stages
        self._patcher = patcher
        self._loaders: set[type] = set()
        """The classes whose `load_weights` is hooked already."""

    def stage(self, stage: str) -> HookPoint:
        """Return a hook that records a stage of the engine and, if it raises, that the process failed."""
        return self._stages.hook(stage, self._drafter, None if stage in _MAY_FAIL else self._fail)

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
        self._ready()
        self._patcher.uninstall(lambda target: target.is_startup)
        yield

    def first_token(self, call: Call) -> Generator[None, Ended, None]:
        """Note that the engine has made its first token, and look at no later ones."""
        ended = yield
        if ended.error is None and _has_token(ended.result):
            self._stages.recorder.milestone(FIRST_TOKEN)
            self._patcher.uninstall(lambda target: target.hook == "first_token")

    def engine_start(self, call: Call) -> Generator[None, Ended, None]:
        """Record the front end's wait for its engine, and its own accumulators after it."""
        if call.given.get("client_addresses"):
            yield from self._wait_for_engine(call)
            return
        begun = self._stages.begin("engine_start", "engine")
        self._end_start(begun, call, (yield))

    def engine_start_in_process(self, call: Call) -> Generator[None, Ended, None]:
        """Record the start of an engine core without a process of its own."""
        begun = self._stages.begin("engine_start", "engine")
        ended = yield
        self._end_start(begun, call, ended)
        if ended.error is None:
            self._ready()

    def worker_init(self, call: Call) -> Generator[None, Ended, None]:
        """Name a worker's process, of which this is the first event, and record all that it starts with."""
        config = call.given["vllm_config"].parallel_config
        self._stages.recorder.name_process(_worker_name(config, call.given["rank"]), int(call.given["rank"]))
        yield from self.stage("worker_init")(call)

    def device_init(self, call: Call) -> Generator[None, Ended, None]:
        """Name a worker's process, where Ray has started it, and record its device's start."""
        worker = call.owner
        if _is_worker_alone() or worker.parallel_config.distributed_executor_backend == "ray":
            name = _worker_name(worker.parallel_config, worker.rank)
            self._stages.recorder.name_process(name, int(worker.rank))
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
        self._patcher.uninstall(is_of_drafter)
        if ended.error is None and _is_worker_alone():
            process_ready()  # nobody tells a worker that its engine is ready

    def graph_capture(self, call: Call) -> Generator[None, Ended, None]:
        """Record a capture of graphs: for good, or only to see how much memory it takes."""
        is_probe = bool(call.given.get("profile_only"))
        yield from self.stage("graph_capture_probe" if is_probe else "graph_capture")(call)

    def capture_probe(self, call: Call) -> Generator[None, Ended, None]:
        """Record a look at how much memory graphs take; up to 0.28 it returns 0 and captures nothing."""
        if does_nothing(call.owner.profile_cudagraph_memory.__func__):
            yield
            return
        yield from self.stage("graph_capture_probe")(call)

    def load_model(self, call: Call) -> Generator[None, Ended, None]:
        """Hook the class of this loader, of which there are many, from its first use on."""
        kind: Any = next(kind for kind in type(call.owner).__mro__ if "load_weights" in vars(kind))
        if kind not in self._loaders:
            self._loaders.add(kind)
            kind.load_weights = self._patcher.function(kind.load_weights, self._load_weights)
        yield

    def _load_weights(self, call: Call) -> Generator[None, Ended, None]:
        """Record what a loader of weights does, and how many bytes the model's parameters then have here."""
        if self._stages.innermost("weights_load") is not None:  # a loader that calls another one
            yield
            return
        begun = self._stages.begin("weights_load", "engine", self._drafter())
        ended = yield
        begun.mark_stopped()
        if ended.error is None and (size := _size_of(call.given.get("model"))):
            begun.note(bytes=size)
        self._end(begun, ended)

    def _wait_for_engine(self, call: Call) -> Generator[None, Ended, None]:
        """Record the wait of one of several API servers: another process starts the engine for all of them.

        Its own start stops meanwhile, and goes on after it: the engine is no child of its, that goes first.
        """
        stages = self._stages
        if (around := stages.innermost(FRONT_END_START)) is not None:
            stages.end(around)
        begun = stages.begin(WAITING, "engine", data={"for": "the engine"})
        ended = yield
        self._end_start(begun, call, ended)
        if around is not None:
            stages.begin(FRONT_END_START, "engine", is_parent=False)

    def _end_start(self, begun: OpenStage, call: Call, ended: Ended) -> None:
        if ended.error is None:
            config = _vllm_config(call).compilation_config
            claim_accumulated(self._stages, config, "engine", "ranks", "front end:")
        self._stages.end(begun, ended.error)

    def _ready(self) -> None:
        self._stages.recorder.milestone(ENGINE_READY)
        process_ready()

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


def _is_worker_alone() -> bool:
    return multiprocessing.current_process().name.startswith(_WORKER)


def _parent_name() -> str:
    parent = multiprocessing.parent_process()
    return "" if parent is None else parent.name


def _vllm_config(call: Call) -> Any:
    # Up to 0.29 the client that runs the engine in its own process takes any arguments, and passes them on.
    return next(value for value in call.given.values() if hasattr(value, "compilation_config"))


def _size_of(model: Any) -> int | None:
    """Return how many bytes a model's parameters have; None where they can't be asked."""
    try:
        return sum(int(one.numel()) * int(one.element_size()) for one in model.parameters())
    except Exception:
        return None


def _has_token(outputs: Any) -> bool:
    """Return whether a step's outputs, which are by client, have a token among them."""
    return any(output.new_token_ids for of_client in outputs.values() for output in of_client.outputs)


def _worker_name(config: Any, of_rank: int) -> str:
    """Return the name that vLLM gives a worker's process once its groups are made: `Worker_DP1_TP0`.

    Of a dense model vLLM starts each data parallel rank as an engine of its own, without the others in its
    configuration: only the name of the engine's process tells which one it is.

    vLLM lays ranks out as data, pipeline, prefill-context and tensor parallel, the last one innermost; decode
    context groups span the prefill-context ones first.
    """
    tensor = int(config.tensor_parallel_size)
    prefill = int(getattr(config, "prefill_context_parallel_size", 1))
    decode = int(getattr(config, "decode_context_parallel_size", 1))
    data_rank, rank = int(config.data_parallel_rank), int(of_rank)
    data = ("DP", int(config.data_parallel_size), data_rank)
    if data[1] == 1 and (engine := re.fullmatch(r"EngineCore_DP(\d+)", _parent_name())) is not None:
        data = ("DP", _SEVERAL, int(engine[1]))
    tensor_rank, prefill_rank = rank % tensor, rank // tensor % prefill
    parts = (
        data,
        ("PP", int(config.pipeline_parallel_size), rank // (tensor * prefill)),
        ("PCP", prefill, prefill_rank),
        ("TP", tensor, tensor_rank),
        ("DCP", decode, (tensor_rank * prefill + prefill_rank) % decode),
    )
    name = "Worker" + "".join(f"_{what}{its_rank}" for what, size, its_rank in parts if size > 1)
    if config.enable_expert_parallel:
        name += f"_EP{(data_rank * prefill + prefill_rank) * tensor + tensor_rank}"
    return name
