"""As in vLLM."""

import time
from multiprocessing.connection import Connection

import fake_work
from fake_work import work

from vllm import is_at_least
from vllm.config import VllmConfig
from vllm.logger import configure_logging, init_logger
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.executor.abstract import Executor

logger = init_logger(__name__)


def freeze_gc_heap() -> None:
    work("gc")


class EngineCore:
    """The engine."""

    def __init__(self, vllm_config: VllmConfig, executor_class: type[Executor], log_stats: bool) -> None:
        from vllm.plugins import load_general_plugins

        load_general_plugins()
        self.vllm_config = vllm_config
        self.model_executor = executor_class(vllm_config)
        try:
            self._initialize_kv_caches(vllm_config)
        except Exception:
            self.model_executor.shutdown()
            raise
        self.scheduler = Scheduler()
        freeze_gc_heap()

    def step(self) -> None:
        self.scheduler.update_from_output(None, None)

    def _initialize_kv_caches(self, vllm_config: VllmConfig) -> None:
        start = time.time()
        self.model_executor.collective_rpc("determine_available_memory")
        work("get_kv_cache_configs")
        self.model_executor.initialize_from_config(["kv cache config"])
        elapsed = time.time() - start
        config = vllm_config.compilation_config
        message = "init engine (profile, create kv cache, warmup model) took %.2f "
        if not is_at_least("0.20.0"):
            logger.info_once(message + "seconds", elapsed, scope="local")
            return
        language_model, encoder = config.compilation_time, config.encoder_compilation_time
        if encoder > 0:
            message += "s (compilation: %.2f s — language_model: %.2f s, encoder: %.2f s)"
            logger.info_once(message, elapsed, language_model + encoder, language_model, encoder)
        elif language_model > 0:
            logger.info_once(message + "s (compilation: %.2f s)", elapsed, language_model)
        else:
            logger.info_once(message + "s", elapsed)


class EngineCoreProc(EngineCore):
    """The engine in a process of its own."""

    def __init__(self, vllm_config: VllmConfig, executor_class: type[Executor], log_stats: bool) -> None:
        super().__init__(vllm_config, executor_class, log_stats)

    def run_busy_loop(self) -> None:
        for _ in range(3):
            self.step()
        self.model_executor.collective_rpc("execute_dummy_batch")

    @staticmethod
    def run_engine_core(
        pipe: Connection, *, vllm_config: VllmConfig, executor_class: type[Executor], log_stats: bool
    ) -> None:
        if is_at_least("0.32.0"):
            configure_logging(vllm_config.logging_config)
        fake_work.FAULTS.update(vllm_config.faults)
        try:
            engine_core = EngineCoreProc(vllm_config, executor_class, log_stats)
            pipe.send("READY")
            engine_core.run_busy_loop()
            engine_core.model_executor.shutdown()
        except Exception:
            logger.exception("EngineCore failed to start.")
            raise
        finally:
            pipe.close()


class DPEngineCoreProc(EngineCoreProc):
    """The engine of one of several data parallel ranks."""

    def run_busy_loop(self) -> None:
        work("busy loop")
