"""As in vLLM."""

import logging

from fake_work import work

from vllm.tokenizers.registry import cached_tokenizer_from_config


class BaseRenderer:
    def __init__(self, config: object) -> None:
        self.tokenizer = cached_tokenizer_from_config("toy")

    def warmup(self, chat_params: object) -> None:
        cached_tokenizer_from_config("toy")
        try:
            work("renderer")
        except Exception:
            logging.getLogger(__name__).warning("Chat template warmup failed")
