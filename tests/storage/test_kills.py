"""SIGKILL at random moments: what a recorder has returned from is in the ledger, once, whoever was killed.

200 kills: of a process that records alone, of eight at once in one session and a collector beside them, and
of collectors of a full folder. A writer counts each call in memory that it shares with the test, after the
call has returned: the count of a killed one says what must be there. Each event carries its writer and its
number, so that it can be looked for.
"""

import json
import mmap
import os
import random
import signal
import sqlite3
import struct
import threading
import time
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest

from ledger import Ledger, Recorder
from ledger.recording.journal import journal_folder, journals
from ledger.recording.settings import FILE_VARIABLE, SESSION_VARIABLE
from ledger.storage import collector
from ledger.storage.verification import verify
from tests.support.processes import Spawn, exit_code

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

ALONE = 80
ROUNDS_OF_EIGHT = 10
COLLECTORS = 30
LONGEST_S = 0.02
THREADS_AT_MOST = 4


class Acknowledged:
    """How many calls of each writer have returned, in memory that outlives it."""

    def __init__(self, writers: int) -> None:
        self._memory = mmap.mmap(-1, 8 * writers)
        self.writers = writers

    def count(self, writer: int, calls: int) -> None:
        """Called by the writer: so many of its calls have returned."""
        struct.pack_into("=Q", self._memory, 8 * writer, calls)

    def of(self, writer: int) -> int:
        return int(struct.unpack_from("=Q", self._memory, 8 * writer)[0])


class Writers:
    """Starts processes that record until they are killed, and knows what each of them must have left."""

    def __init__(self, path: Path, spawn: Spawn, writers: int) -> None:
        self.path = path
        self.acknowledged = Acknowledged(writers)
        self.sessions: set[str] = set()
        self._spawn = spawn
        self._started = 0

    def start(self, session: str, threads: int = 1) -> int:
        """Start a process with so many writing threads; return its pid."""
        first = self._started
        self._started += threads
        self.sessions.add(session)
        return self._spawn(lambda: self._process(session, range(first, first + threads)))

    def _process(self, session: str, writers: range) -> None:
        os.nice(10)  # the test must get its turn to kill
        os.environ.update({FILE_VARIABLE: str(self.path), SESSION_VARIABLE: session})
        recorder = Recorder.from_environment()
        for writer in writers[1:]:
            threading.Thread(target=self._write, args=(recorder, writer), daemon=True).start()
        self._write(recorder, writers[0])

    def _write(self, recorder: Recorder, writer: int) -> None:
        """Record intervals in intervals and claims for ever; every call says its writer and its number."""
        called = 0

        def data() -> dict[str, object]:
            return {"w": writer, "n": called}

        def returned() -> None:
            nonlocal called
            called += 1
            self.acknowledged.count(writer, called)

        while True:
            outer = recorder.start("torch_compile", data=data())
            returned()
            inner = recorder.start("dynamo", parent=outer, data=data())
            returned()
            recorder.claim(1.5, source="log", data=data())
            returned()
            recorder.stop(inner, data=data())
            returned()
            recorder.stop(outer, data=data())
            returned()

    def check(self) -> None:
        """Collect, and hold the ledger against what was acknowledged."""
        Ledger.open(self.path).close()
        connection = sqlite3.connect(self.path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found: dict[int, Counter[int]] = {writer: Counter() for writer in range(self.acknowledged.writers)}
        for (data,) in connection.execute("SELECT data FROM events WHERE data IS NOT NULL"):
            event = json.loads(data)
            found[event["w"]][event["n"]] += 1
        for writer, numbers in found.items():
            acknowledged = self.acknowledged.of(writer)
            assert set(numbers.values()) <= {1}
            # The one call that had not returned may have got so far or not.
            assert sorted(numbers) in (list(range(acknowledged)), list(range(acknowledged + 1)))
        # A kill can cut the write that it meets, at the end of a page: that line was not acknowledged.
        reasons = connection.execute("SELECT DISTINCT reason FROM rejected_lines").fetchall()
        assert all(reason.startswith("its last line has no end") for (reason,) in reasons)
        connection.close()
        assert [finding for finding in verify(self.path) if finding.is_fault] == []
        assert journals(journal_folder(self.path)) == []

    def check_outcomes(self) -> None:
        """Every process was killed: it is lost, and what it had begun and not ended is abandoned."""
        with Ledger.open(self.path) as ledger:
            assert set(ledger.sessions()) <= self.sessions
            processes = ledger.sql("SELECT outcome, lost_events FROM processes")
            assert {(row["outcome"], row["lost_events"]) for row in processes} == {("lost", 0)}
            [row] = ledger.sql("SELECT count(*) AS n FROM intervals WHERE outcome = 'abandoned'")
            [kinds] = ledger.sql(
                "SELECT sum(kind = 'stage_started') - sum(kind = 'stage_stopped') AS open FROM events"
            )
            assert row["n"] == kinds["open"] != 0
            outcomes = ledger.sql("SELECT DISTINCT outcome FROM intervals ORDER BY outcome")
            assert [row["outcome"] for row in outcomes] == ["abandoned", "completed"]


@pytest.fixture(autouse=True)
def prepared(tmp_path: Path) -> None:
    """Let this process record once, so that its children need not import and build what that takes."""
    with Recorder.open(tmp_path / "first.db") as recorder:
        recorder.claim(1.0, source="log", interval=recorder.start("dynamo"))


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(10**6)
    print(f"the moments are those of seed {seed}")
    return random.Random(seed)


def kill(pid: int) -> bool:
    """Kill a child and return whether it was alive until then."""
    os.kill(pid, signal.SIGKILL)
    return exit_code(pid) == -signal.SIGKILL


def test_a_process_that_is_killed_loses_nothing(path: Path, spawn: Spawn, chance: random.Random) -> None:
    writers = Writers(path, spawn, ALONE)
    for number in range(ALONE):
        pid = writers.start(f"session {number}")
        time.sleep(chance.uniform(0, LONGEST_S))
        assert kill(pid)
        if number % 10 == 0:
            collector_may_run(path)
    writers.check()
    writers.check_outcomes()


def test_eight_processes_of_one_session_that_are_killed_lose_nothing(
    path: Path, spawn: Spawn, chance: random.Random
) -> None:
    def collect_all_the_while() -> None:
        while True:
            collector_may_run(path)

    threads = [chance.randint(1, THREADS_AT_MOST) for _ in range(ROUNDS_OF_EIGHT * 8)]
    writers = Writers(path, spawn, sum(threads))
    for number in range(ROUNDS_OF_EIGHT):
        pids = [writers.start(f"session {number}", threads.pop()) for _ in range(8)]
        pids.append(spawn(collect_all_the_while))
        chance.shuffle(pids)
        for pid in pids:
            time.sleep(chance.uniform(0, LONGEST_S / 2))
            assert kill(pid)
    writers.check()
    writers.check_outcomes()


def test_a_collector_that_is_killed_loses_nothing_and_adds_nothing(
    path: Path, spawn: Spawn, chance: random.Random
) -> None:
    def collect_slowly() -> None:
        # Many small transactions: many moments between them.
        with mock.patch.object(collector, "_BATCH_LINES", 300):
            Ledger.open(path).close()

    writers = Writers(path, spawn, COLLECTORS * 20)
    killed = attempts = 0
    takes_s = 0.05
    while killed < COLLECTORS:
        attempts += 1
        assert attempts < COLLECTORS * 6
        if len(journals(journal_folder(path))) < 2:
            pids = [writers.start(f"session {attempts}") for _ in range(3)]
            time.sleep(LONGEST_S)
            assert all(map(kill, pids))
        started = time.monotonic()
        pid = spawn(collect_slowly)
        time.sleep(chance.uniform(0, takes_s))
        if kill(pid):
            killed += 1
        else:
            takes_s = max(0.005, min(takes_s, time.monotonic() - started))
    writers.check()
    writers.check_outcomes()


def collector_may_run(path: Path) -> None:
    """Collect what is there so far, as `compile-ledger record` does all the while."""
    if journals(journal_folder(path)):
        Ledger.open(path).close()
