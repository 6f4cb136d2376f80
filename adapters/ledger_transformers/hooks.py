"""Has each hook put in its place when the module of transformers that it belongs to is imported."""

import threading
from typing import Final

import torch

from ledger import Recorder
from ledger.adapters import register_engine
from ledger_engine.hooks import install_on_import as install_table_on_import
from ledger_engine.patching import Patcher
from ledger_engine.stages import Stages
from ledger_transformers.description import TRANSFORMERS
from ledger_transformers.hook_targets import TABLE
from ledger_transformers.model_hooks import ModelHooks

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
    register_engine(TRANSFORMERS)
    # A program may compile what calls these functions.
    patcher = Patcher(recorder, TABLE.engine, is_compiling=torch.compiler.is_compiling)
    hooks = ModelHooks(Stages(recorder, TABLE.stages), patcher)
    named = {target.hook: getattr(hooks, target.hook) for target in TABLE.targets if target.hook is not None}
    install_table_on_import(TABLE, named, hooks.stage, patcher, recorder)
