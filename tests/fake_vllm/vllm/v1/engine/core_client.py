"""As in vLLM: the front end's side of an engine."""

import multiprocessing
import os
from typing import Any

from vllm.config import VllmConfig
from vllm.v1.engine.core import EngineCore, EngineCoreProc
from vllm.v1.executor.abstract import Executor


class InprocClient:
    """Has the engine in its own process; with parameters of its own from 0.30 on, with any before."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.engine_core = EngineCore(*args, **kwargs)


class MPClient:
    """Starts the engine in a process of its own, and waits for it."""

    def __init__(
        self, asyncio_mode: bool, vllm_config: VllmConfig, executor_class: type[Executor], log_stats: bool
    ) -> None:
        context: Any = multiprocessing.get_context(os.environ.get("VLLM_WORKER_MULTIPROC_METHOD", "spawn"))
        ours, theirs = context.Pipe()
        self.process = context.Process(
            target=EngineCoreProc.run_engine_core,
            name="EngineCore",
            args=(theirs,),
            kwargs={"vllm_config": vllm_config, "executor_class": executor_class, "log_stats": log_stats},
        )
        self.process.start()
        theirs.close()
        try:
            ours.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError("Engine core initialization failed.") from None
        finally:
            ours.close()

    def shutdown(self) -> None:
        self.process.join()


class SyncMPClient(MPClient):
    """The client of `LLM`."""

    def __init__(self, vllm_config: VllmConfig, executor_class: type[Executor], log_stats: bool) -> None:
        super().__init__(False, vllm_config, executor_class, log_stats)
