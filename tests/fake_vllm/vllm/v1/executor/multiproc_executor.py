"""As in vLLM: a process for each worker, which forgives what its worker raises, and tells the executor."""

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from typing import Any

import fake_work

from vllm.config import VllmConfig
from vllm.logger import configure_logging, init_logger
from vllm.v1.executor.abstract import Executor

logger = init_logger(__name__)


class WorkerProc:
    """Runs a worker in a process of its own."""

    def __init__(self, vllm_config: VllmConfig, local_rank: int, rank: int) -> None:
        from vllm.plugins import load_general_plugins

        load_general_plugins()
        from vllm.v1.worker.cpu_worker import CPUWorker
        from vllm.v1.worker.gpu_worker import Worker

        self.worker = (CPUWorker if vllm_config.is_cpu else Worker)(vllm_config, local_rank, rank)
        self.worker.init_device()
        self.worker.load_model()

    def worker_busy_loop(self, pipe: Connection) -> None:
        while True:
            try:
                method, args = pipe.recv()
            except EOFError:
                return
            try:
                if method == "determine_available_memory":
                    time.sleep(self.worker.vllm_config.slow_ranks.get(self.worker.rank, 0.0))
                output = getattr(self.worker, method)(*args)
            except Exception as e:
                logger.exception("WorkerProc hit an exception.")
                pipe.send(("FAILURE", str(e)))
                continue
            pipe.send(("SUCCESS", output))

    @staticmethod
    def worker_main(
        vllm_config: VllmConfig, rank: int, pipe: Connection, inherited: list[Connection]
    ) -> None:
        for other in inherited:
            other.close()
        configure_logging(vllm_config.logging_config)
        fake_work.FAULTS.update(vllm_config.faults)
        is_ready = False
        try:
            worker = WorkerProc(vllm_config, rank, rank)
            is_ready = True
            pipe.send(("READY", None))
            worker.worker_busy_loop(pipe)
        except Exception:
            logger.exception("WorkerProc failed." if is_ready else "WorkerProc failed to start.")
        finally:
            pipe.close()


class MultiprocExecutor(Executor):
    """Has its workers in processes of their own."""

    def _init_executor(self) -> None:
        context: Any = multiprocessing.get_context(os.environ.get("VLLM_WORKER_MULTIPROC_METHOD", "spawn"))
        is_forked = context.get_start_method() == "fork"
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        for rank in range(self.vllm_config.parallel_config.world_size):
            ours, theirs = context.Pipe()
            self.pipes.append(ours)
            arguments = (self.vllm_config, rank, theirs, list(self.pipes) if is_forked else [])
            process = context.Process(
                target=WorkerProc.worker_main, args=arguments, name=f"VllmWorker-{rank}"
            )
            process.start()
            theirs.close()
            self.processes.append(process)
        self._gather("READY")

    def collective_rpc(self, method: str, *args: Any) -> list[Any]:
        for pipe in self.pipes:
            pipe.send((method, args))
        return self._gather("SUCCESS")

    def _gather(self, expected: str) -> list[Any]:
        outputs = []
        for pipe in self.pipes:
            try:
                status, output = pipe.recv()
            except EOFError:
                status, output = "FAILURE", "WorkerProc initialization failed"
            if status != expected:
                self.shutdown()
                raise RuntimeError(f"Worker failed with error {output!r}")
            outputs.append(output)
        return outputs

    def shutdown(self) -> None:
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join()
