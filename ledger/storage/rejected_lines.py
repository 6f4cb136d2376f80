"""Says of a ledger without a session what was imported into it, and could not be used."""

from typing import Final

from ledger.formatting import cut
from ledger.storage.store import Store

_SHOWN: Final = 120


def said_of_rejected_lines(store: Store) -> str:
    """Return how many there are, and the first one, as the end of a sentence; nothing without any."""
    rows = store.select(
        "SELECT file, line, reason, text, count(*) OVER () FROM rejected_lines ORDER BY id LIMIT 1"
    )
    if not rows:
        return ""
    [(file, line, reason, text, count)] = rows
    shown = cut(str(text), _SHOWN)
    return f", and {count:,} lines that could not be used; {file}, line {line}: {reason}: {shown}"
