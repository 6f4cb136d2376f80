"""As in vLLM: a process that coordinates data parallel engines."""

import multiprocessing
from multiprocessing.connection import Connection


def _run_coordinator(pipe: Connection) -> None:
    pipe.send(("front", "input", "output"))


class DPCoordinator:
    def __init__(self, parallel_config: object) -> None:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        self.proc = context.Process(target=_run_coordinator, args=(theirs,))
        self.proc.start()
        self.addresses = self._wait_for_zmq_addrs(ours)
        self.proc.join()

    def _wait_for_zmq_addrs(self, zmq_addr_pipe: Connection) -> tuple[str, str, str]:
        return zmq_addr_pipe.recv()
