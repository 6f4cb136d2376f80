"""As in vLLM: the front end's side of an engine."""

from typing import Any

from fake_work import work

from vllm.config import VllmConfig
from vllm.v1.engine.core import EngineCore
from vllm.v1.engine.utils import launch_core_engines
from vllm.v1.executor.abstract import Executor


class InprocClient:
    """Has the engine in its own process; with parameters of its own from 0.30 on, with any before."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.engine_core = EngineCore(*args, **kwargs)


class MPClient:
    """Starts the engine in a process of its own, and waits for it."""

    def __init__(
        self,
        asyncio_mode: bool,
        vllm_config: VllmConfig,
        executor_class: type[Executor],
        log_stats: bool,
        client_addresses: dict[str, str] | None = None,
    ) -> None:
        if client_addresses:
            work("engine of another process")
            return
        self.manager = launch_core_engines(vllm_config, executor_class, log_stats)

    def shutdown(self) -> None:
        self.manager.processes[0].join()


class SyncMPClient(MPClient):
    """The client of `LLM`."""

    def __init__(self, vllm_config: VllmConfig, executor_class: type[Executor], log_stats: bool) -> None:
        super().__init__(False, vllm_config, executor_class, log_stats)
