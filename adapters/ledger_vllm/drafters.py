"""Hooks of speculative decoding: what loads, warms up and captures the model that proposes tokens.

vLLM's first model runner calls it the drafter, the second one the speculator, and each way of proposing
tokens has a class of its own. The methods of the one that is in use are hooked when its model runner is made,
and only until the worker is warm: requests call some of them as well.
"""

import inspect
from collections.abc import Collection, Generator, Mapping
from typing import Any, Final

from ledger_engine.hook_targets import HookTarget
from ledger_engine.model_parts import Part
from ledger_engine.patching import Call, Ended, HookPoint, Patcher, does_nothing
from ledger_engine.stages import OpenStage, Stages
from ledger_vllm.model_parts import part_of

METHODS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "drafter": {"drafter_run": ("dummy_run",), "drafter_load": ("load_model",)},
    "speculator": {
        "drafter_run": ("propose",),
        "drafter_capture": ("capture", "capture_model"),
        "drafter_load": ("load_model",),
    },
}
"""By the attribute of a model runner: each hook, and the names that its method has in one version or another.

The first model runner captures graphs of its drafter by running it.
"""

_HOOKS: Final = frozenset(hook for methods in METHODS.values() for hook in methods)

_RUN_IN: Final = ("graph_capture", "graph_capture_probe", "profile_run")
"""Stages of which a run of the drafter is a part. Any other run warms it up."""


class Drafters:
    """The hooks of what proposes tokens for another model."""

    def __init__(self, stages: Stages, patcher: Patcher, runner_init: HookPoint) -> None:
        """`runner_init` records the stage of that name."""
        self._stages = stages
        self._patcher = patcher
        self._runner_init = runner_init
        self._loaded: Part | None = None
        self._is_loading = False
        self._load: OpenStage | None = None
        """A load whose tag is not set any more."""

    def runner_init(self, call: Call) -> Generator[None, Ended, None]:
        """Record the making of a model runner, and hook the methods of its drafter, where it has one."""
        yield from self._runner_init(call)
        for attribute, methods in METHODS.items():
            drafter: object = getattr(call.owner, attribute, None)
            if drafter is not None:
                self._install(type(drafter), methods)

    def drafter_tagged(self, call: Call) -> Generator[None, Ended, None]:
        """Begin the load of a drafter where its tag is set; it is over when `load_model` is."""
        part = part_of(call.given["tag"], is_encoder=bool(call.given.get("is_encoder")))
        around = self._stages.innermost("model_load")
        if part.role != "drafter" or (around is not None and around.part.role == part.role):
            yield  # no drafter, or a piece of one
            yield
            return
        self._loaded = part
        begun = self._stages.begin("model_load", "engine", part)
        yield
        error = (yield).error
        if self._is_loading and error is None:
            self._load = begun
        else:
            self._stages.end(begun, error)

    def drafter_load(self, call: Call) -> Generator[None, Ended, None]:
        """End the load of a drafter, which may share weights with the model once it has its own."""
        self._is_loading = True
        ended = yield
        self._is_loading = False
        if self._load is not None:
            self._stages.end(self._load, ended.error)
            self._load = None

    def drafter_run(self, call: Call) -> Generator[None, Ended, None]:
        """Record a run of the drafter as its part of the stage that it is in."""
        stage = next((name for name in _RUN_IN if self._stages.innermost(name) is not None), "warmup")
        yield from self._record(stage, call)

    def drafter_capture(self, call: Call) -> Generator[None, Ended, None]:
        """Record the capture of the drafter's graphs, for good or to see how much memory they take."""
        is_probe = self._stages.innermost("graph_capture_probe") is not None
        yield from self._record("graph_capture_probe" if is_probe else "graph_capture", call)

    def _record(self, stage: str, call: Call) -> Generator[None, Ended, None]:
        part = self._loaded or Part("drafter", type(call.owner).__name__)
        begun = self._stages.begin(stage, "engine", part)
        self._stages.end(begun, (yield).error)

    def _install(self, kind: type, methods: Mapping[str, tuple[str, ...]]) -> None:
        self._patcher.uninstall(is_of_drafter)  # of an engine that this process had before
        self._loaded = None
        for hook, names in methods.items():
            places = ((owner, name) for name in names for owner in kind.__mro__ if name in vars(owner))
            owner, name = next(places, (kind, names[0]))
            if does_nothing(vars(owner).get(name)):
                continue
            target = HookTarget(owner.__module__, f"{owner.__qualname__}.{name}", hook=hook, is_startup=True)
            reason = self._patcher.install(owner, name, target, getattr(self, hook))
            if reason is None:
                self._stages.recorder.add_hook(target.where)
            elif _has_model(kind):
                self._stages.recorder.hook_missing(target.where, reason)


def is_of_drafter(target: HookTarget) -> bool:
    """Return whether a target is a method of a drafter's."""
    return target.hook in _HOOKS


def _has_model(kind: Any) -> bool:
    """Return whether a class of vLLM's loads a model; `load_model` of one that does not takes anything."""
    load = getattr(kind, "load_model", None)
    return kind.__module__.startswith("vllm.") and "target_model" in _parameters(load)


def _parameters(function: Any) -> Collection[str]:
    return inspect.signature(function).parameters if callable(function) else ()
