"""As in vLLM: what all drafters with a model of their own have in common."""

from typing import Any

from fake_work import work

from vllm.config import VllmConfig
from vllm.model_executor.model_loader import DefaultModelLoader
from vllm.model_executor.models.toy import Eagle


class SpecDecodeBaseProposer:
    """Loads a drafter, and runs it."""

    def __init__(self, vllm_config: VllmConfig) -> None:
        self.vllm_config = vllm_config

    def load_model(self, target_model: Any) -> None:
        from vllm.compilation.backends import set_model_tag

        with set_model_tag("eagle_head"):
            self.model = DefaultModelLoader().load_model(self.vllm_config, Eagle)
        work("share embeddings")

    def dummy_run(self, num_tokens: int, is_graph_capturing: bool = False) -> None:
        work("drafter")
        self.model.model()
