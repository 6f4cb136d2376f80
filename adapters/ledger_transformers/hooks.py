"""Has each hook put in its place when the module of transformers that it belongs to is imported."""

import torch

from ledger import Recorder
from ledger_engine.activation import activate_once
from ledger_engine.hooks import install_on_import as install_table_on_import
from ledger_engine.patching import Patcher
from ledger_engine.stages import Stages
from ledger_transformers.description import TRANSFORMERS
from ledger_transformers.hook_targets import TABLE
from ledger_transformers.model_hooks import ModelHooks


def install_on_import(recorder: Recorder | None = None) -> None:
    """Install the hooks, each as soon as its module is imported: now, where it is already."""
    recorder = activate_once(TRANSFORMERS, recorder)
    if recorder is None:
        return
    # A program may compile what calls these functions.
    patcher = Patcher(recorder, TABLE.engine, is_compiling=torch.compiler.is_compiling)
    hooks = ModelHooks(Stages(recorder, TABLE.stages), patcher)
    named = {target.hook: getattr(hooks, target.hook) for target in TABLE.targets if target.hook is not None}
    install_table_on_import(TABLE, named, hooks.stage, patcher, recorder)
