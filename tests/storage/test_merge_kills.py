"""SIGKILL in a merge, at 200 random moments: merging again gives what an undisturbed merge does.

The moments are drawn in the work, not in time: as a number of SQLite's steps after which the merging process
kills itself. So they lie anywhere in it, however busy the machine is, also within a transaction that is then
taken back. Some merges are killed several times before one is let through.
"""

import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from ledger import Event, Recorder
from ledger.events.rows import to_row
from ledger.recording.journal import journal_folder
from ledger.storage import (
    extending,
    extending_process,
    extending_startup,
    insert_guard,
    merging,
    merging_events,
    projections,
    session_copies,
)
from ledger.storage.merge_output import merge_output
from ledger.storage.store import Store
from ledger.storage.verification import verify
from tests.support.golden_ledgers import golden_events
from tests.support.processes import Spawn, exit_code

pytestmark = pytest.mark.slow

KILLS: Final = 200
STEPS_BETWEEN: Final = 40
"""SQLite's steps between two looks at whether it is time to die."""
EVENTS_A_STEP: Final = 9
"""Events of a transaction: few, so that a merge of small ledgers has many."""
LARGEST: Final = 20
"""A session of more events is copied in such steps, and its projections after it."""


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Ledgers that share events, one of which has a journal that waits and a line that is no event.

    And two that have sessions of their own, projected: one after the other, and mixed.
    """
    events = golden_events()
    folder = tmp_path / "sources"
    folder.mkdir()
    paths = [folder / f"{number}.db" for number in range(4)]
    for number, path in enumerate(paths[:2]):
        # Every third event is in both.
        write(path, [one for place, one in enumerate(events) if place % 2 == number or not place % 3])
    names = [("a", "b", "c"), ("d", "e", "f")]
    of_names = [
        [[one.model_copy(update={"session": f"{one.session} {name}"}) for one in events] for name in some]
        for some in names
    ]
    write(paths[2], [one for of_name in of_names[0] for one in of_name], is_projected=True)
    write(paths[3], [one for at_once in zip(*of_names[1], strict=True) for one in at_once], is_projected=True)
    recorder = Recorder.open(folder / "live.db", label="live")
    for _ in range(20):
        with recorder.stage("torch_compile", role="encoder"):
            recorder.claim(1.0, source="user")
    [journal] = journal_folder(folder / "live.db").glob("*.jsonl")
    with journal.open("ab") as lines:
        lines.write(b"no event\n")
    waiting = folder / "waiting"
    shutil.copytree(journal_folder(folder / "live.db"), journal_folder(waiting / "live.db"))
    recorder.close()
    # What has no projections comes first: what is copied after it must not hide that.
    return [*paths, waiting / "live.db"]


def write(path: Path, events: list[Event], *, is_projected: bool = False) -> None:
    with closing(Store.open(path)) as store:
        with store.transaction():
            store.append(list(map(to_row, events)))
        if is_projected:
            projections.bring_up_to_date(store)


def merge(into: Path, sources: list[Path], at_step: Callable[[], None] | None = None) -> None:
    """Merge as the command does."""
    with merge_output(into) as store:
        if at_step:
            store.connection.set_progress_handler(at_step, STEPS_BETWEEN)
        merging.merge_all(store, sources)
        projections.bring_up_to_date(store)


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables, but for when each migration was applied."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> '_sqlite_migrations'"
        ).fetchall()
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for (name,) in tables}


def test_a_merge_that_is_killed_and_done_again_is_whole(
    sources: list[Path], tmp_path: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging_events, "_IDS_A_STEP", EVENTS_A_STEP)
    monkeypatch.setattr(session_copies, "_EVENTS_A_STEP", EVENTS_A_STEP)
    monkeypatch.setattr(session_copies, "_LARGEST", LARGEST)
    monkeypatch.setattr(insert_guard, "_FEW", 2)
    for module in (projections, extending_process, extending_startup):
        monkeypatch.setattr(module, "SPACING", 1)
    monkeypatch.setattr(extending, "_WORTH", 0)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    merge(tmp_path / "undisturbed.db", sources, count)
    undisturbed = rows(tmp_path / "undisturbed.db")
    assert len(undisturbed["events"]) > 250
    assert len(undisturbed["projected_sessions"]) == 15
    assert undisturbed["checkpoint_processes"]
    assert len(undisturbed["rejected_lines"]) == 1
    chance = random.Random(19)
    killed = attempts = 0
    numbers_left: set[int] = set()
    while killed < KILLS:
        attempts += 1
        into = tmp_path / f"{attempts}.db"
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            left = chance.randrange(steps)

            def die_in_time() -> None:
                nonlocal left
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

            code = exit_code(spawn(lambda die=die_in_time, into=into: merge(into, sources, die)))
            assert code in (0, -signal.SIGKILL)
            killed += code != 0
            left_over = [into, *into.parent.glob(f".{into.name}.merging-*")]
            for path in left_over:
                if not path.exists() or path.name.endswith("-journal"):
                    continue
                with closing(Store.open(path)) as store:  # which takes back what was not committed
                    numbers_left.add(int(str(store.select("SELECT count(*) FROM events")[0][0])))
        merge(into, sources)
        assert rows(into) == undisturbed
        assert [finding for finding in verify(into) if finding.is_fault] == []
        into.unlink()
    # They met merges at their beginning, at their end, and at many places between.
    assert len(numbers_left) > 5
    assert {0, len(undisturbed["events"])} <= numbers_left
