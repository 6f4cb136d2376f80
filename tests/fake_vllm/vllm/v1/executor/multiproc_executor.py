"""As in vLLM: a process for each worker, which forgives what its worker raises, and tells the executor."""

import multiprocessing
import os
import time
from dataclasses import dataclass
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
                output = getattr(self.worker, method, lambda: None)(*args)
            except Exception as e:
                logger.exception("WorkerProc hit an exception.")
                pipe.send(("FAILURE", str(e)))
                continue
            pipe.send(("SUCCESS", output))

    @staticmethod
    def make_worker_process(
        vllm_config: VllmConfig, local_rank: int, rank: int, inherited_fds: list[Connection] | None
    ) -> "WorkerProcHandle":
        context: Any = multiprocessing.get_context(os.environ.get("VLLM_WORKER_MULTIPROC_METHOD", "spawn"))
        ours, theirs = context.Pipe()
        inherited = [] if inherited_fds is None else [*inherited_fds, ours]
        process = context.Process(
            target=WorkerProc.worker_main,
            args=(vllm_config, rank, theirs, inherited),
            name=f"VllmWorker-{rank}",
        )
        process.start()
        theirs.close()
        return WorkerProcHandle(process, ours)

    @staticmethod
    def wait_for_ready(unready_proc_handles: "list[WorkerProcHandle]") -> "list[WorkerProcHandle]":
        for handle in unready_proc_handles:
            _receive(handle, "READY")
        return unready_proc_handles

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


@dataclass
class WorkerProcHandle:
    """A worker's process, and the way to it."""

    proc: Any
    pipe: Connection


def _receive(handle: WorkerProcHandle, expected: str) -> Any:
    try:
        status, output = handle.pipe.recv()
    except EOFError:
        status, output = "FAILURE", "WorkerProc initialization failed"
    if status != expected:
        raise RuntimeError(f"Worker failed with error {output!r}")
    return output


class MultiprocExecutor(Executor):
    """Has its workers in processes of their own."""

    def _init_executor(self) -> None:
        is_forked = os.environ.get("VLLM_WORKER_MULTIPROC_METHOD", "spawn") == "fork"
        self.workers: list[WorkerProcHandle] = []
        for rank in range(self.vllm_config.parallel_config.world_size):
            inherited = [handle.pipe for handle in self.workers] if is_forked else None
            self.workers.append(WorkerProc.make_worker_process(self.vllm_config, rank, rank, inherited))
        try:
            WorkerProc.wait_for_ready(self.workers)
        except RuntimeError:
            self.shutdown()
            raise

    def collective_rpc(
        self, method: str, *args: Any, timeout: float | None = None, non_block: bool = False
    ) -> list[Any]:
        for handle in self.workers:
            handle.pipe.send((method, args))
        try:
            return [_receive(handle, "SUCCESS") for handle in self.workers]
        except RuntimeError:
            self.shutdown()
            raise

    def shutdown(self) -> None:
        for handle in self.workers:
            handle.pipe.close()
        for handle in self.workers:
            handle.proc.join()
