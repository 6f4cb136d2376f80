"""As in vLLM."""

import time
from abc import ABC, abstractmethod
from typing import Any

from vllm import is_at_least
from vllm.config import VllmConfig
from vllm.logger import init_logger
from vllm.model_executor.model_loader.utils import initialize_model

logger = init_logger(__name__)


class BaseModelLoader(ABC):
    """Makes a model and loads its weights; each kind of loader in its own way."""

    @abstractmethod
    def load_weights(self, model: Any, model_config: Any) -> None: ...

    def create_model(self, vllm_config: VllmConfig, model_config: Any, prefix: str = "") -> Any:
        return initialize_model(vllm_config=vllm_config, model_config=model_config, prefix=prefix)

    def load_model(self, vllm_config: VllmConfig, model_config: Any, prefix: str = "") -> Any:
        before = time.perf_counter()
        model = self.create_model(vllm_config, model_config, prefix)
        if is_at_least("0.32.0"):
            logger.info_once("Initializing model took %.6f seconds", time.perf_counter() - before)
        self.load_weights(model, model_config)
        return model
