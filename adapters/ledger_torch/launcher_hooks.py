"""Records what torchrun does before and after its workers run, and how the workers find one another.

The agent of torchrun starts one process for each worker and then looks at them ten times a second: from then
on it does nothing but wait.
"""

from collections.abc import Generator
from typing import Any, Final

import torch

from ledger import Recorder
from ledger.adapters import WAITING
from ledger_engine.hook_targets import HookTable, HookTarget
from ledger_engine.hooks import install_on_import
from ledger_engine.patching import Call, Ended, Patcher
from ledger_engine.stages import OpenStage, Stages

_AGENT: Final = "torch.distributed.elastic.agent.server.api"

TABLE: Final = HookTable(
    engine="torchrun",
    package="torch",
    oldest="2.6.0",
    newest="2.15.0",
    targets=(
        HookTarget(_AGENT, "SimpleElasticAgent.run", hook="run"),
        HookTarget(_AGENT, "SimpleElasticAgent._initialize_workers", hook="start_workers"),
        HookTarget("torch.distributed", "init_process_group", stage="process_group_init"),
    ),
    stages={"agent_run": "startup", "process_spawn": "startup", "process_group_init": "startup"},
)
_SOURCE: Final = "engine"
_installed = False


def install_launcher_hooks(recorder: Recorder | None = None) -> None:
    """Have torchrun's agent and its workers recorded, each as soon as its module is imported."""
    global _installed
    recorder = recorder or Recorder.from_environment()
    if _installed or not recorder.enabled:
        return
    _installed = True
    patcher = Patcher(recorder, TABLE.engine, is_compiling=torch.compiler.is_compiling)
    stages = Stages(recorder, TABLE.stages)
    hooks = LauncherHooks(stages)
    named = {"run": hooks.run, "start_workers": hooks.start_workers}
    install_on_import(TABLE, named, stages.hook, patcher, recorder)


class LauncherHooks:
    """The hooks, for one process."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._waiting: OpenStage | None = None

    def run(self, call: Call) -> Generator[None, Ended, None]:
        """Record all that the agent does, and the end of its last wait."""
        begun = self._stages.begin("agent_run", _SOURCE)
        ended = yield
        self._stop_waiting(ended.error)
        self._stages.end(begun, ended.error)

    def start_workers(self, call: Call) -> Generator[None, Ended, None]:
        """Record the start of the workers, once or after a failure, and from then on the wait for them."""
        self._stop_waiting(None)
        begun = self._stages.begin("process_spawn", _SOURCE)
        ended = yield
        agent: Any = call.owner
        pids = {"child_pids": [worker.id for worker in agent.get_worker_group().workers]}
        begun.note(**pids)
        self._stages.end(begun, ended.error)
        if ended.error is None:
            self._waiting = self._stages.begin(WAITING, _SOURCE, data={"for": "the workers", **pids})

    def _stop_waiting(self, error: BaseException | None) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._stages.end(waiting, error)
