"""As in vLLM: looks tokens up, without a model."""

from typing import Any

from vllm.config import VllmConfig


class NgramGPUKernel:
    """What runs on the GPU."""

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        pass


class NgramProposerGPU:
    """Has nothing to load and nothing to warm up."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config
        self.kernel = NgramGPUKernel()

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        self.kernel.load_model(*args, **kwargs)
