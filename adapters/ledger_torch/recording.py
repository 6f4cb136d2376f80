"""Records compiles into an additional recorder for a while, besides the process's own."""

import logging
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

from wrapt import register_post_import_hook

from ledger import Recorder
from ledger_torch.hook_targets import UTILS
from ledger_torch.hooks import Listener

_LOG: Final = logging.getLogger("ledger")
_lock: Final = threading.Lock()
_waiting: Final[set[Listener]] = set()
"""Listeners that began before `torch._dynamo.utils` was imported."""
_has_import_hook = False


@contextmanager
def recording_to(recorder: Recorder) -> Generator[None]:
    """Record what torch compiles while the body runs, in any thread of this process, into `recorder`.

    Other recorders keep recording, and with several such contexts each one gets everything. torch may be
    imported before or inside the body, or never; then nothing is recorded. A compile that another thread is
    running when the body begins or ends is recorded in part.
    """
    listener = Listener(recorder)
    if recorder.enabled:
        _begin(listener)
    try:
        yield
    finally:
        with _lock:
            _waiting.discard(listener)
        listener.stop(sys.modules.get(UTILS))


def _begin(listener: Listener) -> None:
    global _has_import_hook
    with _lock:
        _waiting.add(listener)
        is_first, _has_import_hook = not _has_import_hook, True
    if is_first:
        # If torch is already imported, this calls it at once.
        register_post_import_hook(_listen_all, UTILS)
    elif (utils := sys.modules.get(UTILS)) is not None:
        _listen_all(utils)


def _listen_all(utils: ModuleType) -> None:
    with _lock:
        listeners = list(_waiting)
        _waiting.clear()
    for listener in listeners:
        try:
            listener.listen(utils)
        except Exception as error:
            # This may run inside the program's own import.
            _LOG.warning("compile-ledger: torch.compile is not recorded: %s: %s", type(error).__name__, error)
