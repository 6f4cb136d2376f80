"""As in vLLM."""

from typing import Any

from vllm.config import VllmConfig


def init_speculator(vllm_config: VllmConfig) -> Any:
    if vllm_config.drafter == "ngram":
        from vllm.v1.worker.gpu.spec_decode.ngram import NgramGPUSpeculator

        return NgramGPUSpeculator()
    from vllm.v1.worker.gpu.spec_decode.eagle.speculator import EagleSpeculator

    return EagleSpeculator(vllm_config)
