"""Has what torch compiles recorded into another recorder for a while, beside that of the process."""

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
"""Those that began before `torch._dynamo.utils` was imported."""
_is_told_of_import = False


@contextmanager
def recording_to(recorder: Recorder) -> Generator[None]:
    """Record what torch compiles while the body runs, in any thread of this process, into `recorder`.

    Whatever records already goes on recording, and of several such contexts each gets everything. torch may
    be imported before, inside, or not at all; without it nothing is recorded. Of a compile that another
    thread is in when the body begins or ends, a part is recorded.
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
    global _is_told_of_import
    with _lock:
        _waiting.add(listener)
        is_first, _is_told_of_import = not _is_told_of_import, True
    if is_first:
        # Where torch is there already, this calls it at once.
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
