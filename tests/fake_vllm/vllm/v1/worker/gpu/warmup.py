"""As in vLLM."""

from typing import Any

from fake_work import work


def warmup_kernels(model_runner: Any, worker_execute_model: Any, worker_sample_tokens: Any) -> None:
    work("warmup_kernels")
    worker_sample_tokens(1)
