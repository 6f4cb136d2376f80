"""As in vLLM: the first of its two model runners."""

import time
from typing import Any

from fake_work import work

from vllm.compilation.backends import set_model_tag
from vllm.config import VllmConfig
from vllm.logger import init_logger
from vllm.model_executor.model_loader import DefaultModelLoader
from vllm.model_executor.models.toy import Eagle, Qwen2_5_VL

logger = init_logger(__name__)


class EagleProposer:
    """Makes the drafter."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config

    def load_model(self, target_model: Any) -> None:
        with set_model_tag("eagle_head"):
            self.model = DefaultModelLoader().load_model(self.vllm_config, Eagle)


class GPUModelRunner:
    """Loads, profiles and captures a model."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config
        if vllm_config.has_drafter:
            self.drafter = EagleProposer(vllm_config)

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
        self.model.language_model()
        if hasattr(self, "drafter"):
            self.drafter.model.model()

    def profile_cudagraph_memory(self) -> int:
        work("graph_capture_probe")
        return 0

    def capture_model(self) -> int:
        before = time.perf_counter()
        work("graph_capture", 2)
        took = time.perf_counter() - before
        logger.info("Graph capturing finished in %.0f secs, took %.2f GiB", took, 0.5)
        return 0

    def _dummy_sampler_run(self, hidden_states: Any) -> None:
        work("sampler")

    def _dummy_pooler_run(self, hidden_states: Any) -> None:
        work("pooler")
