"""Sessions as an archive of CSV: a file for each table, row by row what SQL says, and nothing that runs."""

import csv
import io
import tracemalloc
from pathlib import Path
from zipfile import ZipFile

import pytest

from ledger import Ledger, UnknownSession, parse_event
from ledger.adapters import schema
from ledger.interchange.csv_cells import cell
from ledger.interchange.exporters import export, exporter_of
from ledger.testing import MemoryLedger, SessionBuilder
from tests.support.paths import DATA
from tests.support.small_ledgers import write_sessions


def tables(ledger: Ledger, *sessions: str) -> dict[str, list[dict[str, str]]]:
    written = b"".join(export(ledger, sessions or ledger.sessions(), exporter_of("csv")))
    with ZipFile(io.BytesIO(written)) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    return {
        name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(text, newline="")))
        for name, text in texts.items()
    }


@pytest.mark.parametrize("name", ["demo", "vllm"])
def test_each_table_has_the_rows_that_sql_has(name: str) -> None:
    events = map(parse_event, (DATA / f"{name}.jsonl").read_bytes().splitlines())
    with MemoryLedger(events) as ledger:
        found = tables(ledger)
        of_sessions = {table: about for table, about in schema().items() if "session" in about.columns}
        assert set(found) == set(of_sessions)
        for table, about in of_sessions.items():
            columns = ", ".join(f'"{column}"' for column in about.columns)
            rows = ledger.sql(f'SELECT {columns} FROM "{table}"')
            expected = [
                tuple("" if value is None else str(cell(value)) for value in row.values()) for row in rows
            ]
            assert sorted(tuple(row.values()) for row in found[table]) == sorted(expected), table
        assert len(found["intervals"]) > 100


def test_only_the_sessions_that_are_asked_for_and_heads_where_there_are_no_rows() -> None:
    builders = [SessionBuilder(session) for session in ("one", "other")]
    for builder in builders:
        builder.begin()
        builder.stop(20, builder.start(10, "dynamo"))
    with MemoryLedger([event for builder in builders for event in builder.events]) as ledger:
        found = tables(ledger, "other")
        assert {row["session"] for rows in found.values() for row in rows} == {"other"}
        written = b"".join(export(ledger, ["one"], exporter_of("csv")))
        with ZipFile(io.BytesIO(written)) as archive:
            assert archive.read("claims.csv").decode().startswith("session,process,claim,")
        with pytest.raises(UnknownSession):
            tables(ledger, "missing")


def test_what_a_spreadsheet_would_run_is_text() -> None:
    builder = SessionBuilder("session")
    builder.begin(label='=HYPERLINK("http://x","y")')
    with MemoryLedger(builder.events) as ledger:
        [row] = tables(ledger)["sessions"]
    assert row["label"] == '\'=HYPERLINK("http://x","y")'


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        builder = SessionBuilder("start")
        builder.begin()
        for number in range(count):
            builder.stop(2 * number + 2, builder.start(2 * number + 1, "dynamo"))
        with Ledger.open(write_sessions(tmp_path / f"{count}.db", builder)) as ledger:
            tracemalloc.start()
            for _ in export(ledger, ["start"], exporter_of("csv")):
                pass
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    peak(10)  # what is loaded once
    assert peak(4_000) < 1.5 * peak(1_000)
