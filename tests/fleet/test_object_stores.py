"""A lake on a store that speaks S3's protocol, moto's server on loopback, is asked as one on a disk is."""

from pathlib import Path

import pytest

from ledger import LedgerError
from ledger.fleet import Fleet, fleet_queries
from tests.adapters.test_ledger_parquet_export import a_start
from tests.adapters.test_ledger_parquet_s3 import lake, server  # noqa: F401
from tests.support.lakes import exported
from tests.support.small_ledgers import write_sessions


def test_duckdb_has_the_same_rows_of_it_for_every_fleet_query(lake: str, tmp_path: Path) -> None:  # noqa: F811
    ledger = write_sessions(tmp_path / "1.db", a_start("a"), a_start("b", 2))
    for place in (lake, tmp_path / "lake"):
        exported(ledger, place)
    with Fleet.open(lake) as there, Fleet.open(str(tmp_path / "lake")) as here:
        assert list(there.rows("SELECT count(*) AS n FROM events")) != [{"n": 0}]
        for name in fleet_queries():
            assert list(there.query(name)) == list(here.query(name)), name
        assert sum(int(str(row["starts"])) for row in there.query("starts_per_day")) == 2


def test_a_file_that_is_missing_there_is_said_in_a_line(lake: str, tmp_path: Path) -> None:  # noqa: F811
    import s3fs

    exported(write_sessions(tmp_path / "1.db", a_start("a")), lake)
    s3fs.S3FileSystem().rm(f"{lake}/sessions", recursive=True)
    with Fleet.open(lake) as fleet, pytest.raises(LedgerError, match="is missing") as caught:
        list(fleet.rows("SELECT count(*) FROM sessions"))
    assert len(str(caught.value).splitlines()) == 1
