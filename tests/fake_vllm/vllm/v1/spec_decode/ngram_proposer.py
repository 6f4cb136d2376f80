"""As in vLLM: looks tokens up, without a model."""

from typing import Any

from vllm.config import VllmConfig


class NgramProposer:
    """Has nothing to load and nothing to warm up."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        # No model to load.
        pass
