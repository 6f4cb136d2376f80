"""Says which watch goes where in vLLM, and puts each in its place when the module is imported.

None of it is vLLM's public API: `tests/vllm_compat` keeps what these places looked like in each version. What
Dynamo traces, or is called for each token, is not among them.
"""

import functools
import inspect
import logging
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from wrapt import register_post_import_hook

from ledger import Recorder
from ledger_vllm.backend import Backend
from ledger_vllm.claims import LogClaims
from ledger_vllm.engine import Engine
from ledger_vllm.hook_targets import TARGETS, Target
from ledger_vllm.monitor import Monitor
from ledger_vllm.patching import HookPoint, Patcher
from ledger_vllm.process_start import record_process_start, spawned_by_vllm
from ledger_vllm.stages import Stages

_LOG: Final = logging.getLogger("ledger")
_lock: Final = threading.Lock()
_is_installed = False


def install_on_import(recorder: Recorder | None = None) -> None:
    """Install the hooks, each as soon as its module is imported: now, where it is already."""
    global _is_installed
    recorder = recorder or Recorder.from_environment()
    if not recorder.enabled:
        return
    with _lock:
        if _is_installed:
            return
        _is_installed = True
    spawned, watcher = spawned_by_vllm(), Patcher(recorder)

    def before_first() -> None:
        log_claims.say_whether_heard()
        record_process_start(recorder, spawned)

    stages = Stages(recorder, before_first)
    log_claims = LogClaims(stages)
    log_claims.listen()
    watches = _watches(stages, watcher, log_claims)
    for module in dict.fromkeys(target.module for target in TARGETS):
        register_post_import_hook(_installer(module, watches, watcher, recorder), module)


def install(module: ModuleType, target: Target, watch: HookPoint, watcher: Patcher) -> str | None:
    """Put a watch in the place of a target; return why that can't be done, None where it is."""
    *path, name = target.name.split(".")
    owner: Any = functools.reduce(lambda inside, part: getattr(inside, part, None), path, module)
    # A method that a class only inherits is watched where it is defined.
    original: Any = getattr(owner, "__dict__", {}).get(name)
    reason = target.fault(inspect.signature(original).parameters if callable(original) else None)
    if reason is not None:
        return reason
    watched = watcher.context if target.is_context else watcher.function
    setattr(owner, name, watched(original, watch))
    return None


def _installer(
    name: str, watches: dict[Target, HookPoint], watcher: Patcher, recorder: Recorder
) -> Callable[[ModuleType], None]:
    def on_import(module: ModuleType) -> None:
        # This runs inside the program's own import.
        for target in TARGETS:
            if target.module != name:
                continue
            try:
                reason = install(module, target, watches[target], watcher)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
            if reason is None:
                recorder.add_hook(f"{target.module}.{target.name}")
            elif target.since is None:
                recorder.hook_missing(f"{target.module}.{target.name}", reason)

    return on_import


def _watches(stages: Stages, watcher: Patcher, log_claims: LogClaims) -> dict[Target, HookPoint]:
    monitor = Monitor(stages)
    backend, engine = Backend(stages, monitor), Engine(stages, watcher)
    watches: dict[str, HookPoint] = {
        name: watch
        for owner in (monitor, backend, engine, log_claims)
        for name, watch in inspect.getmembers(owner, inspect.isgeneratorfunction)
    }
    return {target: watches.get(target.watch) or engine.stage(target.watch) for target in TARGETS}
