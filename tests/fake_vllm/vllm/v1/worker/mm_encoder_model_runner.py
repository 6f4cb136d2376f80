"""As in vLLM."""

import time

from fake_work import work

from vllm.logger import init_logger
from vllm.v1.worker.gpu.model_runner import GPUModelRunner

logger = init_logger(__name__)


class MMEncoderModelRunner(GPUModelRunner):
    """The model runner of an encoder alone."""

    def capture_model(self, *, profile_only: bool = False) -> int:
        before = time.perf_counter()
        work("graph_capture", 2)
        took = time.perf_counter() - before
        message = "Encoder graph capturing finished in %.0f secs, took %.2f GiB (%d graphs)"
        logger.info(message, took, 0.5, 12)
        return 0
