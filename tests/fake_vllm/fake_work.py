"""What stands for work in the fakes of vLLM and torch: a short sleep at a place that a test may fail."""

import os
import time

SECONDS = float(os.environ.get("FAKE_WORK_S", "0.0005"))

FAULTS: dict[str, BaseException] = {}
"""What is to be raised where. `vllm.config.VllmConfig.faults` brings it to the processes that vLLM starts."""


def work(place: str, times: int = 1) -> None:
    """Take a moment, and fail where a test wants it."""
    time.sleep(SECONDS * times)
    if (fault := FAULTS.get(place)) is not None:
        raise fault
