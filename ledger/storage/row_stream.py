"""Gives a query's rows one by one, for as long as they come."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ledger.errors import InvalidQuery
from ledger.storage.sqlite_errors import notice_signals

if TYPE_CHECKING:
    from sqlite_utils import Database

_INSTRUCTIONS_BETWEEN: Final = 100_000
"""Of SQLite's between two looks at the clock: some milliseconds."""


def streamed(
    db: "Database", query: str, parameters: Sequence[object] | dict[str, object], patience_s: float | None
) -> Iterator[dict[str, object]]:
    """Yield a query's rows as dictionaries; text that is not UTF-8 is shown as far as it is.

    Raises InvalidQuery where no row comes for `patience_s`, and whatever SQLite raises.
    """
    connection: sqlite3.Connection = db.conn
    begun_s = time.monotonic()

    def is_too_long() -> bool:
        return patience_s is not None and time.monotonic() - begun_s > patience_s

    connection.set_progress_handler(is_too_long, _INSTRUCTIONS_BETWEEN)
    connection.text_factory = _readable
    try:
        for row in db.query(query, parameters):  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            yield row
            begun_s = time.monotonic()
    except sqlite3.OperationalError as error:
        if str(error) == "interrupted" and is_too_long():
            raise InvalidQuery(f"no row came for {patience_s:g} s; --timeout allows for more") from error
        raise
    finally:
        with suppress(sqlite3.ProgrammingError):  # closed meanwhile, with rows left
            connection.text_factory = str
            notice_signals(connection)


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "replace")
