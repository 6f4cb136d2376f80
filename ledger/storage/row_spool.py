"""Reads the rows of a query at one moment, and hands them out one by one for as long as somebody takes them.

A large session has more rows than fit into memory, and who writes one into a pipe may take an hour for it, in
which others want to write to the ledger. So the rows are read at once, into a temporary file where they are
many, and handed out from there.
"""

import marshal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any, Final

from ledger.errors import LedgerNotWritable
from ledger.storage.sqlite_errors import sqlite_errors_translated
from ledger.storage.store import Store

_IN_MEMORY_BYTES: Final = 8 << 20
_ROWS_AT_ONCE: Final = 1_000
_LENGTH_BYTES: Final = 8


def spooled_rows(store: Store, query: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
    """Read the rows of a query of ours, and return them to be taken one by one.

    The query has run to its end when this returns. Raises LedgerError where the ledger can't be read, and
    LedgerNotWritable where there is no room for the temporary file.
    """
    with ExitStack() as opened:
        spool: IO[bytes] = opened.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))
        with sqlite_errors_translated(store.path):
            cursor = store.connection.execute(query, tuple(values))
            while some := cursor.fetchmany(_ROWS_AT_ONCE):
                _write(spool, some)
        spool.seek(0)
        opened.pop_all()
    rows = _read(spool)
    next(rows)  # so that the file is closed also where nobody takes a row
    return rows


def _write(spool: IO[bytes], rows: list[tuple[Any, ...]]) -> None:
    page = marshal.dumps(rows)
    try:
        spool.write(len(page).to_bytes(_LENGTH_BYTES, "little") + page)
    except OSError as error:
        raise LedgerNotWritable(
            f"{tempfile.gettempdir()}: no room for a session's intervals ({error.strerror or error}); "
            "name another folder in TMPDIR"
        ) from error


def _read(spool: IO[bytes]) -> Iterator[tuple[Any, ...]]:
    with spool:
        yield ()
        while length := spool.read(_LENGTH_BYTES):
            yield from marshal.loads(spool.read(int.from_bytes(length, "little")))
