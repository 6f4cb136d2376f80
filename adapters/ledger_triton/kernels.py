"""The hooks of Triton: a kernel's compile, its launcher and binary, and the timing of its configurations.

Whether a kernel came from the cache on disk is known in every version by whether its IR was made. From 3.4 on
Triton calls a listener with the times of each phase; ours calls whatever listener was there before it.
"""

import sys
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

from ledger_engine.model_parts import Part
from ledger_engine.patching import Call, Ended
from ledger_engine.stages import Stages

_DIGITS: Final = 12
_NS_PER_US: Final = 1_000
_TORCH: Final = "torch._dynamo.utils"
_OPTIONS: Final = ("num_warps", "num_stages", "num_ctas")

Listener = Callable[..., object]


class KernelHooks:
    """The hooks of `TABLE`, by their names there."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._knobs: Any = None
        """What has the listener; None in a version without one, or where it is not imported yet."""

    def triton_compile(self, call: Call) -> Generator[None, Ended, None]:
        """Record the compile of a kernel, or its load from the cache."""
        source = call.given["src"]
        self._listen()
        begun = self._stages.begin("triton_compile", _source(), Part(None, _name(source)), _described(source))
        ended = yield
        if ended.error is None:
            begun.noted.setdefault("cache", "hit")
            begun.note(**_compiled(ended.result))
        self._stages.end(begun, ended.error)

    def ir_made(self, call: Call) -> Generator[None, Ended, None]:
        """Note that the kernel that is compiled now was not in the cache."""
        begun = self._stages.innermost("triton_compile")
        if begun is not None:
            begun.note(cache="miss")
        yield

    def triton_load(self, call: Call) -> Generator[None, Ended, None]:
        """Record how a compiled kernel gets its launcher, and its binary onto the device."""
        kernel = call.owner
        if kernel.module is not None:  # there already
            yield
            return
        begun = self._stages.begin("triton_load", _source(), Part(None, str(kernel.name)))
        self._stages.end(begun, (yield).error)

    def triton_build(self, call: Call) -> Generator[None, Ended, None]:
        """Record a run of the C compiler."""
        begun = self._stages.begin("triton_build", _source(), Part(None, str(call.given["name"])))
        self._stages.end(begun, (yield).error)

    def triton_autotune(self, call: Call) -> Generator[None, Ended, None]:
        """Record the compile and the timing of one configuration of a kernel."""
        kernel = getattr(call.owner.base_fn, "__name__", None)
        data = {"config": str(call.given["config"])}
        begun = self._stages.begin("triton_autotune", _source(), Part(None, kernel), data)
        self._stages.end(begun, (yield).error)

    def listen(self, knobs: ModuleType) -> None:
        """Take the place of the listener of Triton's module of settings, if it has one."""
        compilation = getattr(knobs, "compilation", None)
        if hasattr(compilation, "listener"):
            self._knobs = compilation
            self._listen()

    def _listen(self) -> None:
        # Whoever set another one since is called as well.
        if self._knobs is not None and not isinstance(self._knobs.listener, _Listener):
            self._knobs.listener = _Listener(self._observe, self._failed, self._knobs.listener)

    def _observe(self, times: Any, *, src: Any, cache_hit: bool) -> None:
        begun = self._stages.innermost("triton_compile")
        phases = None if cache_hit else _phases_ns(times)
        if begun is not None:
            if phases is not None:
                begun.note(phases_ns=phases)
            return
        # Whoever compiles had imported `compile` before it was hooked: the listener alone sees that.
        now_ns = time.perf_counter_ns()
        began_ns = now_ns - sum(_phases_ns(times).values())
        part = Part(None, _name(src))
        begun = self._stages.begin(
            "triton_compile", _source(), part, _described(src), is_parent=False, at_ns=began_ns
        )
        begun.note(cache="hit" if cache_hit else "miss")
        if phases is not None:
            begun.note(phases_ns=phases)
        self._stages.end(begun)

    def _failed(self, error: Exception) -> None:
        detail = f"KernelHooks.listen: {type(error).__name__}: {error}"
        self._stages.recorder.gap("hook_failed", detail=detail)


class _Listener:
    """Passes a compile on to whoever listened before, and to us; nothing of ours gets out of it."""

    def __init__(
        self, observe: Callable[..., None], failed: Callable[[Exception], None], before: Listener | None
    ) -> None:
        self._observe = observe
        self._failed = failed
        self._before = before

    def __call__(self, *args: Any, **given: Any) -> None:
        try:
            self._observe(given["times"], src=given["src"], cache_hit=bool(given["cache_hit"]))
        except Exception as error:
            self._failed(error)
        if self._before is not None:
            self._before(*args, **given)


def _source() -> Literal["torch", "backend"]:
    """Return `torch` inside of a compile of torch's, which is charged to the role of that compile."""
    log = getattr(sys.modules.get(_TORCH), "CHROMIUM_EVENT_LOG", None)
    return "torch" if log is not None and log.get_stack() else "backend"


def _name(source: Any) -> str:
    """Return the name of the kernel in a source: an `ASTSource`, or a file of IR."""
    return Path(source).stem if isinstance(source, (str, Path)) else str(source.name).removeprefix("@")


def _described(source: Any) -> dict[str, object]:
    """Return what is known of a kernel before it is compiled."""
    module = getattr(getattr(source, "fn", None), "__module__", None)
    return {"kernel": _name(source), **({"module": str(module)} if module else {})}


def _compiled(kernel: Any) -> dict[str, object]:
    """Return what tells one compiled kernel from another of the same name."""
    metadata = getattr(kernel, "metadata", None)
    found: dict[str, object] = {
        name: value for name in _OPTIONS if isinstance(value := getattr(metadata, name, None), int)
    }
    target = getattr(metadata, "target", None)
    if target is not None:
        found["target"] = f"{target.backend}:{target.arch}"
    if isinstance(key := getattr(kernel, "hash", None), str):
        found["key"] = key[:_DIGITS]
    return found


def _phases_ns(times: Any) -> Mapping[str, int]:
    """Return how long each phase of a compile took, by Triton's names, which knows it in microseconds."""
    phases = {"ir": times.ir_initialization, **dict(times.lowering_stages), "store": times.store_results}
    return {name: int(us) * _NS_PER_US for name, us in phases.items()}
