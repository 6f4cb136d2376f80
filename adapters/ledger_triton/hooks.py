"""Has each hook put in its place when the module of Triton that it belongs to is imported."""

import dataclasses
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ledger import Recorder
from ledger_engine.activation import activate_once
from ledger_engine.hooks import install
from ledger_engine.hooks import install_on_import as install_table_on_import
from ledger_engine.imports import when_imported
from ledger_engine.patching import HookPoint, Patcher
from ledger_engine.stages import Stages
from ledger_triton.description import TRITON
from ledger_triton.hook_targets import ALIASES, COMPILER, KNOBS, POOL, TABLE
from ledger_triton.kernels import KernelHooks

_LOAD: Final = next(target for target in TABLE.targets if target.hook == "triton_load")


def install_on_import(recorder: Recorder | None = None) -> None:
    """Install the hooks, each as soon as its module is imported: now, where it is already."""
    recorder = activate_once(TRITON, recorder)
    if recorder is None:
        return
    patcher = Patcher(recorder, TABLE.engine)
    stages = Stages(recorder, TABLE.stages, lambda: _name_pool_process(recorder))
    kernels = KernelHooks(stages)
    hooks: dict[str, HookPoint] = dict(inspect.getmembers(kernels, inspect.isgeneratorfunction))
    others = tuple(target for target in TABLE.targets if target is not _LOAD)
    install_table_on_import(dataclasses.replace(TABLE, targets=others), hooks, stages.hook, patcher, recorder)

    def on_compiler(compiler: ModuleType) -> None:
        # This runs inside the program's own import.
        try:
            _replace_aliases(compiler)
            if not _is_called_at_each_launch(compiler):
                reason = install(compiler, _LOAD, hooks["triton_load"], patcher)
                if reason is None:
                    recorder.add_hook(_LOAD.where)
        except Exception as error:
            recorder.hook_missing(_LOAD.where, f"{type(error).__name__}: {error}")

    def on_knobs(knobs: ModuleType) -> None:
        try:
            kernels.listen(knobs)
        except Exception as error:
            recorder.hook_missing(f"{KNOBS}.compilation.listener", f"{type(error).__name__}: {error}")

    when_imported(COMPILER, on_compiler)
    when_imported(KNOBS, on_knobs)


def _name_pool_process(recorder: Recorder) -> None:
    """Name a process of the pool in which Inductor compiles kernels, of which this is the first event."""
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    if program is not None and Path(program).parts[-len(POOL) :] == POOL:
        recorder.name_process("CompileWorker")


def _replace_aliases(compiler: Any) -> None:
    """Put the hooked `compile` where the packages above have imported the original already."""
    hooked = compiler.compile
    original = getattr(hooked, "__wrapped__", None)
    for name in ALIASES:
        package: Any = sys.modules.get(name)
        if original is not None and getattr(package, "compile", None) is original:
            package.compile = hooked


def _is_called_at_each_launch(compiler: Any) -> bool:
    return "__getattribute__" in vars(compiler.CompiledKernel)
