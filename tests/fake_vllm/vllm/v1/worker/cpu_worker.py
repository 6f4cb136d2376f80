"""As in vLLM."""

from typing import Any

from fake_work import work

from vllm.v1.worker.cpu_model_runner import CPUModelRunner
from vllm.v1.worker.gpu_worker import Worker


class CPUWorker(Worker):
    """One rank without a GPU."""

    def init_device(self) -> None:
        work("init_device")
        self.model_runner = CPUModelRunner(self.vllm_config)

    def determine_available_memory(self) -> int:
        self.model_runner.warming_up_model()
        return 2**30

    def compile_or_warm_up_model(self) -> Any:
        work("set_random_seed")
        return self._times()
