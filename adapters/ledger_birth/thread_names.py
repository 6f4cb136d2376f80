"""What the calling thread is called in an event."""

import os
import sys
from _thread import _local, get_native_id  # pyright: ignore[reportPrivateUsage]

from ledger_birth.json_text import json_text


def thread_name(local: _local) -> bytes:
    """Return the calling thread's name as JSON, which `local` keeps as its `name`."""
    try:
        return local.name
    except AttributeError:
        number, threading = get_native_id(), sys.modules.get("threading")
        # The module may be in the middle of its own import, which the main thread does as a rule.
        if threading is None or number == os.getpid():
            name = "MainThread" if number == os.getpid() else "Thread"
        else:
            name = str(threading.current_thread().name)
        text = local.name = json_text(f"{name}-{number}")
        return text
