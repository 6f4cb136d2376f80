"""A lake on a store that speaks S3's protocol: moto's server, on loopback."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger_parquet import Lake
from ledger_parquet.exporter import ParquetExporter
from tests.adapters.test_ledger_parquet_export import a_start
from tests.support.lakes import exported, lake_rows, ledger_rows
from tests.support.small_ledgers import write_sessions

pytest.importorskip("s3fs")
BUCKET = "ledgers"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a place without a lake. The server is named as all of S3's clients are told of one."""
    import s3fs

    for name, text in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, text)
    s3fs.S3FileSystem.clear_instance_cache()
    system: Any = s3fs.S3FileSystem()
    system.makedirs(BUCKET, exist_ok=True)
    yield f"s3://{BUCKET}/{os.urandom(4).hex()}/lake"
    s3fs.S3FileSystem.clear_instance_cache()


def test_sessions_are_exported_replaced_and_read_back(lake: str, tmp_path: Path) -> None:
    first = write_sessions(tmp_path / "1.db", a_start("a"), a_start("b", 2))
    assert exported(first, lake).written == 2
    assert exported(first, lake).unchanged == 2
    assert lake_rows(lake) == ledger_rows(first)
    assert all(file.startswith("s3://") for file in Lake.open(lake).files("events"))

    assert exported(write_sessions(tmp_path / "2.db", a_start("a", more=2)), lake).written == 1
    found = {each.session: each.event_count for each in Lake.open(lake).sessions()}
    assert found["a"] == found["b"] + 4
    exporter = ParquetExporter()
    exporter.check(lake, ["a", "b"])
    counts = {session: len(list(rows)) for session, rows in exporter.events(lake, ["a"])}
    assert counts == {"a": found["a"]}


def test_what_is_not_there_is_one_line(lake: str) -> None:
    from ledger import LedgerError

    with pytest.raises(LedgerError, match="there is no lake here"):
        Lake.open(lake)


def test_nothing_is_left_in_the_temporary_folder(
    lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    exported(write_sessions(tmp_path / "1.db", a_start("a")), lake)
    assert list(place.iterdir()) == []
