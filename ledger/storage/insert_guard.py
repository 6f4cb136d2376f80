"""Takes the trigger that looks at each inserted event away, for a transaction that inserts very many.

It is there so that a careless INSERT OR REPLACE replaces no event, and takes as long as inserting itself.
Nobody else can write while it is away, and it comes back in the same transaction: one that is rolled back, or
whose process is killed, leaves it where it was. The unique key stands all the while.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from ledger.storage.store import Store

_TRIGGER: Final = "events_no_replace"
_FEW: Final = 500
"""So many events are looked at in the time that taking the trigger away and back may cost others."""


@contextmanager
def without_insert_guard(store: Store, events: int) -> Generator[None]:
    """Let the block, which is within a transaction, insert about so many events by plain INSERTs."""
    rows = store.select("SELECT sql FROM main.sqlite_schema WHERE type = 'trigger' AND name = ?", [_TRIGGER])
    if events < _FEW or not rows:
        yield
        return
    store.connection.execute(f"DROP TRIGGER main.{_TRIGGER}")
    yield
    store.connection.execute(str(rows[0][0]))
