"""Hooks of vLLM's monitor: the compile or load of each part of a model, and the first run after it.

The monitor's interval encloses what it times. Around it vLLM first tries to load what an earlier start has
compiled: that try runs under a monitor too, and finds nothing at a cold start.
"""

import contextlib
import os
import threading
from collections.abc import Generator, Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from ledger_engine.model_parts import Part
from ledger_engine.patching import Call, Ended
from ledger_engine.stages import OpenStage, Stages
from ledger_vllm.claims import Accumulators, accumulated
from ledger_vllm.model_parts import BACKBONE, current_tag, part_of

OWN_MODE: Final = "VLLM_COMPILE"
"""The CompilationMode in which vLLM's own backend compiles, and its monitor adds up and logs."""

_MAX_REASON: Final = 300


class _Thread(threading.local):
    def __init__(self) -> None:
        self.loading: str | None = None
        """The path that is about to be loaded from, until the monitor begins."""
        self.accumulators: Accumulators | None = None
        self.has_own_backend = False
        """Whether the compile that goes on is one of vLLM's own mode."""


class _Timed(NamedTuple):
    """The stages and accumulators of one monitored block."""

    stages: tuple[OpenStage, ...]
    """The load, where it is one, and around it the monitor's own."""
    loads_from: str | None
    accumulators: Accumulators
    outer: Accumulators | None
    """What another monitor around this one adds up."""


class Monitor:
    """The hooks of `vllm.compilation.decorators`, and of the class that its models derive from."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._thread = _Thread()
        self._parts: WeakKeyDictionary[Any, Part] = WeakKeyDictionary()
        """The part of each model: before 0.32 vLLM does not pass it to its monitor."""

    @property
    def accumulators(self) -> Accumulators | None:
        """The accumulators of this thread's monitor; None outside of one."""
        return self._thread.accumulators

    def model_made(self, call: Call) -> Generator[None, Ended, None]:
        """Remember what part a model is, as its backend does."""
        tag, is_encoder = current_tag()
        is_encoder = is_encoder or bool(call.given.get("is_encoder"))
        # vLLM's own default is in a module that may not be imported yet.
        tag = call.given.get("compile_prefix") or tag or (None if is_encoder else BACKBONE)
        self._parts[call.owner] = part_of(tag, is_encoder=is_encoder)
        yield

    def try_load(self, call: Call) -> Generator[None, Ended, None]:
        """Remember for the monitor, which begins next, that it times an attempt to load."""
        self._thread.loading = str(call.given["aot_compilation_path"])
        yield
        self._thread.loading = None

    def torch_compile(self, call: Call) -> Generator[None, Ended, None]:
        """Record one interval of the monitor, and what it adds to the accumulators."""
        timed = self._begin(call)
        left_by = (yield).error
        self._end_dynamo(left_by)
        # vLLM reads its clock next: writing events waits until it has.
        for begun in timed.stages:
            begun.mark_stopped()
        added_inside = accumulated(timed.accumulators.config)
        ended_by = (yield).error
        self._claim_added(timed, added_inside, has_ended_well=ended_by is None)
        found: dict[str, object] = {"cache": "compiled" if left_by is None else "failed"}
        if timed.loads_from is not None:
            found = _found(timed.loads_from, left_by)
        for begun in timed.stages:
            begun.note(**found)
            self._stages.end(begun, None if found["cache"] == "miss" else ended_by)
        self._thread.accumulators = timed.outer

    def _begin(self, call: Call) -> "_Timed":
        stages, thread = self._stages, self._thread
        config = call.given["vllm_config"].compilation_config
        is_encoder = bool(call.given.get("is_encoder"))
        part = self._part_of_caller(call) or part_of(call.given.get("tag") or None, is_encoder=is_encoder)
        loads_from, thread.loading = thread.loading, None
        mode = getattr(config.mode, "name", str(config.mode))
        thread.has_own_backend = mode == OWN_MODE
        has_first_run = "warmup run together" in call.given.get("message", "")
        data: dict[str, object] = {"mode": mode}
        if has_first_run:
            data["includes"] = "first_run"
        outer = thread.accumulators
        # A monitor inside another one adds to the same accumulators, once.
        accumulators = outer if outer is not None and outer.config is config else Accumulators(stages, config)
        thread.accumulators = accumulators
        begun = [stages.begin("torch_compile", "monitor", part, data)]
        if loads_from is not None:
            begun.insert(0, stages.begin("aot_load", "backend", data={"path": loads_from}))
        elif thread.has_own_backend and has_first_run:
            stages.begin("dynamo", "backend", is_parent=False)
        return _Timed(tuple(begun), loads_from, accumulators, outer)

    def _claim_added(self, timed: "_Timed", added_inside: dict[str, float], *, has_ended_well: bool) -> None:
        compiling, accumulators = timed.stages[-1], timed.accumulators
        # From 0.20.0 on the monitor alone adds: what came meanwhile is a compile's in another thread.
        adds_itself = "encoder_compilation_time" in added_inside
        if adds_itself:
            accumulators.pass_over(added_inside)
        else:
            accumulators.claim_added("backend", compiling, added_inside)
        if has_ended_well:
            is_expected = adds_itself or not self._thread.has_own_backend
            accumulators.claim_added("monitor", compiling, even_nothing=is_expected)

    def aot_compile(self, call: Call) -> Generator[None, Ended, None]:
        """Record the compile ahead of time, which begins with Dynamo: until it calls vLLM's own backend."""
        begun = self._stages.begin("aot_compile", "backend")
        if self._thread.has_own_backend:
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
        last = self._stages.latest("torch_compile")
        part = self._part_of_caller(call) or (last.part if last else None)
        begun = self._stages.begin("first_run", "monitor", part)
        yield
        begun.mark_stopped()
        self._stages.end(begun, (yield).error)

    def _part_of_caller(self, call: Call) -> Part | None:
        """Return the part of the model whose method made this call."""
        if call.caller is None:
            return None
        variables: Mapping[str, Any] = call.caller.f_locals
        model = variables.get("model", variables.get("self"))
        with contextlib.suppress(TypeError):  # an unhashable object is not in the mapping
            return self._parts.get(model)
        return None

    def _end_dynamo(self, error: BaseException | None) -> None:
        """End a Dynamo stage that never reached the backend."""
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
