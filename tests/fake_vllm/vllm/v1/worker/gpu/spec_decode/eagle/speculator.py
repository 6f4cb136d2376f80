"""As in vLLM: one class up to 0.23, and from 0.24 on one of several, whose base class has most of it."""

from typing import Any

from fake_work import work

from vllm import is_at_least
from vllm.compilation.backends import set_model_tag
from vllm.config import VllmConfig
from vllm.model_executor.model_loader import DefaultModelLoader
from vllm.model_executor.models.toy import Eagle


class DraftModelSpeculator:
    """Loads a drafter, runs it, and captures its graphs."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config

    def load_model(self, target_model: Any) -> None:
        with set_model_tag("eagle_head"):
            self.model = DefaultModelLoader().load_model(self.vllm_config, Eagle)

    def capture(self) -> None:
        work("drafter's graphs")

    def propose(self, input_batch: Any, *, dummy_run: bool = False) -> None:
        work("drafter")
        self.model.model()


class EagleSpeculator(DraftModelSpeculator):
    """Proposes tokens by the last hidden states."""


if not is_at_least("0.24.0"):
    EagleSpeculator.capture_model = DraftModelSpeculator.capture
    del DraftModelSpeculator.capture
