"""Hooks of vLLM's backend: from Dynamo's graph to its compiled or loaded pieces."""

import hashlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, cast

from ledger_engine.patching import Call, Ended
from ledger_engine.stages import OpenStage, Stages
from ledger_vllm.model_parts import part_of
from ledger_vllm.monitor import Monitor

_FACTORS: Final = "cache_key_factors.json"
"""What vLLM writes into a component's cache directory about the hash that names it."""

_DIGITS: Final = 12


class Backend:
    """The hooks of `vllm.compilation.backends` and the modules that it uses."""

    def __init__(self, stages: Stages, monitor: Monitor) -> None:
        self._stages = stages
        self._monitor = monitor
        self._has_noted_variables = False

    def backend_compile(self, call: Call) -> Generator[None, Ended, None]:
        """Record a call of the backend, whose begin ends Dynamo's stage."""
        stages, backend = self._stages, call.owner
        dynamo = stages.innermost("dynamo")
        if dynamo is None and (load := stages.innermost("aot_load")) is not None:
            # A loaded graph goes through the backend too; vLLM counts the time until then as Dynamo's.
            dynamo = stages.begin("aot_read", "backend", is_parent=False, at_ns=load.began_ns)
        if dynamo is not None:
            stages.end(dynamo)
        part = part_of(backend.prefix or None, is_encoder=bool(backend.is_encoder))
        begun = stages.begin("backend_compile", "backend", part)
        key = stages.begin("cache_key", "backend", is_parent=False)
        if dynamo is not None:
            # vLLM's "Dynamo bytecode transform time" ends where the backend has found its cache.
            dynamo.also.append(key.interval)
        ended = yield
        self._end_key(ended.error)
        begun.note(**self._cache_of(backend))
        stages.end(begun, ended.error)

    def configure_post_pass(self, call: Call) -> Generator[None, Ended, None]:
        """Note that the cache key is made, and Dynamo's time logged and, up to 0.19.1, added up."""
        self._end_key(None)
        accumulators = self._monitor.accumulators
        dynamo = self._stages.latest("dynamo") or self._stages.latest("aot_read")
        if accumulators is not None and dynamo is not None:
            accumulators.claim_added("backend", dynamo)
        yield

    def graph_split(self, call: Call) -> Generator[None, Ended, None]:
        """Record the split of a graph at the operators that stay outside of compiled pieces."""
        begun = self._stages.begin("graph_split", "backend")
        ended = yield
        if ended.error is None:
            pieces = ended.result[1]
            begun.note(pieces=len(pieces), graphs=sum(not piece.is_splitting_graph for piece in pieces))
        self._stages.end(begun, ended.error)

    def graph_compile(self, call: Call) -> Generator[None, Ended, None]:
        """Record one graph for one range: loaded where the compiler manager's cache has it, else compiled."""
        manager, given = call.owner, call.given
        compile_range, index = given["compile_range"], given.get("graph_index", 0)
        key = (compile_range, index, manager.compiler.name)
        entry = manager.cache.get(key)
        is_cached = entry is not None
        data = {"range": str(compile_range), "graph_index": index, "graphs": given.get("num_graphs", 1)}
        loaded = {id(artifact) for artifact in manager.loaded_artifacts.values()}
        begun = self._stages.begin("graph_load" if is_cached else "graph_compile", "backend", data=data)
        graphs = [begun.interval]
        if (compiling := self._stages.innermost("backend_compile")) is not None:
            graphs = compiling.graphs.setdefault(data["range"], [])
            graphs.append(begun.interval)
        ended = yield
        if is_cached:
            # An entry that vLLM can't read any more is compiled anew, and replaced.
            begun.note(cache="hit" if manager.cache.get(key) is entry else "outdated")
        else:
            # A graph that is equal to an earlier one is not compiled again: it has the same artifact.
            begun.note(cache="reused" if id(ended.result) in loaded else "miss")
        if (accumulators := self._monitor.accumulators) is not None:
            # Up to 0.19.1 the last graph adds the time of all graphs of its range.
            accumulators.claim_added("backend", begun, intervals=graphs)
        self._stages.end(begun, ended.error)

    def load_artifacts(self, call: Call) -> Generator[None, Ended, None]:
        """Record the loading of all graphs of a component out of the one file of an AOT compile."""
        data = {"artifacts": call.owner.num_artifacts(), "graphs": call.owner.num_entries(), "cache": "hit"}
        begun = self._stages.begin("graph_load", "backend", data=data)
        self._stages.end(begun, (yield).error)

    def load_ranges(self, call: Call) -> Generator[None, Ended, None]:
        """Record one graph taking over its loaded artifacts."""
        graph = call.owner
        data: dict[str, object] = {
            "range": ", ".join(str(compile_range) for compile_range in graph.compile_ranges),
            "graph_index": graph.piecewise_compile_index,
            "graphs": graph.total_piecewise_compiles,
            "cache": "hit",
        }
        begun = self._stages.begin("graph_load", "backend", data=data)
        self._stages.end(begun, (yield).error)

    def cache_save(self, call: Call) -> Generator[None, Ended, None]:
        """Record the writing of the compiler manager's index."""
        begun = self._stages.begin("cache_save", "backend")
        self._stages.end(begun, (yield).error)

    def _cache_of(self, backend: Any) -> dict[str, object]:
        """Return a backend's cache directory and the factors of its name; for variables, only digests."""
        folder = getattr(backend.compilation_config, "local_cache_dir", None)
        if not folder:
            return {}
        found: dict[str, object] = {"cache_dir": str(folder)}
        if getattr(backend.compiler_manager, "disable_cache", False):
            found["cache"] = "disabled"
        factors = _factors(Path(folder))
        variables = factors.pop("env", None)
        if factors:
            found["cache_key"] = {**factors, "env": _digest(variables)}
        if isinstance(variables, dict) and not self._has_noted_variables:
            # About 150 variables, the same for all components of a process.
            self._has_noted_variables = True
            by_name = cast("dict[str, object]", variables)
            found["cache_key_env"] = {name: _digest(value) for name, value in by_name.items()}
        return found

    def _end_key(self, error: BaseException | None) -> None:
        key: OpenStage | None = self._stages.innermost("cache_key")
        if key is not None:
            self._stages.end(key, error)


def _factors(folder: Path) -> dict[str, Any]:
    """Return the factors of a cache directory's name: three hashes, and the variables in `env`."""
    try:
        found: object = json.loads((folder / _FACTORS).read_bytes())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _digest(value: object) -> str:
    """Return a digest: it changes when the value does, without revealing it."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_DIGITS]
