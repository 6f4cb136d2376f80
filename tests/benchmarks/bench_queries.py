"""Saved queries on a ledger of a thousand sessions: how long each takes."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from measuring import Goal, rounds

from ledger import Ledger, saved_queries

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.many_sessions import write_many_sessions

_SESSIONS: Final = 1_000
_ROUNDS: Final = 3
_LIMIT_S: Final = 1.0


def main() -> None:
    """Write the ledger once, and ask it every query a few times; the fastest counts."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "many.db"
        events = write_many_sessions(path, _SESSIONS)
        print(f"Saved queries on {_SESSIONS:,} sessions, {events:,} events")
        with Ledger.open(path) as ledger:
            for query, sql in saved_queries().items():
                seconds = min(_seconds(ledger, sql) for _ in range(rounds(_ROUNDS)))
                print(Goal(query, seconds, _LIMIT_S, "s"))


def _seconds(ledger: Ledger, sql: str) -> float:
    start = time.perf_counter()
    ledger.sql(sql)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
