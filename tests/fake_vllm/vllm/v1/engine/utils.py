"""As in vLLM: the processes of the engine, seen from the front end."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import Any

from vllm.config import VllmConfig
from vllm.v1.executor.abstract import Executor


class CoreEngineProcManager:
    """Starts the engine in a process of its own."""

    def __init__(
        self, vllm_config: VllmConfig, executor_class: type[Executor], log_stats: bool, pipe: Connection
    ) -> None:
        from vllm.v1.engine.core import EngineCoreProc

        context: Any = multiprocessing.get_context(os.environ.get("VLLM_WORKER_MULTIPROC_METHOD", "spawn"))
        kwargs = {"vllm_config": vllm_config, "executor_class": executor_class, "log_stats": log_stats}
        process = context.Process(
            target=EngineCoreProc.run_engine_core, name="EngineCore", args=(pipe,), kwargs=kwargs
        )
        self.processes = [process]
        process.start()


def wait_for_engine_startup(handshake_socket: Connection, proc_manager: CoreEngineProcManager | None) -> None:
    try:
        handshake_socket.recv()
    except EOFError:
        raise RuntimeError("Engine core initialization failed.") from None


def launch_core_engines(
    vllm_config: VllmConfig, executor_class: type[Executor], log_stats: bool
) -> CoreEngineProcManager:
    context: Any = multiprocessing.get_context(os.environ.get("VLLM_WORKER_MULTIPROC_METHOD", "spawn"))
    ours, theirs = context.Pipe()
    manager = CoreEngineProcManager(vllm_config, executor_class, log_stats, theirs)
    theirs.close()
    try:
        wait_for_engine_startup(ours, manager)
    except RuntimeError:
        manager.processes[0].join()
        raise
    finally:
        ours.close()
    return manager
