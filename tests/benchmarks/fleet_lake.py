"""Makes the lake of a large fleet out of that of a small one: each session is copied to other hosts.

    python tests/benchmarks/fleet_lake.py SMALL LAKE --copies 50 --hosts 50

A copy has another id and another host; everything else in it is as it was. Parts are those of a fleet in
which each host exports its own ledger, one for each host and day; with --merged there is one for each day, as
where one machine merges all ledgers and exports that.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ledger_parquet import Lake
from ledger_parquet.manifest import Manifest, PartSession
from ledger_parquet.part_writer import PartWriter
from ledger_parquet.staging import Staging


class _Copy(NamedTuple):
    """A session that is to be copied."""

    of: PartSession
    session: str
    host: str


class _Unsynced(Staging):
    """Waits for no disk: a lake that is made for a benchmark is made again after a crash."""

    def _publish(self, files: Mapping[Path, str]) -> None:
        for file, name in files.items():
            target = Path(self._root) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)


def write_lake(small: Path, folder: Path, copies: int, hosts: int = 50, *, is_merged: bool = False) -> int:
    """Write the lake of `copies` times as many sessions into an empty folder; return its events."""
    lake = Lake.open(str(small))
    place = {each.session: number for number, each in enumerate(lake.sessions())}
    events = 0
    with _Unsynced(lake.filesystem, str(folder)) as staging:
        for _, found in groupby(lake.parts, lambda part: part.date):
            parts = list(found)
            tables: dict[str, dict[str, Any]] = {table: {} for table in lake.tables()}
            for part in parts:
                for table in part.files:
                    tables[table] |= _by_session(lake.checked_path(part, table))
            sessions = [each for part in parts for each in part.sessions]
            for batch in _batches(sessions, place, copies, hosts, is_merged=is_merged):
                _write_part(staging, parts[0], tables, batch)
                events += sum(each.of.event_count for each in batch)
    return events


def _batches(
    sessions: Sequence[PartSession], place: dict[str, int], copies: int, hosts: int, *, is_merged: bool
) -> Iterator[list[_Copy]]:
    """Yield what each part of a day has."""
    by_host: defaultdict[str, list[_Copy]] = defaultdict(list)
    for each in sessions:
        for copy in range(copies):
            number = place[each.session] * copies + copy
            host = f"host-{number % hosts:02d}"
            name = f"{each.session.rpartition('-')[0]}-{number:08x}"
            by_host["" if is_merged else host].append(_Copy(each, name, host))
    return (sorted(found, key=lambda copy: copy.session) for found in by_host.values())


def _write_part(
    staging: Staging, of: Manifest, tables: dict[str, dict[str, Any]], copies: Iterable[_Copy]
) -> None:
    versions = {name: getattr(of, name) for name in ("schema_version", "event_format", "reducer_version")}
    with PartWriter(staging.part_folder(), of.date, versions) as writer:
        for copy in copies:
            for table, sessions in tables.items():
                if (rows := sessions.get(copy.of.session)) is not None:
                    writer.add(table, _renamed(rows, copy))
            writer.add_session(copy.of.model_copy(update={"session": copy.session}))
        contents = writer.finish()
    staging.commit(contents)


def _by_session(file: str) -> dict[str, Any]:
    """Return a table's rows, as one batch for each session."""
    rows = pq.ParquetFile(file).read().combine_chunks()
    ids = rows.column("session").to_pylist()
    starts = [place for place, name in enumerate(ids) if not place or name != ids[place - 1]]
    return {
        ids[start]: rows.slice(start, end - start).to_batches()[0]
        for start, end in pairwise([*starts, len(ids)])
    }


def _renamed(rows: Any, copy: _Copy) -> Any:
    found = {"session": copy.session, "host": copy.host}
    columns = [
        pa.array([found[name]] * len(rows), rows.schema.field(name).type) if name in found else column
        for name, column in zip(rows.schema.names, rows.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def main() -> None:
    """Write a lake as the command line says."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("small", type=Path)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--copies", type=int, default=50)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--merged", action="store_true")
    options = parser.parse_args()
    events = write_lake(options.small, options.lake, options.copies, options.hosts, is_merged=options.merged)
    print(f"{events:,} events in {options.lake}")


if __name__ == "__main__":
    main()
