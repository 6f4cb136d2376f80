"""As in vLLM: the processes of several API servers."""

from typing import Any


class APIServerProcessManager:
    def __init__(self, processes: list[Any]) -> None:
        self.processes = processes
        for process in processes:
            process.start()
