"""Puts each hook of an engine in its place when the module that it belongs to is imported."""

import functools
import itertools
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from ledger import Recorder
from ledger_engine.hook_targets import HookTable, HookTarget
from ledger_engine.imports import when_imported
from ledger_engine.patching import HookPoint, Patcher

StageHook = Callable[[str], HookPoint]
"""Returns the hook that records a stage."""


def install_on_import(
    table: HookTable,
    hooks: Mapping[str, HookPoint],
    stage_hook: StageHook,
    patcher: Patcher,
    recorder: Recorder,
) -> None:
    """Install an engine's hooks, each as soon as its module is imported: now, where it is already.

    `hooks` are the adapter's own, by name; `stage_hook` makes those of targets that are one stage. Raises
    KeyError where the table names a hook that is not there.
    """
    targets = [
        (target, hooks[target.hook] if target.hook is not None else stage_hook(target.records))
        for target in table.targets
    ]
    for module, of_module in itertools.groupby(
        sorted(targets, key=lambda pair: pair[0].module), key=lambda pair: pair[0].module
    ):
        when_imported(module, _installer(tuple(of_module), patcher, recorder))


def _installer(
    targets: tuple[tuple[HookTarget, HookPoint], ...], patcher: Patcher, recorder: Recorder
) -> Callable[[ModuleType], None]:
    def on_import(module: ModuleType) -> None:
        # This runs inside the program's own import.
        for target, hook in targets:
            try:
                reason = install(module, target, hook, patcher)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
            if reason is None:
                recorder.add_hook(target.where)
            elif target.since is None and target.until is None:
                recorder.hook_missing(target.where, reason)

    return on_import


def install(module: ModuleType, target: HookTarget, hook: HookPoint, patcher: Patcher) -> str | None:
    """Put a hook in the place of a target; return why that can't be done, None where it is."""
    *path, name = target.name.split(".")
    owner: Any = functools.reduce(lambda inside, part: getattr(inside, part, None), path, module)
    return patcher.install(owner, name, target, hook)
