"""As in vLLM: one piece of a graph, compiled or loaded for every range."""

from typing import Any

from fake_work import work

from vllm.config import Range, VllmConfig


class PiecewiseBackend:
    """Has either a graph to compile, or what was compiled from it."""

    def __init__(
        self,
        graph: Any,
        vllm_config: VllmConfig,
        piecewise_compile_index: int,
        total_piecewise_compiles: int,
        vllm_backend: Any,
        compiled_runnables: dict[str, Any] | None = None,
    ) -> None:
        self.graph = graph
        self.compilation_config = vllm_config.compilation_config
        self.piecewise_compile_index = piecewise_compile_index
        self.total_piecewise_compiles = total_piecewise_compiles
        self.vllm_backend = vllm_backend
        self.compiled_runnables = compiled_runnables
        self.compile_ranges = self.compilation_config.get_compile_ranges()
        if vllm_backend.is_encoder:
            self.compile_ranges[-1] = Range(self.compile_ranges[-1].start, 2**31 - 1)
        self.runnables: dict[str, Any] = {}
        if self.graph is not None:
            self.compile_all_ranges()
        else:
            self.load_all_ranges()

    def compile_all_ranges(self) -> None:
        for compile_range in self.compile_ranges:
            self.runnables[str(compile_range)] = self.vllm_backend.compiler_manager.compile(
                self.graph,
                ["fake argument"],
                self.vllm_backend.inductor_config,
                self.compilation_config,
                compile_range=compile_range,
                graph_index=self.piecewise_compile_index,
                num_graphs=self.total_piecewise_compiles,
                is_encoder=self.vllm_backend.is_encoder,
            )

    def load_all_ranges(self) -> None:
        assert self.compiled_runnables is not None
        work("load_all_ranges")
        for compile_range in self.compile_ranges:
            self.runnables[str(compile_range)] = self.compiled_runnables[str(compile_range)]
