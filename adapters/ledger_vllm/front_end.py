"""Hooks of vLLM's front end: its command line, its configuration, its API server, and when it can be asked.

What the front end does is in `front_end_start` from the call that makes an engine until requests can be
served: `LLM()` has returned, or the server accepts connections.
"""

import sys
from collections.abc import Generator
from typing import Final

from ledger.adapters import SERVER_READY
from ledger_engine.patching import Call, Ended, Patcher
from ledger_engine.stages import Stages
from ledger_vllm.engine import FRONT_END_START

_SERVER: Final = "server_start"
_CONFIGURATION: Final = "configuration"


class FrontEnd:
    """The hooks of the command line, of `LLM`, and of the API server."""

    def __init__(self, stages: Stages, patcher: Patcher) -> None:
        self._stages = stages
        self._patcher = patcher

    def command_line(self, call: Call) -> Generator[None, Ended, None]:
        """Record how long the command `vllm` takes to read its arguments."""
        self._stages.begin(_CONFIGURATION, "engine", data={"of": "command line"}, is_parent=False)
        self._end(_CONFIGURATION, (yield).error)

    def arguments_read(self, call: Call) -> Generator[None, Ended, None]:
        """End the reading of the command line, or record it where this is all there is of it."""
        if self._stages.innermost(_CONFIGURATION) is None:
            self._stages.begin(_CONFIGURATION, "engine", data={"of": "command line"}, is_parent=False)
        self._end(_CONFIGURATION, (yield).error)

    def load_plugins(self, call: Call) -> Generator[None, Ended, None]:
        """Record the loading of the plugins, which vLLM asks for often and does once."""
        if getattr(sys.modules.get("vllm.plugins"), "plugins_loaded", True):
            yield
            return
        begun = self._stages.begin("plugins_load", "engine")
        self._stages.end(begun, (yield).error)

    def llm(self, call: Call) -> Generator[None, Ended, None]:
        """Record the making of an `LLM`, which can be asked as soon as it is made."""
        begun = self._stages.begin(FRONT_END_START, "engine")
        ended = yield
        if ended.error is None:
            self._ready()
        self._stages.end(begun, ended.error)

    def api_server(self, call: Call) -> Generator[None, Ended, None]:
        """Record the start of an API server until it is ready: the same call then runs on, and serves."""
        if self._stages.innermost(FRONT_END_START) is not None:
            yield
            return
        self._stages.begin(FRONT_END_START, "engine", is_parent=False)
        self._end(FRONT_END_START, (yield).error)

    def server_start(self, call: Call) -> Generator[None, Ended, None]:
        """Record the making of the app and the start of its server, once the engine is there."""
        self._stages.begin(_SERVER, "engine", is_parent=False)
        self._end(_SERVER, (yield).error)

    def server_ready(self, call: Call) -> Generator[None, Ended, None]:
        """Note that the server accepts connections from now on."""
        ended = yield
        if self._stages.innermost(_SERVER) is None or ended.error is not None:
            # A server of somebody else's; or the call that starts this one fails next.
            return
        self._ready()
        self._end(_SERVER, None)
        self._end(FRONT_END_START, None)

    def _ready(self) -> None:
        self._stages.recorder.milestone(SERVER_READY)
        self._patcher.uninstall(lambda target: target.is_startup)

    def _end(self, stage: str, error: BaseException | None) -> None:
        """End a stage, unless what it was about has ended it."""
        if (begun := self._stages.innermost(stage)) is not None:
            self._stages.end(begun, error)
