"""Lakes of the kept recordings: the sessions of a ledger as Parquet files, a part for each date."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ledger import Event, Ledger
from ledger.events.rows import to_row
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store
from ledger_parquet.lake_files import data_path, manifest_path
from ledger_parquet.manifest import LAKE_FORMAT, Manifest, PartFile, PartSession
from ledger_parquet.tables import arrow_schema, table_names
from tests.support.gpu_starts import gpu_events
from tests.support.paths import DATA
from tests.support.recordings import RECORDINGS, events


def recorded_events() -> list[Event]:
    """Return the events of every kept recording: 73 starts."""
    names = sorted(file.name.removesuffix(".jsonl.gz") for file in (DATA / "gpu").glob("*.jsonl.gz"))
    of_gpus = [event for name in names for start in gpu_events(name).values() for event in start]
    return [*of_gpus, *(event for name in RECORDINGS for event in events(name))]


def write_ledger(path: Path, recorded: Iterable[Event]) -> Path:
    """Write a ledger of events, projected, and return its path."""
    store = Store.open(path)
    with store.transaction():
        store.append([to_row(event) for event in recorded])
    bring_up_to_date(store)
    store.close()
    return path


def write_lake(
    folder: Path, ledger: Ledger, edited: Callable[[str, dict[str, Any]], Any] | None = None
) -> Path:
    """Write all sessions of a ledger as a lake, and return its folder.

    `edited` gets the name of a table and each row of it, which it may change.
    """
    dates = {
        str(row["session"]): row["date"]
        for row in ledger.sql("SELECT session, substr(started_at, 1, 10) AS date FROM sessions")
    }
    of_date: defaultdict[str | None, list[str]] = defaultdict(list)
    for session, date in dates.items():
        of_date[date].append(session)
    files: defaultdict[str | None, dict[str, PartFile]] = defaultdict(dict)
    for table in table_names():
        rows: defaultdict[str | None, list[dict[str, Any]]] = defaultdict(list)
        for row in ledger.sql(f"SELECT * FROM {table}"):
            if edited is not None:
                edited(table, row)
            rows[dates[str(row["session"])]].append(row)
        for date in of_date:
            files[date][table] = _write(folder / data_path(table, date, _part(date)), table, rows[date])
    for date, sessions in of_date.items():
        manifest = Manifest(
            lake_format=LAKE_FORMAT, part=_part(date), date=date, schema_version=7, event_format=1,
            reducer_version=1, written_by="tests", files=files[date],
            sessions=tuple(
                PartSession(session=one, event_count=0, digest="", reducer_version=1) for one in sessions
            ),
        )  # fmt: skip
        place = folder / manifest_path(_part(date))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(manifest.model_dump_json())
    return folder


def _part(date: str | None) -> str:
    return f"part-{date or 'undated'}"


def _write(file: Path, table: str, rows: list[dict[str, Any]]) -> PartFile:
    schema = arrow_schema(table)
    columns = [
        pa.array([_typed(field.type, row[field.name]) for row in rows], field.type) for field in schema
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), file, compression="zstd")
    content = file.read_bytes()
    return PartFile(rows=len(rows), bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _typed(of_type: Any, value: Any) -> Any:
    return bool(value) if value is not None and pa.types.is_boolean(of_type) else value


@cache
def all_recorded() -> tuple[Event, ...]:
    """Return the events of every kept recording, read once."""
    return tuple(recorded_events())
