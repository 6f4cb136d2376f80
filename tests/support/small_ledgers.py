"""Ledgers on disk, of sessions that a test builds by hand."""

from pathlib import Path

from ledger.events.rows import to_row
from ledger.storage.ledger import Ledger
from ledger.storage.store import Store
from ledger.testing import SessionBuilder


def write_sessions(path: Path, *builders: SessionBuilder) -> Path:
    """Write a ledger that has these sessions, projected, and return its path."""
    store = Store.open(path)
    for builder in builders:
        with store.transaction():
            store.append(list(map(to_row, builder.events)))
    store.close()
    Ledger.open(path).close()
    return path
