"""What a lake of Parquet files holds, for the tests to compare."""

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from ledger import Ledger
from ledger_parquet import Lake
from ledger_parquet.exporter import ParquetExporter
from tests.benchmarks.fleet_of_sessions import write_ledger


def small_ledger(path: Path, *numbers: int, seed: int = 1) -> Path:
    """Write a ledger of some sessions of the synthesised fleet, by their numbers."""
    write_ledger(path, numbers, len(numbers), seed)
    return path


def exported(ledger: Path, lake: Path | str, *sessions: str) -> Any:
    """Export a ledger's sessions, all where none is named, and return what was done."""
    with Ledger.open(ledger) as opened:
        names = list(sessions) or opened.sessions()
    return ParquetExporter().write(ledger, names, str(lake), lambda _: None)


def lake_rows(lake: Path | str) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table of a lake, by session."""
    opened = Lake.open(str(lake))
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in opened.tables():
        parts: list[Any] = []
        for file in opened.files(table):
            with opened.filesystem.open(file, "rb") as stream:
                parts.append(pyarrow.parquet.ParquetFile(stream).read())
        found = pyarrow.concat_tables(parts).to_pylist()
        rows[table] = sorted(found, key=lambda row: (row["session"], repr(row)))
    return rows


def ledger_rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that a lake should have of a ledger, as SQL gives them."""
    from ledger_parquet.tables import arrow_schema, table_names

    rows: dict[str, list[dict[str, Any]]] = {}
    with Ledger.open(path) as ledger:
        for table in table_names():
            of_table = arrow_schema(table)
            found = ledger.sql(f"SELECT {', '.join(of_table.names)} FROM {table}")
            for row in found:
                for field in of_table:
                    if str(field.type) == "bool" and row[field.name] is not None:
                        row[field.name] = bool(row[field.name])
            rows[table] = sorted(found, key=lambda row: (str(row["session"]), repr(row)))
    return rows


def valid_bytes(lake: Path | str) -> dict[str, bytes]:
    """Return the files of a lake that count, and their bytes; of manifests those that are valid."""
    opened = Lake.open(str(lake))
    files = {file: Path(file).read_bytes() for table in opened.tables() for file in opened.files(table)}
    found = {str(Path(file).relative_to(lake)): text for file, text in files.items()}
    for part in opened.parts:
        found[part.part] = (Path(lake) / "_parts" / f"{part.part}.json").read_bytes()
    return found
