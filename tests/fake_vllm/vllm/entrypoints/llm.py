"""As in vLLM."""

import os

from vllm.config import VllmConfig
from vllm.engine.arg_utils import EngineArgs
from vllm.logger import configure_logging_if_needed
from vllm.model_executor.models.registry import inspect_model_cls
from vllm.renderers.base import BaseRenderer


class LLM:
    """The front end for a script."""

    def __init__(self, vllm_config: VllmConfig, *, looks_model_up: bool = False) -> None:
        from vllm.plugins import load_general_plugins

        load_general_plugins()
        configure_logging_if_needed(vllm_config.logging_config)
        if looks_model_up:
            inspect_model_cls()
        EngineArgs(vllm_config).create_engine_config()
        renderer = BaseRenderer(vllm_config)
        from vllm.v1.engine.core_client import InprocClient, SyncMPClient
        from vllm.v1.executor.abstract import UniProcExecutor
        from vllm.v1.executor.multiproc_executor import MultiprocExecutor

        several = vllm_config.parallel_config.world_size > 1 or vllm_config.is_cpu
        executor_class = MultiprocExecutor if several else UniProcExecutor
        if os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING", "1") == "0":
            self.engine: InprocClient | SyncMPClient = InprocClient(vllm_config, executor_class, False)
        else:
            self.engine = SyncMPClient(vllm_config, executor_class, False)
        renderer.warmup(None)

    def shutdown(self) -> None:
        if hasattr(self.engine, "shutdown"):
            self.engine.shutdown()
