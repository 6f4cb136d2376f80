"""As in vLLM, with the wishes of a test: which parts the model has, and what is to fail."""

import contextlib
import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vllm import is_at_least
from vllm.logger import LoggingConfig


class CompilationMode(enum.IntEnum):
    """How a model is compiled."""

    NONE = 0
    STOCK_TORCH_COMPILE = 1
    DYNAMO_TRACE_ONCE = 2
    VLLM_COMPILE = 3


@dataclass(frozen=True)
class Range:
    """A range of sizes, with both of its ends."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"({self.start}, {self.end})"


@dataclass
class CompilationConfig:
    """As in vLLM, with the number of pieces that a graph is split into."""

    mode: CompilationMode = CompilationMode.VLLM_COMPILE
    ranges: tuple[tuple[int, int], ...] = ((1, 8192),)
    graphs: int = 2
    says_that_it_saved_after_s: float = 1.0
    cache_dir: str = ""
    local_cache_dir: str = ""
    traced_files: set[str] = field(default_factory=set)
    compilation_time: float = 0.0

    def __post_init__(self) -> None:
        if is_at_least("0.20.0"):
            self.encoder_compilation_time = 0.0

    def get_compile_ranges(self) -> list[Range]:
        return [Range(*ends) for ends in self.ranges]

    def init_backend(self, vllm_config: "VllmConfig", prefix: str = "", is_encoder: bool = False) -> Any:
        if self.mode == CompilationMode.DYNAMO_TRACE_ONCE:
            return "inductor"
        from vllm.compilation.backends import VllmBackend

        return VllmBackend(vllm_config, prefix=prefix, is_encoder=is_encoder)


@dataclass
class ParallelConfig:
    """As in vLLM."""

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    data_parallel_rank: int = 0
    enable_expert_parallel: bool = False
    distributed_executor_backend: str = "mp"
    rank: int = 0

    @property
    def world_size(self) -> int:
        return self.tensor_parallel_size * self.pipeline_parallel_size


@dataclass
class VllmConfig:
    """As in vLLM, with what a test wants."""

    compilation_config: CompilationConfig = field(default_factory=CompilationConfig)
    parallel_config: ParallelConfig = field(default_factory=ParallelConfig)
    logging_config: LoggingConfig = field(default_factory=LoggingConfig)
    encoder_blocks: int = 0
    drafter: str | None = None
    """How tokens are proposed: eagle, or ngram."""
    use_v2_model_runner: bool = False
    is_cpu: bool = False
    faults: dict[str, Exception] = field(default_factory=dict)
    slow_ranks: dict[int, float] = field(default_factory=dict)
    """By how many seconds a rank's Dynamo is slower."""


_current: VllmConfig | None = None


@contextlib.contextmanager
def set_current_vllm_config(vllm_config: VllmConfig) -> Iterator[None]:
    global _current
    old, _current = _current, vllm_config
    try:
        yield
    finally:
        _current = old


def get_current_vllm_config() -> VllmConfig:
    assert _current is not None
    return _current
