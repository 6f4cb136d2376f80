"""As in vLLM."""

from fake_work import work

from vllm.config import VllmConfig


class EngineArgs:
    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config

    def create_model_config(self) -> None:
        work("model config")

    def create_engine_config(self, usage_context: object = None) -> VllmConfig:
        self.create_model_config()
        return self.vllm_config
