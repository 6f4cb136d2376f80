"""As in vLLM: the second of its two model runners, as from 0.32 on."""

import time
from typing import Any

from fake_work import work

from vllm import __version__
from vllm.config import VllmConfig
from vllm.logger import init_logger
from vllm.v1.worker import gpu_model_runner
from vllm.v1.worker.gpu.spec_decode import init_speculator

logger = init_logger(__name__)


def _profile_cudagraph_memory(runner: "GPUModelRunner") -> int:
    work("minimal KV cache")
    return runner.capture_model(profile_only=True)


def _no_profile(self: "GPUModelRunner") -> int:
    # As up to 0.28.
    return 0


class GPUModelRunner:
    """Does what the first one does, and probes the memory of graphs by capturing them."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config
        self.speculator = init_speculator(vllm_config) if vllm_config.drafter is not None else None

    def load_model(self, load_dummy_weights: bool = False, *args: Any, **kwargs: Any) -> None:
        before = time.perf_counter()
        loader = gpu_model_runner.DefaultModelLoader()
        self.model = loader.load_model(self.vllm_config, gpu_model_runner.Qwen2_5_VL)
        if hasattr(self.speculator, "load_model"):
            self.speculator.load_model(self.model)
        took = time.perf_counter() - before
        logger.info("Model loading took %s GiB memory and %.6f seconds", "14.25", took)

    def profile_run(self, **kwargs: Any) -> None:
        self._dummy_run(8192)

    def _dummy_run(self, num_tokens: int) -> None:
        self.model.language_model()
        self.sample_tokens(num_tokens, dummy_run=True)

    def sample_tokens(self, num_tokens: int, *, dummy_run: bool = False) -> None:
        if self.speculator is not None:
            self.speculator.propose(num_tokens, dummy_run=dummy_run)

    def profile_cudagraph_memory(self) -> int:
        return _profile_cudagraph_memory(self)

    def capture_model(self, *, profile_only: bool = False) -> int:
        before = time.perf_counter()
        work("graph_capture", 2)
        if self.speculator is not None:
            if hasattr(self.speculator, "capture_model"):  # up to 0.20
                self.speculator.capture_model()
            else:
                self.speculator.capture()
        took = time.perf_counter() - before
        logger.info("Graph capturing finished in %.0f secs, took %.2f GiB", took, 0.5)
        return 0

    def _dummy_sampler_run(self, hidden_states: Any) -> None:
        work("sampler")

    def _dummy_pooler_run(self, hidden_states: Any) -> None:
        work("pooler")


if __version__ != "0.32.0":
    GPUModelRunner.profile_cudagraph_memory = _no_profile
