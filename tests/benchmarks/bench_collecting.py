"""Collecting, against inserting the same rows as they are; and by part.

The floor is `executemany` in one transaction, into the same table without its triggers, nothing validated.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from measuring import Figure, Goal, rounds

from ledger import Recorder
from ledger.events.line_rows import parse_row
from ledger.events.models import parse_event
from ledger.events.rows import EventRow
from ledger.gc_pause import gc_paused
from ledger.recording.journal import journal_folder, journals, read_lines
from ledger.storage.collector import collect
from ledger.storage.store import Store

_EVENTS: Final = 200_000
_ROUNDS: Final = 3
_INSERT: Final = (
    f"INSERT INTO events ({', '.join(EventRow._fields)}) VALUES ({', '.join('?' * len(EventRow._fields))})"
)


def main() -> None:
    """Collect one large journal, several times into new ledgers, beside each part of that alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recorder = Recorder.open(folder / "written.db")
        for _ in range(_EVENTS // 2):
            with recorder.stage("torch_compile", role="encoder", source="monitor", component="VisionBlock"):
                pass
        [journal] = journals(journal_folder(folder / "written.db"))
        texts, _ = read_lines(journal)
        rows = [parse_row(text) for text in texts]

        def inserted(store: Store) -> None:
            with store.transaction():
                store.connection.executemany(_INSERT, rows)

        def appended(store: Store) -> None:
            with store.transaction():
                assert store.append(rows).new == len(rows)

        def collected(store: Store) -> None:
            done = collect(store, journal.parent, remove=False)
            assert (done.events, done.rejected) == (len(rows), 0)

        parts: dict[str, Callable[[], float]] = {
            "floor": lambda: _filled(folder, inserted, has_triggers=False),
            "collect": lambda: _filled(folder, collected),
            "read": lambda: _seconds(lambda: read_lines(journal)),
            "validate": lambda: _seconds(lambda: [parse_event(text) for text in texts]),
            "rows": lambda: _seconds(lambda: [parse_row(text, 0) for text in texts]),
            "insert": lambda: _filled(folder, appended, has_triggers=False),
            "triggers": lambda: _filled(folder, appended),
        }
        best = dict.fromkeys(parts, float("inf"))
        for _ in range(rounds(_ROUNDS)):
            for part, measure in parts.items():
                best[part] = min(best[part], measure())
        recorder.close()
    each_us = {part: seconds / len(rows) * 1e6 for part, seconds in best.items()}
    print(f"Collecting {len(rows):,} events")
    print(Figure("rows a second, unvalidated by `executemany`", len(rows) / best["floor"], "1/s"))
    print(Figure("events a second", len(rows) / best["collect"], "1/s"))
    print(Figure("reading, an event", each_us["read"], "µs"))
    print(Figure("validating into rows, an event", each_us["rows"], "µs"))
    print(Figure("validating into models alone, an event", each_us["validate"], "µs"))
    print(Figure("inserting, an event", each_us["insert"], "µs"))
    print(Figure("triggers, an event", each_us["triggers"] - each_us["insert"], "µs"))
    print(Goal("of inserting unvalidated", best["collect"] / best["floor"], 2.2, "times"))


def _filled(folder: Path, fill: Callable[[Store], object], *, has_triggers: bool = True) -> float:
    """Return the seconds that filling a new ledger takes."""
    path = folder / "ledger.db"
    path.unlink(missing_ok=True)
    with closing(Store.open(path)) as store:
        if not has_triggers:
            _drop_triggers(store.connection)
        return _seconds(lambda: fill(store))


def _drop_triggers(connection: sqlite3.Connection) -> None:
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")


def _seconds(call: Callable[[], object]) -> float:
    with gc_paused():
        start = time.perf_counter()
        call()
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
