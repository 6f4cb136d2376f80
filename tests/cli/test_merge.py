"""`merge` on a terminal: how far it is, and what Ctrl-C leaves."""

import sys
from contextlib import closing
from pathlib import Path

import pytest

from ledger.events.rows import EventRow
from ledger.storage import merging
from ledger.storage.store import Store
from ledger.testing import SessionBuilder
from tests.support.small_ledgers import write_sessions
from tests.support.terminals import terminal

INTERRUPTED_AFTER_TWO = """
import os, signal
from ledger.events.rows import EventRow
from ledger.storage import merging
merge, merged = merging.merge, []
def interrupted(store, source, told):
    if len(merged) == 2:
        os.kill(os.getpid(), signal.SIGINT)
    merged.append(source)
    return merge(store, source, told)
merging.merge = interrupted
from ledger.cli import main
main()
"""


@pytest.fixture
def ledgers(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "hosts"
    folder.mkdir()
    found: list[Path] = []
    for number in range(3):
        builder = SessionBuilder(f"20261128-120000-0000000{number}")
        builder.begin()
        builder.stop(2, builder.start(1, "dynamo"))
        builder.end(3)
        found.append(write_sessions(folder / f"{number}.db", builder))
    return found


def rows_of(path: Path) -> list[EventRow]:
    with closing(Store.open_to_read(path)) as store:
        return [
            row
            for session in store.select("SELECT session FROM sessions")
            for row in store.rows(str(session[0]))
        ]


def test_an_interrupted_merge_says_that_it_goes_on_and_does(ledgers: list[Path], tmp_path: Path) -> None:
    command = ["merge", *map(str, ledgers), "-o", str(tmp_path / "all.db")]
    with terminal([sys.executable, "-c", INTERRUPTED_AFTER_TWO, *command]) as opened:
        assert opened.finish() == 130
        assert b"interrupted: " in opened.screen
        assert b"goes on from there" in opened.screen
        assert b"Traceback" not in opened.screen
    assert not (tmp_path / "all.db").exists()
    with terminal([sys.executable, "-m", "ledger.cli", *command]) as opened:
        assert opened.finish() == 0
        number = len(rows_of(ledgers[2]))
        expected = f"merged 3 ledgers: {number} new events, {2 * number} already there"
        assert expected.encode() in opened.screen


def test_what_is_told_of_the_progress_adds_up_to_what_there_is(ledgers: list[Path], tmp_path: Path) -> None:
    again = tmp_path / "again.db"  # has the events of the first, without projections
    with closing(Store.open(again)) as store, store.transaction():
        store.append(rows_of(ledgers[0]))
    into = Store.open(tmp_path / "all.db")
    for source in (ledgers[0], again, ledgers[1], ledgers[1]):
        told: list[int] = []
        merging.merge(into, source, told.append)
        assert sum(told) == merging.size_of(source)
        assert min(told) >= 0
    into.close()
