"""A stand-in for the little of torch that the fake vLLM calls: it compiles nothing, but calls a backend."""

import os
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

from fake_work import work

from torch._dynamo.aot_compile import AOTCompiledFunction, load_compiled_function

__version__ = "2.13.0"


class _Compiled:
    """What `torch.compile` returns."""

    def __init__(self, function: Any, backend: Any) -> None:
        self.function = function
        self.backend = backend
        self.compiled_fn: Any = None

    def _dynamo(self) -> Any:
        work("dynamo", 4)
        if self.backend == "inductor":  # torch's own
            work("inductor", 4)
            compiled = self.function
        else:
            compiled = self.backend(SimpleNamespace(name="graph"), ["example input"])
        work("return from dynamo")
        return compiled

    def aot_compile(self, example_inputs: Any) -> AOTCompiledFunction:
        """Compile ahead of the first call."""
        return AOTCompiledFunction(self._dynamo())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.compiled_fn is None:
            self.compiled_fn = self._dynamo()
        return self.compiled_fn(*args, **kwargs)


def compile(model: Any, *, backend: Any) -> _Compiled:
    """Return what compiles `model` when it is first called."""
    return _Compiled(model, backend)


compiler = SimpleNamespace(load_compiled_function=load_compiled_function)

# torch calls all entry points of this group; the others are for programs that use the real one.
if "FAKE_TORCH_AUTOLOAD" in os.environ:
    for point in entry_points(group="torch.backends"):
        if point.name == "compile_ledger_vllm":
            point.load()()
