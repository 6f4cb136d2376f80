"""Exports that several processes share: the same bytes with any number, and none of them is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import LedgerError
from ledger_parquet import jobs, plans
from ledger_parquet.lake import Lake
from ledger_parquet.ledger_tables import LedgerSession, LedgerTables
from ledger_parquet.manifest import Manifest, PartSession
from ledger_parquet.plans import plan_parts
from ledger_parquet.writing import Written, write_sessions
from tests.adapters.test_ledger_parquet_export import a_start
from tests.support.lakes import exported, valid_bytes
from tests.support.small_ledgers import write_sessions as write_ledger

NAMES = "abcdefghi"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of nine sessions on three days, four parts each day."""
    monkeypatch.setattr(plans, "EVENTS_A_PART", 10)
    monkeypatch.setattr(jobs, "READING_EVENTS", 1)
    return write_ledger(tmp_path / "a.db", *(a_start(name, ord(name) % 3) for name in NAMES))


def written(ledger: Path, lake: Path, processes: int | None) -> Written:
    with closing(LedgerTables(ledger)) as tables:
        return write_sessions(tables, list(NAMES), Lake.open_if_there(str(lake)), processes=processes)


def children() -> set[int]:
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended meanwhile
            found |= {int(pid) for pid in (thread / "children").read_text().split()}
    return found


def test_the_bytes_are_the_same_with_any_number_of_processes(ledger: Path, tmp_path: Path) -> None:
    lakes = {count: tmp_path / f"lake{count}" for count in (1, 2, 3)}
    before = children()
    for count, lake in lakes.items():
        # A part that one session has outgrown is read by a worker, too.
        exported(write_ledger(tmp_path / f"{count}.db", a_start("x", 0), a_start("y", 0)), lake)
        grown = write_ledger(tmp_path / f"{count}b.db", a_start("x", 0, more=3), a_start("z", 0))
        with closing(LedgerTables(grown)) as tables:
            write_sessions(tables, ["x", "z"], Lake.open(str(lake)), processes=count)
        assert written(ledger, lake, count).written == len(NAMES)
        assert written(ledger, lake, count).unchanged == len(NAMES)
    assert children() == before
    alone = valid_bytes(lakes[1])
    assert len(Lake.open(str(lakes[1])).parts) > len(NAMES) // 2
    assert valid_bytes(lakes[2]) == alone
    assert valid_bytes(lakes[3]) == alone


def test_a_small_export_starts_no_process(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    assert written(ledger, tmp_path / "lake", None).written == len(NAMES)


def test_what_a_process_can_not_do_is_one_line(ledger: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    before = children()
    with closing(LedgerTables(ledger)) as tables:
        ledger.rename(tmp_path / "moved.db")
        ledger.write_bytes(b"no ledger" * 1_000)
        with pytest.raises(LedgerError, match=r"a\.db: can't be read"):
            write_sessions(tables, list(NAMES), Lake.open_if_there(str(lake)), processes=2)
    assert children() == before
    assert Lake.open_if_there(str(lake)).sessions() == []
    assert list((lake / "_staging").iterdir()) == []


def test_a_process_that_is_killed_is_one_line_and_the_next_export_goes_on(
    ledger: Path, tmp_path: Path
) -> None:
    written(ledger, tmp_path / "whole", 1)
    lake = tmp_path / "lake"
    before = children()

    def kill_one(_: int) -> None:
        for pid in children() - before:
            os.kill(pid, signal.SIGKILL)

    with (
        closing(LedgerTables(ledger)) as tables,
        pytest.raises(LedgerError, match="ended with exit code -9; export again"),
    ):
        write_sessions(tables, list(NAMES), Lake.open_if_there(str(lake)), kill_one, processes=2)
    assert children() == before
    written(ledger, lake, 2)
    assert valid_bytes(lake) == valid_bytes(tmp_path / "whole")


def test_ctrl_c_ends_the_processes(ledger: Path, tmp_path: Path) -> None:
    before = children()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    lake = Lake.open_if_there(str(tmp_path / "lake"))
    with closing(LedgerTables(ledger)) as tables, pytest.raises(KeyboardInterrupt):
        write_sessions(tables, list(NAMES), lake, interrupt, processes=2)
    assert children() == before


_KILLED = """
import os, signal, sys
from contextlib import closing, suppress
from pathlib import Path
from ledger_parquet.lake import Lake
from ledger_parquet.ledger_tables import LedgerTables
from ledger_parquet.writing import write_sessions

def die(events):
    threads = Path("/proc/self/task").iterdir()
    print(*(pid for thread in threads for pid in (thread / "children").read_text().split()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

with closing(LedgerTables(Path(sys.argv[1]))) as tables:
    names = [each.session for each in tables.sessions()]
    write_sessions(tables, names, Lake.open_if_there(sys.argv[2]), die, processes=2)
"""


def test_no_process_outlives_an_export_that_is_killed(ledger: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(ledger), str(tmp_path / "lake")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    left = [int(pid) for pid in done.stdout.split()]
    assert left
    until = time.monotonic() + 30
    while any(map(_is_running, left)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(_is_running, left))


def _is_running(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _manifest(part: str, date: str | None, sessions: Sequence[LedgerSession]) -> Manifest:
    return Manifest(
        lake_format=1, part=part, date=date, schema_version=1, event_format=1, reducer_version=1,
        written_by="0", files={},
        sessions=tuple(
            PartSession(session=each.session, event_count=each.event_count, digest="", reducer_version=1)
            for each in sorted(sessions)
        ),
    )  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "2026-11-27", "2026-11-28"]),
            st.integers(1, 300_000),
            st.sampled_from(["", "", "p", "q", "r"]),
        ),
        max_size=12,
    ),
    st.data(),
)
def test_an_export_that_was_killed_goes_on_with_the_parts_that_it_would_have_written(
    sessions: list[tuple[str | None, int, str]], data: st.DataObject
) -> None:
    """`sessions` has dates, numbers of events, and the parts of the lake that each has outgrown."""
    by_date: dict[str | None, list[LedgerSession]] = {}
    of_parts: dict[tuple[str, str | None], list[LedgerSession]] = {}
    for number, (date, events, part) in enumerate(sessions):
        each = LedgerSession(f"{number:02}", "", events, 1)
        by_date.setdefault(date, []).append(each)
        if part:
            of_parts.setdefault((part, date), []).append(each)
    known = {
        each.session: _manifest(f"{part} {date}", date, of_part)
        for (part, date), of_part in of_parts.items()
        for each in of_part
    }
    planned = plan_parts(by_date, known)
    assert sorted(each for plan in planned for each in plan.sessions) == sorted(
        each for of_date in by_date.values() for each in of_date
    )
    committed = data.draw(st.integers(0, len(planned)))
    there = {each for plan in planned[:committed] for each in plan.sessions}
    rest = {date: [each for each in of_date if each not in there] for date, of_date in by_date.items()}
    assert (
        plan_parts({date: of_date for date, of_date in rest.items() if of_date}, known) == planned[committed:]
    )
