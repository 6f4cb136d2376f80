"""Who waits for another process says so, where somebody listens."""

import fcntl
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.storage import waiting
from ledger.storage.journal_folders import only_collector
from ledger.storage.store import Store


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    said: list[str] = []
    for module in ("store", "journal_folders"):
        monkeypatch.setattr(f"ledger.storage.{module}.SAID_AFTER_S", 0.05)
    waiting.tell_waits(said.append)
    yield said
    waiting.tell_waits(None)


def held(path: Path) -> sqlite3.Connection:
    """Return a connection that writes to a ledger."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_a_writer_says_once_which_ledger_is_being_written_to(path: Path, lines: list[str]) -> None:
    Store.open(path).close()
    store = Store.open(path, wait_s=0.2)
    with closing(held(path)) as other:
        for _ in range(2):
            with pytest.raises(Exception, match="is writing to it"), store.transaction():
                pytest.fail("two at once")
        other.execute("ROLLBACK")
    with store.transaction():
        assert store.connection.execute("PRAGMA busy_timeout").fetchall() == [(200,)]
    store.close()
    assert lines == [f"{path}: another process is writing to it; waiting up to 0 s"]


def test_without_a_listener_it_waits_in_silence(path: Path, lines: list[str]) -> None:
    Store.open(path).close()
    waiting.tell_waits(None)
    store = Store.open(path, wait_s=0.2)
    with closing(held(path)), pytest.raises(Exception, match="is writing to it"), store.transaction():
        pytest.fail("two at once")
    store.close()
    assert lines == []


def test_a_collector_says_that_another_is_at_work(tmp_path: Path, lines: list[str]) -> None:
    with (tmp_path / "collector.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with only_collector(tmp_path, wait_s=0.3) as is_mine:
            assert not is_mine
    assert lines == [f"{tmp_path}: another process collects them; waiting up to 0 s"]


def test_a_command_says_it_on_stderr(path: Path) -> None:
    Store.open(path).close()
    with closing(held(path)) as other:
        command = subprocess.Popen(
            [sys.executable, "-m", "ledger.cli", "rebuild", str(path)], stderr=subprocess.PIPE, text=True
        )
        assert command.stderr is not None
        line = command.stderr.readline()
        other.execute("ROLLBACK")
        _, rest = command.communicate(timeout=60)
    assert "another process is writing to it; waiting up to 30 s" in line
    assert (command.returncode, rest) == (0, "")
