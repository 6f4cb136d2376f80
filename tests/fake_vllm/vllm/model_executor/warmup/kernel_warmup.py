"""As in vLLM."""

import time
from typing import Any

from fake_work import work

from vllm import is_at_least
from vllm.logger import init_logger

logger = init_logger(__name__)


def kernel_warmup(worker: Any) -> None:
    start = time.perf_counter()
    work("kernel_warmup")
    if is_at_least("0.32.0"):
        logger.info("JIT kernel warmup finished in %.2fs.", time.perf_counter() - start)
