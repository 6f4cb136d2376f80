"""Brings a ledger up to date before it is read: its journals are collected and its projections derived."""

import os
from collections.abc import Callable
from pathlib import Path

from ledger.recording.journal import journal_folder
from ledger.storage.collector import Collected, collect
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import READER_WAIT_S, Store


def refresh(
    path: Path, progress: Callable[[int], None] | None = None, *, wait_s: float = READER_WAIT_S
) -> Collected:
    """Collect a ledger's journals and bring its projections up to date. Raises LedgerError."""
    store = Store.open(path, wait_s=wait_s)
    try:
        collected = collect(store, journal_folder(path), progress=progress)
        bring_up_to_date(store)
        return collected
    finally:
        store.close()


def in_memory(path: Path) -> Store:
    """Read a ledger and the journals that wait for it into memory, and leave both as they are."""
    return copied(path)[0]


def copied(path: Path, progress: Callable[[int], None] | None = None) -> tuple[Store, Collected]:
    """Read a ledger as `in_memory` does; return also what became of the journals."""
    if os.path.exists(path) and os.path.getsize(path):
        file = Store.open_to_read(path)
        try:
            store = file.copied_to_memory()
        finally:
            file.close()
    else:
        store = Store.in_memory()
    collected = collect(store, journal_folder(path), progress=progress)
    bring_up_to_date(store)
    return store, collected
