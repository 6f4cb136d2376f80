import json
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pytest

from ledger import LedgerError
from ledger.adapters import schema
from ledger_parquet import Lake, LakeSession


def written_part(lake: Path, part: str, *sessions: str, replaces: tuple[str, ...] = (), **more: Any) -> None:
    """Write a part with one table whose file has no rows to speak of: readers of the folder open none."""
    file = lake / "events" / "date=2026-01-02" / f"{part}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"PAR1")
    manifest = {
        "lake_format": 1,
        "part": part,
        "date": "2026-01-02",
        "schema_version": 7,
        "event_format": 1,
        "reducer_version": 9,
        "written_by": "1.0",
        "replaces": replaces,
        "sessions": [
            {"session": each, "event_count": 3, "digest": "d", "reducer_version": 9} for each in sessions
        ],
        "files": {"events": {"rows": 0, "bytes": 4, "sha256": "0"}},
        **more,
    }
    (lake / "_parts").mkdir(exist_ok=True)
    (lake / "_parts" / f"{part}.json").write_text(json.dumps(manifest))


def test_a_lake_has_the_parts_that_no_other_replaces(tmp_path: Path) -> None:
    written_part(tmp_path, "p0", "a", "b")
    written_part(tmp_path, "p1", "a", "b", replaces=("p0",))
    written_part(tmp_path, "p2", "c")
    lake = Lake.open(str(tmp_path))
    assert [Path(file).stem for file in lake.files("events")] == ["p1", "p2"]
    assert lake.sessions()[0] == LakeSession("a", "2026-01-02", 3, "d", "p1")
    assert [each.session for each in lake.sessions()] == ["a", "b", "c"]


def test_a_file_without_a_manifest_is_no_part(tmp_path: Path) -> None:
    written_part(tmp_path, "p0", "a")
    (tmp_path / "events" / "date=2026-01-02" / "p9.parquet").write_bytes(b"PAR1 and more")
    assert len(Lake.open(str(tmp_path)).files("events")) == 1


def test_the_paths_of_a_local_lake_are_plain_and_those_of_another_are_urls(tmp_path: Path) -> None:
    written_part(tmp_path, "p0", "a")
    (file,) = Lake.open(tmp_path.as_uri()).files("events")
    assert Path(file).is_file()
    memory = "memory://lake"
    fsspec.filesystem("memory").put(str(tmp_path), "/lake", recursive=True)
    try:
        assert all(each.startswith("memory://") for each in Lake.open(memory).files("events"))
    finally:
        fsspec.filesystem("memory").rm("/lake", recursive=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lake_format": 2}, "written by a newer compile-ledger"),
        ({"sessions": "none"}, "damaged"),
        ({"lake_format": None}, "damaged"),
    ],
)
def test_a_newer_or_damaged_lake_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    written_part(tmp_path, "p0", "a")
    written_part(tmp_path, "p1", "b", **change)
    with pytest.raises(LedgerError, match=words):
        Lake.open(str(tmp_path))


@pytest.mark.parametrize("url", ["nothing/here", "nosuchscheme://bucket/lake"])
def test_a_place_without_a_lake_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(LedgerError, match=r"there is no lake here|no place that fsspec can open"):
        Lake.open(url if "://" in url else str(tmp_path / url))


def test_a_missing_or_shortened_file_is_refused_and_named(tmp_path: Path) -> None:
    written_part(tmp_path, "p0", "a")
    file = tmp_path / "events" / "date=2026-01-02" / "p0.parquet"
    file.write_bytes(b"PAR")
    with pytest.raises(LedgerError, match=r"p0\.parquet: has 3 bytes, not 4"):
        Lake.open(str(tmp_path)).files("events")
    file.unlink()
    with pytest.raises(LedgerError, match=r"p0\.parquet: is missing"):
        Lake.open(str(tmp_path)).files("events")


def test_a_session_in_two_parts_is_refused(tmp_path: Path) -> None:
    written_part(tmp_path, "p0", "a", "b")
    written_part(tmp_path, "p1", "b", "c")
    with pytest.raises(LedgerError, match="session b is in it twice"):
        Lake.open(str(tmp_path))


def test_the_tables_are_those_that_are_documented_with_a_type_for_each_column(tmp_path: Path) -> None:
    written_part(tmp_path, "p0", "a")
    lake = Lake.open(str(tmp_path))
    documented = {name: each for name, each in schema().items() if not each.is_internal}
    assert set(documented) - set(lake.tables()) == {"rejected_lines", "ledger_info"}
    for table in lake.tables():
        assert lake.schema(table).names == list(documented[table].columns)
        assert {field.name: str(field.type) for field in lake.schema(table)} == lake.column_types(table)
    assert lake.schema("intervals").field("start_ns").type == pyarrow.int64()
    assert lake.schema("intervals").field("is_top_level").type == pyarrow.bool_()
    assert lake.schema("sessions").field("started_at").type == pyarrow.string()
    assert lake.schema("role_totals").field("total_s").type == pyarrow.float64()
    with pytest.raises(LedgerError, match="no table 'rejected_lines'"):
        lake.files("rejected_lines")
