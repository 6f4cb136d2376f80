"""Watches vLLM's monitor: the compile or load of each part of a model, and the first run after it.

The monitor's interval encloses what it times. Around it vLLM first tries to load what an earlier start has
compiled: that try runs under a monitor too, and finds nothing at a cold start.
"""

import os
import threading
from collections.abc import Generator, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from ledger_vllm.claims import Accumulators
from ledger_vllm.parts import Part, current_tag, part_of
from ledger_vllm.stages import Begun, Stages
from ledger_vllm.watching import Call, Ended

OWN_MODE: Final = "VLLM_COMPILE"
"""The CompilationMode in which vLLM's own backend compiles, and its monitor adds up and logs."""

_MAX_REASON: Final = 300


class _Thread(threading.local):
    def __init__(self) -> None:
        self.loading: str | None = None
        """The path that is about to be loaded from, until the monitor begins."""
        self.accumulators: Accumulators | None = None


class Monitor:
    """The watches of `vllm.compilation.decorators`, and of the class that its models derive from."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._thread = _Thread()
        self._parts: WeakKeyDictionary[Any, Part] = WeakKeyDictionary()
        """What each model is to its backend: before 0.32 vLLM does not tell its monitor."""

    @property
    def accumulators(self) -> Accumulators | None:
        """What is added up in this thread; None outside of the monitor."""
        return self._thread.accumulators

    def model_made(self, call: Call) -> Generator[None, Ended, None]:
        """Remember what part a model is, as its backend does."""
        tag, is_encoder = current_tag()
        tag = call.given.get("compile_prefix") or tag
        self._parts[call.owner] = part_of(tag, is_encoder=bool(call.given.get("is_encoder")) or is_encoder)
        yield

    def try_load(self, call: Call) -> Generator[None, Ended, None]:
        """Tell the monitor, which begins next, that it times an attempt to load."""
        self._thread.loading = str(call.given["aot_compilation_path"])
        yield
        self._thread.loading = None

    def torch_compile(self, call: Call) -> Generator[None, Ended, None]:
        """Record one interval of the monitor, and what it adds to the accumulators."""
        stages, thread = self._stages, self._thread
        config = call.given["vllm_config"].compilation_config
        part = self._part(call)
        loading, thread.loading = thread.loading, None
        mode = getattr(config.mode, "name", str(config.mode))
        has_first_run = "warmup run together" in call.given.get("message", "")
        data: dict[str, object] = {"mode": mode}
        if has_first_run:
            data["includes"] = "first_run"
        outer = thread.accumulators
        # A monitor inside another one adds to the same accumulators, once.
        accumulators = outer if outer is not None and outer.config is config else Accumulators(stages, config)
        thread.accumulators = accumulators
        compiling = stages.begin("torch_compile", "monitor", part, data)
        load: Begun | None = None
        if loading is not None:
            load = stages.begin("aot_load", "backend", data={"path": loading})
        elif mode == OWN_MODE and has_first_run:
            stages.begin("dynamo", "backend", is_parent=False)
        left_by = (yield).error
        accumulators.claim_added("backend", compiling)
        found: dict[str, object] = {"cache": "compiled" if left_by is None else "failed"}
        if loading is not None:
            found = _found(loading, left_by)
        is_miss = found["cache"] == "miss"
        compiling.note(**found)
        if load is not None:
            load.note(**found)
            stages.end(load, None if is_miss else left_by)
        self._end_dynamo(left_by)
        ended_by = (yield).error
        if ended_by is None:
            accumulators.claim_added("monitor", compiling, even_nothing=True)
        stages.end(compiling, None if is_miss else ended_by)
        thread.accumulators = outer

    def aot_compile(self, call: Call) -> Generator[None, Ended, None]:
        """Record the compile ahead of time, which begins with Dynamo."""
        begun = self._stages.begin("aot_compile", "backend")
        self._stages.begin("dynamo", "backend", is_parent=False)
        ended = yield
        self._end_dynamo(ended.error)
        self._stages.end(begun, ended.error)

    def aot_save(self, call: Call) -> Generator[None, Ended, None]:
        """Record torch's writing of the compiled function."""
        path = next((value for name, value in call.given.items() if name != "self"), None)
        begun = self._stages.begin("aot_save", "backend", data={"path": str(path)})
        self._stages.end(begun, (yield).error)

    def first_run(self, call: Call) -> Generator[None, Ended, None]:
        """Record the first run of what was just compiled or loaded."""
        last = self._stages.spoken_of("torch_compile")
        begun = self._stages.begin("first_run", "monitor", last.part if last else None)
        left_by = (yield).error
        ended_by = (yield).error
        self._stages.end(begun, ended_by or left_by)

    def _part(self, call: Call) -> Part:
        if call.caller is not None:
            known: Mapping[str, Any] = call.caller.f_locals
            model = known.get("model", known.get("self"))
            if model is not None and (part := self._parts.get(model)) is not None:
                return part
        return part_of(call.given.get("tag") or None, is_encoder=bool(call.given.get("is_encoder")))

    def _end_dynamo(self, error: BaseException | None) -> None:
        """End a Dynamo that never came to the backend."""
        dynamo = self._stages.innermost("dynamo")
        if dynamo is not None:
            dynamo.note(backend="not called")
            self._stages.end(dynamo, error)


def _found(path: str, error: BaseException | None) -> dict[str, object]:
    """Return what an attempt to load found: a hit, a miss where there is no file, or why it failed."""
    if error is None:
        return {"cache": "hit"}
    if isinstance(error, Exception) and not os.path.exists(path):
        return {"cache": "miss"}
    return {"cache": "failed", "reason": f"{type(error).__name__}: {error}"[:_MAX_REASON]}
