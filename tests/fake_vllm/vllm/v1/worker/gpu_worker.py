"""As in vLLM."""

from typing import Any

from fake_work import work

from vllm import is_at_least
from vllm.config import VllmConfig
from vllm.model_executor.warmup.kernel_warmup import kernel_warmup
from vllm.v1.worker.worker_base import CompilationTimes


class Worker:
    """One rank."""

    def __init__(self, vllm_config: VllmConfig, local_rank: int, rank: int) -> None:
        self.vllm_config = vllm_config
        self.compilation_config = vllm_config.compilation_config
        self.parallel_config = vllm_config.parallel_config
        self.parallel_config.rank = rank
        self.local_rank = local_rank
        self.rank = rank

    def init_device(self) -> None:
        from vllm.v1.worker.gpu.model_runner import GPUModelRunner as GPUModelRunnerV2
        from vllm.v1.worker.gpu_model_runner import GPUModelRunner

        work("init_device")
        kind = GPUModelRunnerV2 if self.vllm_config.use_v2_model_runner else GPUModelRunner
        self.model_runner: Any = kind(self.vllm_config)

    def load_model(self) -> None:
        self.model_runner.load_model()

    def determine_available_memory(self) -> int:
        self.model_runner.profile_run()
        self.model_runner.profile_cudagraph_memory()
        return 2**30

    def initialize_from_config(self, kv_cache_config: Any) -> None:
        work("initialize_kv_cache")

    def compile_or_warm_up_model(self) -> Any:
        kernel_warmup(self)
        self.model_runner.capture_model()
        return self._times()

    def _times(self) -> Any:
        config = self.compilation_config
        if not is_at_least("0.20.0"):
            return config.compilation_time
        return CompilationTimes(config.compilation_time, config.encoder_compilation_time)
