"""Each fleet query and each saved query over a lake of 10,000 sessions, asked of DuckDB.

Cold is `compile-ledger fleet LAKE --query NAME` as a user runs it, with a table for its output, from the
start of the process to its end; warm is the same query once more in a process that has asked it before.
Beside them stands what DuckDB takes to count the rows of the tables that the query reads, in a query written
by hand. Goals are the wall's; processor time, of all threads, says more on a busy machine.

The lake is made of 200 real starts, copied to 50 hosts (`fleet_lake`): it takes some minutes and 2 GB.
$BENCH_LAKE names one that is there already, and arguments name the only queries to ask.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
from fleet_lake import write_lake
from fleet_of_sessions import write_ledger
from measuring import Figure, Goal, Took, fastest

from ledger import saved_queries
from ledger.fleet import Fleet, fleet_queries
from ledger.fleet.queries import query_over_lake
from ledger.fleet.translation import STARTS, parsed, tables_of
from ledger_parquet import Lake

_SESSIONS, _COPIES, _HOSTS = 200, 50, 50
_LIMIT_S: Final = 2.0


def main() -> None:
    """Ask each query a few times; the fastest counts."""
    with _lake() as url:
        lake = Lake.open(url)
        sessions = lake.sessions()
        events = sum(each.event_count for each in sessions)
        print(f"{len(sessions):,} sessions, {events:,} events, {len(lake.parts):,} files of each table")
        with Fleet.open(url) as fleet, duckdb.connect() as by_hand:
            for name in sys.argv[1:] or (*fleet_queries(), *saved_queries()):
                command = [sys.executable, "-m", "ledger.cli", "fleet", url, "--query", name]
                cold = fastest(lambda command=command: _run(command))
                warm = _warm(lambda name=name: list(fleet.query(name)))
                counts = _counts(lake, name)
                count = _warm(lambda counts=counts: by_hand.execute(counts).fetchall())
                print(Goal(f"{name}, cold", cold.wall_s, _LIMIT_S, "s"))
                print(Figure(f"{name}, cold, processor", cold.processor_s, "s"))
                print(Figure(f"{name}, warm", warm.wall_s, "s"))
                print(Figure(f"{name}, warm, processor", warm.processor_s, "s"))
                print(Figure(f"{name}, its rows counted, processor", count.processor_s, "s"))
                ratio = warm.processor_s / max(count.processor_s, 1 / os.sysconf("SC_CLK_TCK"))
                print(Figure(f"{name}, warm against counted", ratio, "x"), flush=True)


@contextmanager
def _lake() -> Iterator[str]:
    """Yield the path of the lake that is named, or of one that is made and goes again."""
    if "BENCH_LAKE" in os.environ:
        yield os.environ["BENCH_LAKE"]
        return
    with tempfile.TemporaryDirectory() as folder:
        ledger, small, large = (Path(folder) / name for name in ("fleet.db", "small", "large"))
        write_ledger(ledger, range(_SESSIONS), _HOSTS, 1)
        export = ["export", str(ledger), "--format", "parquet", "-o", str(small)]
        _run([sys.executable, "-m", "ledger.cli", *export])
        ledger.unlink()
        write_lake(small, large, _COPIES, _HOSTS, is_merged=True)
        yield str(large)


def _counts(lake: Lake, name: str) -> str:
    """Return DuckDB's SQL that counts the rows of all tables that a query names."""
    tables = tables_of(parsed(query_over_lake(name))) - {STARTS}
    return " UNION ALL ".join(
        f"SELECT count(*) FROM read_parquet({lake.files(table)!r})" for table in sorted(tables)
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def _warm(call: Callable[[], object]) -> Took:
    """Return what the fastest of some calls took after a first one."""
    call()
    return fastest(call)


if __name__ == "__main__":
    main()
