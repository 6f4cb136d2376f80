"""What a worker process of an export does: job after job, until its standard input ends."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import traceback
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

from ledger import LedgerError
from ledger_parquet.jobs import Context
from ledger_parquet.lake import Lake
from ledger_parquet.lake_files import file_system, imported
from ledger_parquet.ledger_tables import LedgerTables


class _Answers:
    """The pipe to the process that asks; nothing else may write to it."""

    def __init__(self) -> None:
        self._pipe: Final = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        self._lock: Final = Lock()
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(self, kind: str, value: Any) -> None:
        with self._lock:
            self._pipe.write(pickle.dumps((kind, value)))
            self._pipe.flush()


def main() -> None:
    """Do jobs until there are no more."""
    answers = _Answers()
    asked: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_read, args=(asked,), daemon=True).start()
    gc.freeze()
    arrow = imported("pyarrow")
    arrow.set_cpu_count(1)
    ledger, url = asked.get()
    context: Context | None = None
    while True:
        job = asked.get()
        try:
            if context is None:
                lake = Lake(url, *file_system(url), ())
                context = Context(LedgerTables(ledger), lake, partial(answers.send, "progress"))
            answers.send("done", job.run(context))
        except Exception as error:
            answers.send("failed", _sendable(error))


def _read(asked: SimpleQueue[Any]) -> None:
    """Pass on what is asked, and end the process with its input: nobody waits for an answer any more."""
    with suppress(EOFError):
        while True:
            asked.put(pickle.load(sys.stdin.buffer))
    os._exit(0)


def _sendable(error: Exception) -> Exception:
    if isinstance(error, LedgerError | OSError):
        with suppress(Exception):
            pickle.loads(pickle.dumps(error))
            return error
    traceback.print_exception(error)
    return LedgerError(f"a process of the export failed: {type(error).__name__}: {error}")
