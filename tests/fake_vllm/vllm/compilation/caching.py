"""As in vLLM: what is written of a compiled function, with or without the compiled graphs themselves."""

import os
import pickle
from types import SimpleNamespace
from typing import Any

from fake_work import work

from vllm.config import VllmConfig, get_current_vllm_config


class StandaloneCompiledArtifacts:
    """All compiled graphs of a component; equal ones are there once."""

    def __init__(self) -> None:
        self.submodule_bytes: dict[str, str] = {}
        self.submodule_bytes_store: dict[str, bytes] = {}
        self.loaded_submodule_store: dict[str, Any] = {}

    def insert(self, submod_name: str, shape: str, entry: str) -> None:
        self.submodule_bytes[f"{submod_name}_{shape}"] = entry
        self.submodule_bytes_store[entry] = entry.encode()

    def num_artifacts(self) -> int:
        return len(self.submodule_bytes_store)

    def num_entries(self) -> int:
        return len(self.submodule_bytes)

    def submodule_names(self) -> list[str]:
        return list(dict.fromkeys(name.rsplit("_", 1)[0] for name in self.submodule_bytes))

    def load_all(self) -> None:
        for key, entry in self.submodule_bytes_store.items():
            work("load an artifact")
            self.loaded_submodule_store[key] = entry


class VllmSerializableFunction:
    """What the backend returns; its file makes another one."""

    def __init__(self, graph_module: Any, prefix: str, pieces: list[Any], is_encoder: bool = False) -> None:
        self.graph_module = graph_module
        self.prefix = prefix
        self.pieces = pieces
        self.is_encoder = is_encoder
        self._is_finalized = True

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        work("first_run", 2)
        return "output"

    @classmethod
    def serialize_compile_artifacts(cls, compiled_fn: "VllmSerializableFunction") -> bytes:
        artifacts = StandaloneCompiledArtifacts()
        for piece in compiled_fn.pieces:
            for shape, artifact in piece.runnables.items():
                artifacts.insert(f"submod_{piece.piecewise_compile_index}", shape, artifact.key)
        return pickle.dumps((compiled_fn.prefix, compiled_fn.is_encoder, artifacts))

    @classmethod
    def deserialize_compile_artifacts(cls, data: bytes) -> "VllmSerializableFunction":
        prefix, is_encoder, artifacts = pickle.loads(data)
        vllm_config = get_current_vllm_config()
        if os.environ.get("VLLM_USE_MEGA_AOT_ARTIFACT", "1") == "1":
            pieces = reconstruct_serializable_fn_from_mega_artifact(artifacts, vllm_config, is_encoder)
            return cls(None, prefix, pieces, is_encoder)
        work("deserialize a graph", 2)
        function = cls(SimpleNamespace(name="graph"), prefix, [], is_encoder)
        function._is_finalized = False
        return function

    def finalize_loading(self, vllm_config: VllmConfig) -> None:
        """Have the backend load the graphs; the mega artifact brought them along."""
        if self._is_finalized:
            return
        from vllm.compilation.backends import VllmBackend

        result = VllmBackend(vllm_config, self.prefix, self.is_encoder)(self.graph_module, ["example input"])
        self.pieces = result.pieces
        self._is_finalized = True


def reconstruct_serializable_fn_from_mega_artifact(
    standalone_compile_artifacts: StandaloneCompiledArtifacts, vllm_config: VllmConfig, is_encoder: bool
) -> list[Any]:
    from vllm.compilation.piecewise_backend import PiecewiseBackend

    artifacts = standalone_compile_artifacts
    artifacts.load_all()
    names = artifacts.submodule_names()
    return [
        PiecewiseBackend(
            None, vllm_config, index, len(names), SimpleNamespace(is_encoder=is_encoder),
            {
                key.rsplit("_", 1)[1]: entry for key, entry in artifacts.submodule_bytes.items()
                if key.startswith(f"{name}_")
            },
        )
        for index, name in enumerate(names)
    ]  # fmt: skip
