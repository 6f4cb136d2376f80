"""As in vLLM."""

from typing import Any

from fake_work import work

from vllm.config import VllmConfig, set_current_vllm_config


def initialize_model(vllm_config: VllmConfig, *, prefix: str = "", model_config: Any = None) -> Any:
    work("model_init")
    with set_current_vllm_config(vllm_config):
        return model_config()
