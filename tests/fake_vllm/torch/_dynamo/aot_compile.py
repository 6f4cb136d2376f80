"""As in torch: a compiled function that can be written to a file, and read from one."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

from fake_work import work


class AOTCompiledFunction:
    """A function that was compiled ahead of time by a backend whose functions can be serialized."""

    def __init__(self, compiled_fn: Any) -> None:
        self._artifacts = SimpleNamespace(compiled_fn=compiled_fn)

    def __call__(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        return self._artifacts.compiled_fn(*args, **kwargs)

    def save_compiled_function(self, path: str) -> None:
        work("aot_save", 2)
        function = self._artifacts.compiled_fn
        Path(path).write_bytes(pickle.dumps((type(function), function.serialize_compile_artifacts(function))))


def load_compiled_function(file: BinaryIO) -> AOTCompiledFunction:
    """Read what `save_compiled_function` wrote; EOFError and others where the file is broken."""
    work("aot_load", 2)
    kind, state = pickle.loads(file.read())
    return AOTCompiledFunction(kind.deserialize_compile_artifacts(state))
