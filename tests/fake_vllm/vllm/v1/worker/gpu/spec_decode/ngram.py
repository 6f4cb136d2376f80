"""As in vLLM: looks tokens up, without a model."""

from typing import Any

from fake_work import work


class NgramGPUSpeculator:
    """Has nothing to load and no graphs."""

    def capture(self) -> None:
        return None

    def propose(self, input_batch: Any, *, dummy_run: bool = False) -> None:
        work("drafter")
