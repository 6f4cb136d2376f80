"""SIGKILL at random moments: what a recorder has returned from is in the ledger, once, whoever was killed.

200 kills: of a process that records alone, of eight at once in one session and a collector beside them, and
of collectors of a full folder. A writer counts each call in memory that it shares with the test, after the
call has returned: the count of a killed one says what must be there. Each event carries its writer and its
number, so that it can be looked for. The moment of a kill is drawn as a number of calls, and not as a time,
so that it falls into the work however busy the machine is.
"""

import json
import os
import random
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from ledger import Ledger, Recorder
from ledger.recording.journal import journal_folder, journals, read_lines
from ledger.storage import collector
from ledger.storage.verification import verify
from ledger_birth.environment import FILE_VARIABLE, SESSION_VARIABLE
from tests.support.processes import Spawn, exit_code, has_ended
from tests.support.shared_counters import SharedCounters
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ALONE = 80
ROUNDS_OF_EIGHT = 10
COLLECTORS = 30
CALLS_AT_MOST = 600
ENOUGH_CALLS = 900
ENOUGH_CALLS_OF_EIGHT = 200
"""Then a writer waits to be killed: on a busy machine it would write on and on while others get a turn."""
SPIN_AT_MOST = 5_000
"""Turns of an empty loop: a fraction of a millisecond, in which a writer makes a few calls."""
BATCHES_AT_MOST = 8
THREADS_AT_MOST = 4


class Writers:
    """Starts processes that record until they are killed, and knows what each of them must have left."""

    def __init__(self, path: Path, spawn: Spawn, writers: int, enough: int = ENOUGH_CALLS) -> None:
        self.path = path
        self.enough = enough
        self.acknowledged = SharedCounters(writers)
        self.sessions: set[str] = set()
        self._spawn = spawn
        self._started = 0
        self._before = 0

    def start(self, session: str, threads: int = 1) -> int:
        """Start a process with so many writing threads; return its pid."""
        first = self._started
        self._started += threads
        if session not in self.sessions:
            self.sessions.add(session)
            self._before = self.acknowledged.total()
        return self._spawn(lambda: self._process(session, range(first, first + threads)))

    def wait_for_calls(self, calls: int) -> None:
        """Wait until so many calls of the newest session have returned, whichever process made them."""
        wait_until(lambda: self.acknowledged.total() >= self._before + calls, f"{calls} calls")

    def _process(self, session: str, writers: range) -> None:
        os.nice(10)  # the test must get its turn to kill
        os.environ.update({FILE_VARIABLE: str(self.path), SESSION_VARIABLE: session})
        recorder = Recorder.from_environment()
        for writer in writers[1:]:
            threading.Thread(target=self._write, args=(recorder, writer), daemon=True).start()
        self._write(recorder, writers[0])

    def _write(self, recorder: Recorder, writer: int) -> None:
        """Record intervals in intervals and claims; every call says its writer and its number."""
        called = 0

        def data() -> dict[str, object]:
            return {"w": writer, "n": called}

        def returned() -> None:
            nonlocal called
            called += 1
            self.acknowledged[writer] = called

        while called < self.enough:
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
        # However late the kill comes, it meets something that was begun and not ended.
        recorder.start("torch_compile", data=data())
        returned()
        threading.Event().wait()

    def check(self) -> None:
        """Collect, and hold the ledger against what was acknowledged."""
        Ledger.open(self.path).close()
        connection = sqlite3.connect(self.path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found: dict[int, Counter[int]] = {writer: Counter() for writer in range(len(self.acknowledged))}
        for (data,) in connection.execute("SELECT data FROM events WHERE data IS NOT NULL"):
            event = json.loads(data)
            found[event["w"]][event["n"]] += 1
        for writer, numbers in found.items():
            acknowledged = self.acknowledged[writer]
            assert set(numbers.values()) <= {1}
            # The one call that had not returned may have got so far or not.
            assert sorted(numbers) in (list(range(acknowledged)), list(range(acknowledged + 1)))
        # A kill can cut the write that it meets, at the end of a page: that line was not acknowledged.
        reasons = connection.execute("SELECT DISTINCT reason FROM rejected_lines").fetchall()
        assert all(reason.startswith("incomplete last line") for (reason,) in reasons)
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


def spin(chance: random.Random) -> None:
    """Let a moment pass, so that a kill does not always meet what was just waited for."""
    for _ in range(chance.randrange(SPIN_AT_MOST)):
        continue


def kill(pid: int) -> bool:
    """Kill a child and return whether it was alive until then."""
    os.kill(pid, signal.SIGKILL)
    return exit_code(pid) == -signal.SIGKILL


def test_no_count_is_read_by_halves(spawn: Spawn) -> None:
    """The proofs below rest on it. Every byte differs between the two values, so a torn one is neither."""
    values = (0x0101010101010101, 0xFEFEFEFEFEFEFEFE)

    def write() -> None:
        while True:
            for value in values:
                counters[1] = value

    counters = SharedCounters(2)
    counters[1] = values[0]
    pid = spawn(write)
    seen: Counter[int] = Counter()
    wait_until(lambda: bool(seen.update(counters[1] for _ in range(1_000))) or len(seen) > 1, "both values")
    seen.update(counters[1] for _ in range(200_000))
    assert kill(pid)
    assert seen.keys() == set(values)


def test_a_process_that_is_killed_loses_nothing(path: Path, spawn: Spawn, chance: random.Random) -> None:
    writers = Writers(path, spawn, ALONE)
    for number in range(ALONE):
        pid = writers.start(f"session {number}")
        writers.wait_for_calls(chance.randint(0, CALLS_AT_MOST))
        spin(chance)
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
    writers = Writers(path, spawn, sum(threads), ENOUGH_CALLS_OF_EIGHT)
    for number in range(ROUNDS_OF_EIGHT):
        pids = [writers.start(f"session {number}", threads.pop()) for _ in range(8)]
        pids.append(spawn(collect_all_the_while))
        writers.wait_for_calls(chance.randint(0, 8 * ENOUGH_CALLS_OF_EIGHT))
        chance.shuffle(pids)
        for pid in pids:
            spin(chance)
            assert kill(pid)
    writers.check()
    writers.check_outcomes()


def test_a_collector_that_is_killed_loses_nothing_and_adds_nothing(
    path: Path, spawn: Spawn, chance: random.Random
) -> None:
    def collect_slowly() -> None:
        # Many small transactions: many moments between them.
        with (
            mock.patch.object(collector, "_BATCH_LINES", 300),
            mock.patch.object(collector, "read_lines", counting(batches)),
        ):
            Ledger.open(path).close()

    batches = SharedCounters(1)
    writers = Writers(path, spawn, COLLECTORS * 20)
    killed = attempts = 0
    while killed < COLLECTORS:
        attempts += 1
        assert attempts < COLLECTORS * 6
        if len(journals(journal_folder(path))) < 2:
            pids = [writers.start(f"session {attempts}") for _ in range(3)]
            writers.wait_for_calls(4 * CALLS_AT_MOST)
            assert all(map(kill, pids))
        batches[0] = 0
        pid = spawn(collect_slowly)
        wanted = chance.randint(1, BATCHES_AT_MOST)
        wait_until(lambda p=pid, n=wanted: batches[0] >= n or has_ended(p), f"{wanted} batches")
        spin(chance)
        killed += kill(pid)
    writers.check()
    writers.check_outcomes()


def collector_may_run(path: Path) -> None:
    """Collect what is there so far, as `compile-ledger record` does all the while."""
    if journals(journal_folder(path)):
        Ledger.open(path).close()


def counting(batches: SharedCounters) -> Callable[..., object]:
    """Return the collector's `read_lines`, counting the batches that it begins."""

    def read(*arguments: object) -> object:
        batches[0] += 1
        return read_lines(*arguments)  # type: ignore[arg-type]

    return read
