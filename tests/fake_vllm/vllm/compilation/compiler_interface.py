"""As in vLLM, from 0.25 on."""

from typing import Any

from fake_work import work


def trigger_inductor_lazy_init(device: Any = None) -> None:
    work("trigger_inductor_lazy_init")
