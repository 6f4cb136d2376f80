"""Installs the hooks in vLLM, each when its module is imported.

The hooked functions are not vLLM's public API: `tests/vllm_compat` keeps excerpts from each version. Nothing
that Dynamo traces, or that runs for each token, is hooked.
"""

import inspect
from collections.abc import Iterable

from ledger import Recorder
from ledger_engine.activation import activate_once
from ledger_engine.hooks import install_on_import as install_table_on_import
from ledger_engine.patching import HookPoint, Patcher
from ledger_engine.process_start import process_start, record_process_start
from ledger_engine.stages import Stages
from ledger_vllm.backend import Backend
from ledger_vllm.claims import LogClaims
from ledger_vllm.description import VLLM
from ledger_vllm.drafters import Drafters
from ledger_vllm.engine import Engine
from ledger_vllm.front_end import FrontEnd
from ledger_vllm.hook_targets import TABLE
from ledger_vllm.monitor import Monitor
from ledger_vllm.processes import Processes


def install_on_import(recorder: Recorder | None = None, *, until: str = "vLLM loaded its plugins") -> None:
    """Install each hook when its module is imported, or now if it already is.

    `until` says when this is, for the stage from the process's start up to now.
    """
    recorder = activate_once(VLLM, recorder)
    if recorder is None:
        return
    start, patcher = process_start(programs=("vllm",)), Patcher(recorder, TABLE.engine)

    def before_first() -> None:
        log_claims.note_log_level()
        record_process_start(recorder, start, until=until)

    stages = Stages(recorder, TABLE.stages, before_first)
    log_claims = LogClaims(stages)
    log_claims.listen()
    engine = Engine(stages, patcher)
    monitor, front_end = Monitor(stages), FrontEnd(stages, patcher)
    drafters = Drafters(stages, patcher, engine.stage("runner_init"))
    owners = (monitor, Backend(stages, monitor), engine, drafters, front_end, Processes(stages), log_claims)
    install_table_on_import(TABLE, _hooks(owners), engine.stage, patcher, recorder)


def _hooks(owners: Iterable[object]) -> dict[str, HookPoint]:
    return {
        name: hook
        for owner in owners
        for name, hook in inspect.getmembers(owner, inspect.isgeneratorfunction)
    }
