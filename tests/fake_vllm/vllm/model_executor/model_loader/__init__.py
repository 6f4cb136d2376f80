"""As in vLLM: the loaders."""

import time
from typing import Any

from fake_work import work

from vllm.logger import init_logger
from vllm.model_executor.model_loader.base_loader import BaseModelLoader

logger = init_logger(__name__)


class DefaultModelLoader(BaseModelLoader):
    """Reads weights from files."""

    def load_weights(self, model: Any, model_config: Any) -> None:
        before = time.perf_counter()
        work("weights_load", 2)
        logger.info_once("Loading weights took %.2f seconds", time.perf_counter() - before)


class ShardedStateLoader(DefaultModelLoader):
    """Inherits what is watched."""
