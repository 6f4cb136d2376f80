"""As in vLLM."""

from typing import Any

import torch

from vllm.config import get_current_vllm_config


class TorchCompileWithNoGuardsWrapper:
    """The base class that `support_torch_compile` gives to a model."""

    def __init__(self, compile_prefix: str = "", is_encoder: bool = False) -> None:
        self._compile_prefix = compile_prefix
        self._is_encoder = is_encoder
        self.vllm_config = get_current_vllm_config()
        backend = self.vllm_config.compilation_config.init_backend(
            self.vllm_config, prefix=compile_prefix, is_encoder=is_encoder
        )
        self._compiled_callable = torch.compile(self.forward, backend=backend)

    def aot_compile(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiled_callable.aot_compile((args, kwargs))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiled_callable(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError
