"""Begins the recording of an engine in a process, once, however often its adapter is loaded."""

import threading
from typing import Final

from ledger import Recorder
from ledger.adapters import EngineDescription, register_engine

_lock: Final = threading.Lock()
_activated: Final[set[str]] = set()


def activate_once(description: EngineDescription, recorder: Recorder | None = None) -> Recorder | None:
    """Return the recorder for an engine's hooks, and register the engine, before the first event.

    None where recording is off, or where the engine's hooks are there already. `recorder` is the process's
    own where it is left out.
    """
    recorder = recorder or Recorder.from_environment()
    if not recorder.enabled:
        return None
    with _lock:
        if description.package in _activated:
            return None
        _activated.add(description.package)
    register_engine(description)
    return recorder
