"""Tells that a row of events has a value of another type, which only a file has that somebody edited."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from ledger.errors import LedgerDamaged
from ledger.storage.store import Store

_OTHER_TYPES: Final = """
    SELECT id FROM events WHERE
        typeof(session) <> 'text' OR typeof(process) <> 'text' OR typeof(kind) <> 'text'
        OR typeof(seq) <> 'integer' OR typeof(at_ns) <> 'integer'
        OR typeof(interval) NOT IN ('integer', 'null') OR typeof(parent) NOT IN ('integer', 'null')
        OR typeof(stage) NOT IN ('text', 'null') OR typeof(role) NOT IN ('text', 'null')
        OR typeof(component) NOT IN ('text', 'null') OR typeof(source) NOT IN ('text', 'null')
        OR typeof(activity) NOT IN ('text', 'null') OR typeof(outcome) NOT IN ('text', 'null')
        OR typeof(error) NOT IN ('text', 'null') OR typeof(data) NOT IN ('text', 'null')
        OR typeof(body) NOT IN ('text', 'null') OR typeof(thread) NOT IN ('text', 'null')
    LIMIT 1
"""
"""Events whose columns have another type: our tables are STRICT and have none."""


@contextmanager
def faults_of_edited_rows(store: Store) -> Generator[None]:
    """Turn what goes wrong because a column has a value of another type, in an edited file, into a line."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        where = next(iter(store.select(_OTHER_TYPES)), None)
        if where is None:
            raise
        raise LedgerDamaged(
            f"{store.path}: damaged (row {where[0]} of the events is none); `compile-ledger verify` says more"
        ) from error
