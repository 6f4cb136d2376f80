"""As in vLLM."""

from abc import ABC, abstractmethod
from typing import Any

from vllm import is_at_least
from vllm.config import VllmConfig


class Executor(ABC):
    """Has the workers do things."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config
        self._init_executor()

    @abstractmethod
    def _init_executor(self) -> None: ...

    @abstractmethod
    def collective_rpc(self, method: str, *args: Any) -> list[Any]: ...

    def shutdown(self) -> None:
        return

    def initialize_from_config(self, kv_cache_configs: list[Any]) -> None:
        self.collective_rpc("initialize_from_config", kv_cache_configs)
        times = self.collective_rpc("compile_or_warm_up_model")
        config = self.vllm_config.compilation_config
        if is_at_least("0.20.0"):
            config.compilation_time = max(t.language_model for t in times)
            config.encoder_compilation_time = max(t.encoder for t in times)
        else:
            config.compilation_time = max(times)


class UniProcExecutor(Executor):
    """Has its worker in the same process."""

    def _init_executor(self) -> None:
        from vllm.v1.worker.cpu_worker import CPUWorker
        from vllm.v1.worker.gpu_worker import Worker

        kind = CPUWorker if self.vllm_config.is_cpu else Worker
        self.worker = kind(self.vllm_config, 0, 0)
        self.worker.init_device()
        self.worker.load_model()

    def collective_rpc(self, method: str, *args: Any) -> list[Any]:
        return [getattr(self.worker, method)(*args)]
