"""Where a merge writes to: a new ledger appears once it is complete, and what was interrupted goes on."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.cli import app
from ledger.errors import LedgerError
from ledger.storage import merge_output as module
from ledger.storage.merge_output import is_unfinished, merge_output
from ledger.storage.merging import ledgers_in, merge_all
from ledger.storage.read_ahead import read_ahead
from ledger.storage.store import Store
from ledger.testing import SessionBuilder
from tests.support.processes import Spawn, exit_code
from tests.support.small_ledgers import write_sessions


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "hosts"
    folder.mkdir()
    return [write_session(folder / f"{number}.db", number) for number in range(3)]


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "merged"
    folder.mkdir()
    return folder / "all.db"


def write_session(path: Path, number: int) -> Path:
    builder = SessionBuilder(f"20261129-120000-0000000{number}")
    builder.begin()
    builder.stop(2, builder.start(1, "dynamo"))
    builder.end(3)
    return write_sessions(path, builder)


def merge(sources: list[Path], into: Path) -> None:
    with merge_output(into) as store:
        merge_all(store, sources)


def stop_after(sources: list[Path], into: Path) -> None:
    """Merge some ledgers, then stop as Ctrl-C does."""
    with pytest.raises(KeyboardInterrupt), merge_output(into) as store:  # noqa: PT012
        merge_all(store, sources)
        raise KeyboardInterrupt


def sessions_in(path: Path) -> int:
    with closing(Store.open_to_read(path)) as store:
        return len(store.select("SELECT DISTINCT session FROM events"))


def test_a_new_ledger_appears_once_it_is_complete(sources: list[Path], into: Path) -> None:
    with merge_output(into) as store:
        merge_all(store, sources)
        assert not into.exists()
        assert all(map(is_unfinished, into.parent.iterdir()))
        assert store.select("PRAGMA main.synchronous") == [(0,)]
    assert list(into.parent.iterdir()) == [into]
    assert into.stat().st_nlink == 1
    assert sessions_in(into) == 3


def test_what_was_merged_before_an_error_is_not_merged_again(sources: list[Path], into: Path) -> None:
    stop_after(sources[:2], into)
    assert not into.exists()
    assert ledgers_in([into.parent.parent]) == sources  # what is unfinished is none of them
    with merge_output(into) as store:
        assert merge_all(store, sources[:2]).events == 0
        assert merge_all(store, sources).events > 0
    assert list(into.parent.iterdir()) == [into]
    assert sessions_in(into) == 3


def test_after_an_error_nothing_is_left(sources: list[Path], into: Path) -> None:
    sources[1].write_bytes(b"no ledger" * 100)
    result = CliRunner().invoke(app, ["merge", *map(str, sources), "-o", str(into)])
    assert result.exit_code != 0
    assert list(into.parent.iterdir()) == []


def test_the_command_says_that_it_goes_on_with_what_was_left(sources: list[Path], into: Path) -> None:
    stop_after(sources[:2], into)
    [unfinished] = into.parent.iterdir()
    result = CliRunner().invoke(app, ["merge", *map(str, sources), "-o", str(into)])
    assert result.exit_code == 0
    assert f"going on with {unfinished}, left by an interrupted merge" in result.stderr
    assert sessions_in(into) == 3


def test_what_can_not_be_derived_is_merged_all_the_same(sources: list[Path], into: Path) -> None:
    with closing(sqlite3.connect(sources[1])) as connection, connection:
        connection.execute("DROP TRIGGER events_no_update")
        connection.execute("UPDATE events SET body = '{' WHERE seq = 0")
        connection.execute("DELETE FROM projected_sessions")
    result = CliRunner().invoke(app, ["merge", *map(str, sources), "-o", str(into)])
    assert result.exit_code != 0
    assert list(into.parent.iterdir()) == [into]
    assert sessions_in(into) == 3


def test_what_a_merge_left_before_the_machine_went_down_is_begun_anew(
    sources: list[Path], into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "boot_id", lambda: "earlier-boot")
    stop_after(sources[:1], into)
    [unfinished] = into.parent.iterdir()
    unfinished.write_bytes(unfinished.read_bytes()[:5_000])
    of_another_host = into.parent / f".{into.name}.merging-another-host-earlier-boot"
    of_another_host.touch()
    monkeypatch.undo()
    merge(sources, into)
    assert sorted(into.parent.iterdir()) == [of_another_host, into]
    assert sessions_in(into) == 3


def test_a_ledger_that_was_made_meanwhile_is_not_replaced(sources: list[Path], into: Path) -> None:
    with pytest.raises(LedgerError, match="was made meanwhile; merge") as raised, merge_output(into) as store:  # noqa: PT012
        merge_all(store, sources[:2])
        write_session(into, 2)
    assert sessions_in(into) == 1
    [unfinished] = set(into.parent.iterdir()) - {into}
    assert str(unfinished) in str(raised.value)
    merge([unfinished], into)
    assert sessions_in(into) == 3


def test_a_ledger_that_is_there_is_merged_into_safely(sources: list[Path], into: Path) -> None:
    merge(sources[:1], into)
    with merge_output(into) as store:
        merge_all(store, sources)
        assert store.path == into
        assert store.select("PRAGMA main.synchronous") == [(3,)]  # EXTRA
    assert sessions_in(into) == 3


def test_where_boots_have_no_ids_nothing_is_left_to_chance(
    sources: list[Path], into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "boot_id", lambda: None)
    with merge_output(into) as store:
        assert store.path == into
        assert store.select("PRAGMA main.synchronous") == [(3,)]


def test_a_file_system_without_links_does_as_well(
    sources: list[Path], into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    merge(sources, into)
    assert list(into.parent.iterdir()) == [into]
    assert sessions_in(into) == 3
    other = into.with_name("other.db")
    with pytest.raises(LedgerError, match="was made meanwhile"), merge_output(other):
        write_session(other, 2)


def test_two_merges_at_once_make_one_ledger(sources: list[Path], into: Path, spawn: Spawn) -> None:
    first, second = (spawn(lambda some=some: merge(some, into)) for some in (sources[:2], sources[1:]))
    assert [exit_code(first), exit_code(second)] == [0, 0]
    assert list(into.parent.iterdir()) == [into]
    assert sessions_in(into) == 3


def test_a_merge_killed_between_two_names_leaves_one(sources: list[Path], into: Path) -> None:
    stop_after(sources, into)
    [unfinished] = into.parent.iterdir()
    os.link(unfinished, into)
    merge(sources, into)
    assert list(into.parent.iterdir()) == [into]


def test_sources_that_are_one_file_keep_their_locks(sources: list[Path], into: Path) -> None:
    """Reading the second name ahead, and closing it, would take SQLite's lock from the first."""
    same = sources[0].with_name("same.db")
    os.link(sources[0], same)
    threads = threading.active_count()
    with merge_output(into) as store:
        store.connection.execute("ATTACH ? AS held", [str(sources[0])])
        with store.transaction():
            store.select("SELECT count(*) FROM held.events")
            with read_ahead(same, [sources[0]]):
                assert threading.active_count() == threads
            program = (
                "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN EXCLUSIVE')"
            )
            ran = subprocess.run([sys.executable, "-c", program, sources[0]], capture_output=True, text=True)
            assert "database is locked" in ran.stderr
        store.connection.execute("DETACH held")
        merge_all(store, [sources[0], same])
    assert sessions_in(into) == 1
