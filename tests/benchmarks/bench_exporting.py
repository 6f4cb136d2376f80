"""Exporting a ledger of a fleet's sessions to Parquet, beside fetching the same rows alone.

What is fetched is every row of every table, as Arrow, in one process: nothing that reads the ledger through
SQLite takes less. The command shares its work among processes: processor time is that of all together, memory
what they have at once, where pages that several share count once.

    python tests/benchmarks/bench_exporting.py [LEDGER]
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from measuring import Figure, Goal, fastest

from ledger_parquet.jobs import READING_EVENTS
from ledger_parquet.lake import Lake
from ledger_parquet.ledger_tables import LedgerTables
from ledger_parquet.plans import in_groups
from ledger_parquet.tables import table_names
from ledger_parquet.writing import write_sessions

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.fleet_of_sessions import write_ledger

_SESSIONS: Final = int(os.environ.get("BENCH_SESSIONS", "400"))
"""Of some 2,000 events each."""
_LOOK_S: Final = 0.2
_MB: Final = 1e6


def main() -> None:
    """Measure each a few times; the fastest counts, of memory the most."""
    with tempfile.TemporaryDirectory() as name:
        if len(sys.argv) > 1:
            path = Path(sys.argv[1])
        else:
            path = Path(name) / "host.db"
            write_ledger(path, range(_SESSIONS), 1, 1)
        with closing(LedgerTables(path)) as tables:
            events = sum(each.event_count for each in tables.sessions())
        print(f"Exporting {events:,} events to Parquet")
        fetching = fastest(lambda: _fetch(path))
        print(
            Figure("fetching the rows alone, processor time", _us(fetching.processor_s, events), "us/event")
        )
        alone = fastest(lambda: _export(path, Path(name)))
        print(Goal("one process, against fetching", alone.processor_s / fetching.processor_s, 1.6, "x"))
        print(Figure("one process, processor time", _us(alone.processor_s, events), "us/event"))
        most_bytes: list[int] = []
        command = fastest(lambda: most_bytes.append(_command(path, Path(name))))
        print(Figure("the command, processor time", _us(command.processor_s, events), "us/event"))
        print(Goal("the command, time on the wall", _us(command.wall_s, events), 5.0, "us/event"))
        print(Goal("the command, memory of its processes", max(most_bytes) / _MB, 400, "MB"))


def _fetch(path: Path) -> None:
    with closing(LedgerTables(path)) as tables:
        for group in in_groups(tables.sessions(), READING_EVENTS):
            with tables.at_one_moment([each.session for each in group]):
                for table in table_names():
                    for _ in tables.batches(table):
                        pass


def _export(path: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as lake, closing(LedgerTables(path)) as tables:
        sessions = [each.session for each in tables.sessions()]
        done = write_sessions(tables, sessions, Lake.open_if_there(f"{lake}/lake"), processes=1)
        assert done.written == len(sessions)


def _command(path: Path, folder: Path) -> int:
    """Export with the command, and return the most bytes that its processes had at once."""
    with tempfile.TemporaryDirectory(dir=folder) as lake:
        arguments = ["export", str(path), "--format", "parquet", "-o", f"{lake}/lake"]
        running = subprocess.Popen(
            [sys.executable, "-m", "ledger.cli", *arguments], stderr=subprocess.DEVNULL
        )
        most = 0
        while running.poll() is None:
            most = max(most, sum(map(_own_bytes, [running.pid, *_children(running.pid)])))
            time.sleep(_LOOK_S)
        assert running.returncode == 0
        return most


def _us(seconds: float, events: int) -> float:
    return seconds / events * 1e6


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return []  # it has ended


def _own_bytes(pid: int) -> int:
    """Return the memory of a process: a page that others have too counts in part. 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
