"""As in vLLM."""

from typing import Any

from fake_work import work


class PyNcclCommunicator:
    """One group's communicator."""

    def __init__(self, group: Any, device: Any) -> None:
        work("ncclCommInitRank")
