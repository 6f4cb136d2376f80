"""As in vLLM: the first of its two model runners."""

import time
from typing import Any

from fake_work import work

from vllm.config import VllmConfig
from vllm.logger import init_logger
from vllm.model_executor.model_loader import DefaultModelLoader
from vllm.model_executor.models.toy import Qwen2_5_VL
from vllm.v1.spec_decode.eagle import EagleProposer
from vllm.v1.spec_decode.ngram_proposer_gpu import NgramProposerGPU

logger = init_logger(__name__)


class GPUModelRunner:
    """Loads, profiles and captures a model."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config
        if vllm_config.drafter is not None:
            kind = NgramProposerGPU if vllm_config.drafter == "ngram" else EagleProposer
            self.drafter = kind(vllm_config)

    def load_model(self, load_dummy_weights: bool = False) -> None:
        before = time.perf_counter()
        self.model = DefaultModelLoader().load_model(self.vllm_config, Qwen2_5_VL)
        if hasattr(self, "drafter"):
            self.drafter.load_model(self.model)
        took = time.perf_counter() - before
        logger.info("Model loading took %s GiB memory and %.6f seconds", "14.25", took)

    def profile_run(self, **kwargs: Any) -> None:
        for block in self.model.blocks:
            block()
        self._dummy_run(8192)

    def _dummy_run(self, num_tokens: int, is_graph_capturing: bool = False) -> None:
        self.model.language_model()
        if isinstance(getattr(self, "drafter", None), EagleProposer):
            self.drafter.dummy_run(num_tokens, is_graph_capturing=is_graph_capturing)

    def _warmup_and_capture(self, num_tokens: int) -> None:
        self._dummy_run(num_tokens)
        self._dummy_run(num_tokens, is_graph_capturing=True)

    def profile_cudagraph_memory(self) -> int:
        work("graph_capture_probe")
        self._warmup_and_capture(1)
        return 0

    def capture_model(self) -> int:
        before = time.perf_counter()
        work("graph_capture", 2)
        for num_tokens in (2, 1):
            self._warmup_and_capture(num_tokens)
        took = time.perf_counter() - before
        logger.info("Graph capturing finished in %.0f secs, took %.2f GiB", took, 0.5)
        return 0

    def _dummy_sampler_run(self, hidden_states: Any) -> None:
        work("sampler")

    def _dummy_pooler_run(self, hidden_states: Any) -> None:
        work("pooler")
