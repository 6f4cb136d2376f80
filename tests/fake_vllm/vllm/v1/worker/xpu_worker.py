"""As in vLLM."""

from fake_work import work

from vllm.v1.worker.gpu_worker import Worker


class XPUWorker(Worker):
    """One rank with an accelerator of another kind."""

    def init_device(self) -> None:
        work("init_device")
