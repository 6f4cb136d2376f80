"""Stand-ins for models: an encoder, a backbone and a drafter, each of which is compiled by itself."""

from typing import Any

from fake_work import work

from vllm.compilation.decorators import support_torch_compile
from vllm.config import get_current_vllm_config


class Parameter:
    """Instead of `torch.nn.Parameter`: 1,000 numbers of 2 bytes."""

    def numel(self) -> int:
        return 1_000

    def element_size(self) -> int:
        return 2


class Module:
    """Instead of `torch.nn.Module`."""

    def parameters(self) -> list[Parameter]:
        return [Parameter(), Parameter()]


@support_torch_compile(is_encoder=True)
class Qwen2_5_VisionBlock(Module):
    """One block of an encoder."""

    def forward(self, *args: Any) -> str:
        work("first_run", 2)
        return "output"


@support_torch_compile
class Qwen2Model(Module):
    """A language model."""

    def forward(self, *args: Any) -> str:
        work("first_run", 2)
        return "output"


@support_torch_compile
class LlamaModel(Module):
    """A drafter."""

    def forward(self, *args: Any) -> str:
        work("first_run", 2)
        return "output"


class Qwen2_5_VL(Module):
    """A model of several parts."""

    def __init__(self) -> None:
        self.blocks = [Qwen2_5_VisionBlock() for _ in range(get_current_vllm_config().encoder_blocks)]
        self.language_model = Qwen2Model()


class Eagle(Module):
    """A model of one part."""

    def __init__(self) -> None:
        self.model = LlamaModel()
