"""As in vLLM: from a graph to compiled pieces of it, through a cache."""

import ast
import contextlib
import hashlib
import json
import os
import pprint
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from fake_work import work

from vllm import is_at_least
from vllm.compilation.caching import VllmSerializableFunction
from vllm.compilation.counter import compilation_counter
from vllm.config import CompilationConfig, Range, VllmConfig
from vllm.logger import init_logger

logger = init_logger(__name__)
compilation_start_time = 0.0


class StopCompiling(BaseException):
    """Raised where a graph turns out to be the same as an earlier one."""


class Artifact:
    """A compiled graph."""

    def __init__(self, key: str) -> None:
        self.key = key


class InductorAdaptor:
    """What compiles a graph, and loads a compiled one."""

    name = "inductor"

    def compile(
        self, graph: "SplitItem", loaded: dict[str, Any], key: str
    ) -> tuple[Artifact, tuple[str, str]]:
        work("cache key of a graph")
        if key in loaded:
            raise StopCompiling
        work("inductor", 4)
        return Artifact(key), (key, "handle")

    def load(self, handle: tuple[str, str], graph_index: int) -> Artifact:
        work("load a graph")
        return Artifact(handle[0])


class CompilerManager:
    """Compiles graphs for ranges, and keeps what it compiled."""

    def __init__(self, compilation_config: CompilationConfig) -> None:
        self.cache: dict[tuple[Range, int, str], Any] = {}
        self.is_cache_updated = False
        self.compilation_config = compilation_config
        self.compiler = InductorAdaptor()
        self.loaded_artifacts: dict[str, Any] = {}
        self.prefix = ""

    def _log_prefix(self) -> str:
        return f"[{self.prefix}] " if self.prefix else ""

    def initialize_cache(self, cache_dir: str, disable_cache: bool = False, prefix: str = "") -> None:
        self.disable_cache = disable_cache
        self.cache_file_path = os.path.join(cache_dir, "vllm_compile_cache.py")
        self.prefix = prefix
        if not disable_cache and os.path.exists(self.cache_file_path):
            with open(self.cache_file_path) as file:
                cache = ast.literal_eval(file.read())
            self.cache = {(Range(*ends), index, name): value for (ends, index, name), value in cache.items()}

    def save_to_file(self) -> None:
        work("cache_save")
        if self.disable_cache or not self.is_cache_updated:
            return
        plain = {((ends.start, ends.end), *rest): value for (ends, *rest), value in self.cache.items()}
        with open(self.cache_file_path, "w") as file:
            file.write(pprint.pformat(plain))

    def load(self, graph: Any, example_inputs: Any, graph_index: int, compile_range: Range) -> Any:
        key = (compile_range, graph_index, self.compiler.name)
        if key not in self.cache:
            return None
        value = self.cache[key]
        if not isinstance(value, dict):  # it was written by an older version
            return None
        compiled_graph = self.compiler.load(value["graph_handle"], graph_index)
        self.loaded_artifacts[value["cache_key"]] = compiled_graph
        return compiled_graph

    def compile(
        self,
        graph: "SplitItem",
        example_inputs: Any,
        additional_inductor_config: dict[str, Any],
        compilation_config: CompilationConfig,
        compile_range: Range,
        graph_index: int = 0,
        num_graphs: int = 1,
        is_encoder: bool = False,
    ) -> Any:
        global compilation_start_time
        if graph_index == 0:
            compilation_start_time = time.perf_counter()
        compilation_counter.num_backend_compilations += 1
        compiled_graph = self.load(graph, example_inputs, graph_index, compile_range)
        is_last = graph_index == num_graphs - 1
        if compiled_graph is not None:
            if is_last:
                elapsed = time.perf_counter() - compilation_start_time
                if not is_at_least("0.20.0"):
                    compilation_config.compilation_time += elapsed
                logger.info_of(
                    self._log_prefix(),
                    "Directly load the compiled graph(s) for compile range %s from the cache, took %.3f s",
                    str(compile_range),
                    elapsed,
                )
            return compiled_graph
        handle, key = None, f"{graph.content} for {compile_range}"
        try:
            compiled_graph, handle = self.compiler.compile(graph, self.loaded_artifacts, key)
        except StopCompiling:
            compiled_graph = self.loaded_artifacts[key]
        self.loaded_artifacts[key] = compiled_graph
        if not self.disable_cache and handle is not None:
            value = {"graph_handle": handle, "cache_key": key}
            self.cache[(compile_range, graph_index, self.compiler.name)] = value
            self.is_cache_updated = True
            if graph_index == 0:
                logger.info_of(
                    self._log_prefix(),
                    "Cache the graph of compile range %s for later use",
                    str(compile_range),
                )
        if is_last:
            elapsed = time.perf_counter() - compilation_start_time
            if not is_at_least("0.20.0"):
                compilation_config.compilation_time += elapsed
            logger.info_of(
                self._log_prefix(),
                "Compiling a graph for compile range %s takes %.2f s",
                str(compile_range),
                elapsed,
            )
        return compiled_graph


class SplitItem(NamedTuple):
    """A piece of a graph."""

    submod_name: str
    is_splitting_graph: bool
    content: str


def split_graph(graph: Any, splitting_ops: list[str]) -> tuple[Any, list[SplitItem]]:
    """Split a graph at attention: the pieces in the middle are all the same."""
    work("graph_split")
    number = int(splitting_ops[0])
    items = []
    for index in range(number):
        content = "first" if index == 0 else "last" if index == number - 1 else "layer"
        items.append(SplitItem(f"submod_{2 * index}", False, content))
        if index < number - 1:
            items.append(SplitItem(f"submod_{2 * index + 1}", True, "attention"))
    return graph, items


model_tag: str = "backbone"
model_is_encoder: bool = False


@contextlib.contextmanager
def set_model_tag(tag: str, is_encoder: bool = False) -> Iterator[None]:
    """Say what part of a model is being made."""
    global model_tag, model_is_encoder
    assert tag != model_tag
    old = model_tag, model_is_encoder
    model_tag, model_is_encoder = tag, is_encoder
    try:
        yield
    finally:
        model_tag, model_is_encoder = old


class VllmBackend:
    """vLLM's own backend of `torch.compile`."""

    def __init__(self, vllm_config: VllmConfig, prefix: str = "", is_encoder: bool = False) -> None:
        self.prefix = prefix or model_tag
        self.is_encoder = is_encoder or model_is_encoder
        self.vllm_config = vllm_config
        self.compilation_config = vllm_config.compilation_config
        self.compiler_manager = CompilerManager(self.compilation_config)
        self.inductor_config: dict[str, Any] = {}
        self._called = False

    def configure_post_pass(self) -> None:
        self.inductor_config["post_grad_custom_post_pass"] = object()

    def __call__(self, graph: Any, example_inputs: Any) -> VllmSerializableFunction:
        from vllm.compilation.monitor import torch_compile_start_time
        from vllm.compilation.piecewise_backend import PiecewiseBackend

        vllm_config, config = self.vllm_config, self.compilation_config
        work("cache_key")
        env_factors = {"VLLM_SECRET": os.environ.get("VLLM_SECRET", ""), "VLLM_USE_AOT_COMPILE": "1"}
        factors = {"env": env_factors, "config_hash": "c0ffee", "code_hash": "c0de", "compiler_hash": "5ea1"}
        config.traced_files.clear()
        key = hashlib.sha256(str(factors).encode()).hexdigest()[:10]
        config.cache_dir = os.path.join(os.environ["VLLM_CACHE_ROOT"], "torch_compile_cache", key)
        local_cache_dir = os.path.join(
            config.cache_dir, f"rank_{vllm_config.parallel_config.rank}_0", self.prefix
        )
        os.makedirs(local_cache_dir, exist_ok=True)
        config.local_cache_dir = local_cache_dir
        disable_cache = os.environ.get("VLLM_DISABLE_COMPILE_CACHE") == "1"
        log_prefix = f"[{self.prefix}] "
        if disable_cache:
            logger.info_of(log_prefix, "vLLM's torch.compile cache is disabled.")
        else:
            message = "Using cache directory: %s for vLLM's torch.compile"
            logger.info_of(log_prefix, message, local_cache_dir)
        self.compiler_manager.initialize_cache(local_cache_dir, disable_cache, self.prefix)
        meta_path = os.path.join(local_cache_dir, "cache_key_factors.json")
        if not os.path.exists(meta_path):
            with open(meta_path, "w") as file:
                json.dump(factors, file)

        dynamo_time = time.perf_counter() - torch_compile_start_time
        if is_at_least("0.20.0"):
            logger.info_of(log_prefix, "Dynamo bytecode transform time: %.2f s", dynamo_time)
        else:
            logger.info_once("Dynamo bytecode transform time: %.2f s", dynamo_time, scope="local")
            config.compilation_time += dynamo_time
        assert not self._called, "VllmBackend can only be called once"
        self.configure_post_pass()
        self.split_gm, self.piecewise_graphs = split_graph(graph, [str(config.graphs)])
        to_compile = [item for item in self.piecewise_graphs if not item.is_splitting_graph]
        pieces = [
            PiecewiseBackend(item, vllm_config, index, len(to_compile), self)
            for index, item in enumerate(to_compile)
        ]
        before_saving = time.perf_counter()
        self.compiler_manager.save_to_file()
        elapsed = time.perf_counter() - before_saving
        if elapsed > config.says_that_it_saved_after_s:
            logger.info_once("Saved compiler manager cache in %.2f seconds.", elapsed)
        self._called = True
        return VllmSerializableFunction(graph, self.prefix, pieces, is_encoder=self.is_encoder)
