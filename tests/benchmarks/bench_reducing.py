"""Reducing and projecting a session of a million stored events: against an early version, and against DuckDB.

The early version, without a breakdown, compilations or findings, is taken out of this repository's
history. DuckDB computes the role totals alone, out of the same rows, fetched by Python: what any reducer in
Python has to begin with. The floor is what any projection has to do besides reducing: fetch those rows, and
insert the rows of all derived tables.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from measuring import Figure, Goal, per_call_us, rounds
from reduce_once import PROCESS, SESSION, fill

from ledger import Ledger
from ledger.events.rows import EventRow
from ledger.storage.projections import rebuild
from ledger.storage.record_rows import TABLES
from ledger.storage.store import Store
from ledger.timeline.stage_events import Starts, Stops

_HERE: Final = Path(__file__).parent
_EARLY: Final = "cd29d06"
_INTERVALS: Final = int(os.environ.get("BENCH_INTERVALS", "500000"))
_FEWER: Final = max(1, _INTERVALS // 10)
_UNION: Final = """
    WITH intervals AS (
        SELECT activity, s.at_ns AS start_ns, e.at_ns AS stop_ns FROM starts s JOIN stops e USING (interval)
    ),
    reached AS (
        SELECT *, max(stop_ns) OVER (
            PARTITION BY activity ORDER BY start_ns ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS reached_ns
        FROM intervals
    )
    SELECT activity, sum(greatest(0, stop_ns - greatest(start_ns, coalesce(reached_ns, start_ns))))
    FROM reached GROUP BY activity
"""


def main() -> None:
    """Measure both versions in turns, then DuckDB."""
    print(f"Reducing and projecting {2 * _INTERVALS:,} stored events")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        early = _checkout(_EARLY, folder / "early")
        now, then = [], []
        for _ in range(rounds(3)):
            now.append(_reduce_once(_HERE.parents[1], _INTERVALS))
            if early is not None:
                then.append(_reduce_once(early, _INTERVALS))
        seconds = min(each["seconds"] for each in now)
        fewer_s = min(_reduce_once(_HERE.parents[1], _FEWER)["seconds"] for _ in range(rounds(3)))
        fetch_s, duckdb_s, insert_s, totals_ms = _others(folder)
    print(Figure("time", seconds, "s"))
    print(Figure("per event", seconds / _INTERVALS / 2 * 1e6, "us"))
    early_s = min((each["seconds"] for each in then), default=0.0)
    if then:
        print(Figure(f"time of {_EARLY}", early_s, "s"))
        print(Goal(f"time against {_EARLY}", seconds / early_s, 0.35, "x"))
    print(Figure("fetching the rows", fetch_s, "s"))
    print(Figure("inserting the derived rows", insert_s, "s"))
    floor_s = fetch_s + insert_s
    print(Figure("floor per event: fetching and inserting", floor_s / _INTERVALS / 2 * 1e6, "us"))
    if then:
        print(Figure(f"floor against {_EARLY}", floor_s / early_s, "x"))
    print(Figure("floor against fetching and DuckDB", floor_s / (fetch_s + duckdb_s), "x"))
    print(Figure("time against the floor", seconds / floor_s, "x"))
    print(Figure("DuckDB's totals out of them", duckdb_s, "s"))
    print(Goal("time against fetching and DuckDB", seconds / (fetch_s + duckdb_s), 1.2, "x"))
    growth = seconds / fewer_s * _FEWER / _INTERVALS
    print(Goal(f"cost of an event against {2 * _FEWER:,} of them", growth, 1.3, "x"))
    print(Goal("peak memory", min(each["megabytes"] for each in now), 200, "MB"))
    print(Goal("role totals out of the projection", totals_ms, 10, "ms"))


def _checkout(commit: str, folder: Path) -> Path | None:
    """Unpack a commit; None where the history does not have it, as in a shallow clone."""
    archived = subprocess.run(
        ["git", "archive", commit, "ledger", "adapters", "migrations"],
        cwd=_HERE.parents[1],
        capture_output=True,
    )
    if archived.returncode:
        print(f"  {commit} is not in this clone's history: no ratio against it")
        return None
    with tarfile.open(fileobj=BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _reduce_once(checkout: Path, intervals: int) -> dict[str, float]:
    command = [sys.executable, "-P", str(_HERE / "reduce_once.py"), str(checkout), str(intervals)]
    environment = {**os.environ, "PYTHONPATH": str(_HERE)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _others(folder: Path) -> tuple[float, float, float, float]:
    """Return the seconds of fetching, of DuckDB and of inserting, and the milliseconds of a total."""
    import duckdb
    import pyarrow

    path = folder / "startup.db"
    store = Store.open(path)
    fill(store, EventRow, _INTERVALS)

    def fetched() -> list[list[Any]]:
        return [
            store.connection.execute(
                f"SELECT {', '.join(fields)} FROM events "
                "WHERE session = ? AND process = ? AND kind = ? ORDER BY seq",
                (SESSION, PROCESS, kind),
            ).fetchall()
            for kind, fields in (("stage_started", Starts._fields), ("stage_stopped", Stops._fields))
        ]

    (starts, stops), fetch_s = _timed(fetched)

    def totals() -> list[Any]:
        connection = duckdb.connect()
        for name, rows, fields in (("starts", starts, Starts._fields), ("stops", stops, Stops._fields)):
            columns = dict(zip(fields, zip(*rows, strict=True), strict=True))
            table = {field: columns[field] for field in ("at_ns", "interval", "activity") if field in columns}
            connection.register(name, pyarrow.table(table))  # pyright: ignore[reportUnknownMemberType]
        return connection.execute(_UNION).fetchall()

    found, duckdb_s = _timed(totals)
    rebuild(store)
    insert_s = _seconds_of_inserting(store, folder / "floor.db")
    store.close()
    with Ledger.open(path) as ledger:
        query = "SELECT activity, total_ns FROM role_totals WHERE session = ?"
        [expected] = ledger.sql(query, [SESSION])
        assert found == [tuple(expected.values())], (found, expected)
        return fetch_s, duckdb_s, insert_s, per_call_us(lambda: ledger.sql(query, [SESSION]), 100) / 1e3


def _seconds_of_inserting(store: Store, path: Path) -> float:
    """Insert the rows of all derived tables, as they are, into those of an empty ledger."""
    rows = {
        table: store.select(f"SELECT {', '.join(columns)} FROM {table} ORDER BY rowid")
        for table, columns in TABLES.items()
    }
    other = Store.open(path)

    def inserted() -> None:
        with other.transaction():
            for table, columns in TABLES.items():
                marks = ", ".join("?" * len(columns))
                other.connection.executemany(
                    f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows[table]
                )

    _, seconds = _timed(inserted)
    other.close()
    return seconds


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call gives, and its seconds of processor time, all threads included."""
    start_s = time.process_time()
    result = call()
    return result, time.process_time() - start_s


if __name__ == "__main__":
    main()
