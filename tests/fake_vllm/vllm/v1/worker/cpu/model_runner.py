"""As in vLLM."""

from vllm.v1.worker.gpu.model_runner import GPUModelRunner


class CPUModelRunner(GPUModelRunner):
    """The second model runner without a GPU."""

    def warming_up_model(self) -> None:
        self.profile_run()
