"""As in vLLM."""

from typing import Any

from fake_work import work

from vllm import is_at_least
from vllm.config import VllmConfig
from vllm.distributed import ensure_model_parallel_initialized, init_distributed_environment
from vllm.model_executor.warmup.kernel_warmup import kernel_warmup
from vllm.v1.worker.gpu.warmup import warmup_kernels
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

        init_worker_distributed_environment(self.vllm_config, self.rank)
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
        if self.vllm_config.use_v2_model_runner:
            warmup_kernels(self.model_runner, None, self.sample_tokens)
        else:
            self.model_runner._dummy_sampler_run(hidden_states=None)
        return self._times()

    def sample_tokens(self, num_tokens: int) -> None:
        self.model_runner.sample_tokens(num_tokens)

    def execute_dummy_batch(self) -> None:
        self.model_runner._dummy_run(1)

    def _times(self) -> Any:
        config = self.compilation_config
        if not is_at_least("0.20.0"):
            return config.compilation_time
        return CompilationTimes(config.compilation_time, config.encoder_compilation_time)


def init_worker_distributed_environment(vllm_config: VllmConfig, rank: int) -> None:
    init_distributed_environment(vllm_config.parallel_config.world_size, rank)
    ensure_model_parallel_initialized(vllm_config.parallel_config.tensor_parallel_size, 1)
