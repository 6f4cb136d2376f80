"""As in vLLM: from 0.21 on `capture` is what was `capture_model` before."""

from typing import Any

from fake_work import work

from vllm import is_at_least
from vllm.config import VllmConfig
from vllm.model_executor.model_loader import DefaultModelLoader
from vllm.model_executor.models.toy import Eagle


class DraftModelSpeculator:
    """Loads a drafter, runs it, and captures its graphs."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config

    def load_model(self, target_model: Any) -> None:
        from vllm.compilation.backends import set_model_tag

        with set_model_tag("eagle_head"):
            self.model = DefaultModelLoader().load_model(self.vllm_config, Eagle)
        work("share embeddings")

    def capture(self) -> None:
        work("drafter's graphs")

    def propose(self, input_batch: Any, *, dummy_run: bool = False) -> None:
        work("drafter")
        self.model.model()


class EagleSpeculator(DraftModelSpeculator):
    """Proposes tokens by the last hidden states."""


if not is_at_least("0.21.0"):
    EagleSpeculator.capture_model = DraftModelSpeculator.capture
    del DraftModelSpeculator.capture
