"""Reads a file ahead, so that the disk works while the processor does."""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final

_LARGEST: Final = 1 << 30
"""Bytes: more might push out of memory what is needed before."""
_AT_ONCE: Final = 1 << 20


@contextmanager
def read_ahead(path: Path | None, but_not: Iterable[Path]) -> Generator[None]:
    """Have the system read a file while the block runs, and no longer.

    Not if it is one of some files, under whatever name: closing it would take the locks away that SQLite has
    on them in this process.
    """
    if path is None or not path.is_file() or any(map(path.samefile, filter(os.path.exists, but_not))):
        yield
        return
    is_over = Event()
    thread = Thread(target=_read, args=(path, is_over), daemon=True, name="compile-ledger read ahead")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _read(path: Path, is_over: Event) -> None:
    buffer = bytearray(_AT_ONCE)
    with suppress(OSError), path.open("rb", buffering=0) as file:  # who reads it in earnest says why
        if os.fstat(file.fileno()).st_size <= _LARGEST:
            while not is_over.is_set() and file.readinto(buffer):
                continue
