"""Opens pipes to read, as `<(…)` makes them: not where nobody writes to one, which would never end."""

import os
import select
from pathlib import Path
from typing import BinaryIO, Final

from ledger.errors import LedgerError

FOR_SOMEBODY_S: Final = 5.0
"""How long to wait until somebody opens a pipe's other end: a shell does so at once."""


def opened_to_read(file: Path) -> BinaryIO:
    """Open a pipe. Raises LedgerError where nobody writes to it."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    # Without a writer there is nothing to wait for, and reading gives an end that is none.
    if not poll.poll(FOR_SOMEBODY_S * 1000):
        os.close(descriptor)
        raise LedgerError(f"{file}: a pipe that nobody writes to")
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb")
