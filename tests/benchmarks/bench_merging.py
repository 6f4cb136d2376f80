"""Merging ledgers of a fleet, against copying the same rows as they are; thousands of small ones; again.

The floor is `INSERT ... SELECT` of every row of the same tables, in one transaction for each ledger, into a
ledger of the same schema without its triggers: nothing is looked at, nothing can be done again.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from fleet_of_sessions import write_fleet
from measuring import Figure, Goal, peak_memory_mb, rounds

from ledger.events.rows import EventRow
from ledger.storage.checkpoint_rows import CHECKPOINT_TABLES
from ledger.storage.merge_output import merge_output
from ledger.storage.merging import merge_all
from ledger.storage.projections import bring_up_to_date
from ledger.storage.record_rows import TABLES
from ledger.storage.store import Store

_SESSIONS: Final = int(os.environ.get("BENCH_SESSIONS", "400"))
_HOSTS: Final = 4
_SMALL: Final = 200
_ROUNDS: Final = 3
_EVENTS_A_SECOND: Final = 200_000
_TABLES: Final = {
    "events": EventRow._fields,
    **TABLES,
    "projected_sessions": ("session", "last_event_id", "event_count", "reducer_version"),
    **CHECKPOINT_TABLES,
}


def main() -> None:
    """Measure processor time, the best of several rounds; and the memory of a process that merges."""
    if sys.argv[1:]:
        merged(Path(sys.argv[1]), list(map(Path, sys.argv[2:])))
        print(peak_memory_mb())
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as name:
        folder = Path(name)
        events = write_fleet(folder / "hosts", _SESSIONS, _HOSTS, starts=1)
        hosts = sorted((folder / "hosts").iterdir())
        print(f"Merging {_HOSTS} ledgers, {events:,} events of {_SESSIONS:,} sessions")
        floor_s = merge_s = float("inf")
        for _ in range(rounds(_ROUNDS)):
            floor_s = min(floor_s, _seconds(folder, lambda into: copied(into, hosts)))
            merge_s = min(merge_s, _seconds(folder, lambda into: merged(into, hosts)))
        again_s = _seconds(folder, lambda into: merged(into, hosts), is_new=False)
        process = subprocess.run(
            [sys.executable, __file__, str(folder / "other.db"), *map(str, hosts)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        small = write_fleet(folder / "small", _SMALL, _SMALL, starts=1)
        paths = sorted((folder / "small").iterdir())
        small_s = _seconds(folder, lambda into: merged(into, paths))
    print(Figure("events a second, copied by `INSERT ... SELECT`", events / floor_s, "1/s"))
    print(Figure("events a second", events / merge_s, "1/s"))
    print(Figure("events a second, merged again", events / again_s, "1/s"))
    print(Goal("of copying", merge_s / floor_s, 1.3, "times"))
    print(Goal("an event", merge_s / events * 1e6, 1e6 / _EVENTS_A_SECOND, "µs"))
    print(Goal("peak memory", float(process.stdout), 400, "MB"))
    print(Figure("a ledger of one session", small_s / len(paths) * 1e3, "ms"))
    print(Figure("an event of such", small_s / small * 1e6, "µs"))


def merged(into: Path, sources: list[Path]) -> None:
    """Merge as the command does."""
    with merge_output(into) as store:
        merge_all(store, sources)
        bring_up_to_date(store)


def copied(into: Path, sources: list[Path]) -> None:
    """Copy all rows."""
    with closing(Store.open(into)) as store:
        run = store.connection.execute
        for (trigger,) in store.select("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
            run(f"DROP TRIGGER {trigger}")
        for source in sources:
            run("ATTACH ? AS source", [str(source)])
            with store.transaction():
                for table, columns in _TABLES.items():
                    names = ", ".join(columns)
                    rows = f"SELECT {names} FROM source.{table} ORDER BY rowid"
                    run(f"INSERT INTO main.{table} ({names}) {rows}")
            run("DETACH source")


def _seconds(folder: Path, make: Callable[[Path], None], *, is_new: bool = True) -> float:
    into = folder / "all.db"
    if is_new:
        into.unlink(missing_ok=True)
    start_s = time.process_time()
    make(into)
    return time.process_time() - start_s


if __name__ == "__main__":
    main()
