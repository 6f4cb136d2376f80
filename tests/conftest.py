"""What the tests of recording and collecting share: recording off at first, and real child processes."""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ledger import (
    Event,
    Ledger,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    Recorder,
    SessionStarted,
    StageStarted,
    StageStopped,
    parse_event,
)
from ledger.collector import Collected, collect
from ledger.environment import FILE_VARIABLE, LABEL_VARIABLE, SESSION_VARIABLE
from ledger.events import to_line
from ledger.identity import this_process
from ledger.journal import journal_folder, journals, read_lines
from ledger.store import Store
from ledger.verification import verify

# Examples that write files take as long as the disk lets them.
settings.register_profile("files", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("files")

NOBODY = 65534
Spawn = Callable[[Callable[[], object]], int]


@pytest.fixture(autouse=True)
def recording_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have recording on; the tests turn it on themselves."""
    for name in (FILE_VARIABLE, SESSION_VARIABLE, LABEL_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger is to be."""
    return tmp_path / "startup.db"


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Return a function that runs another one in a forked child and returns the child's pid.

    The child ends without exit handlers, with code 1 where the function raised.
    """
    children: list[int] = []

    def run(function: Callable[[], object]) -> int:
        sys.stdout.flush()
        if (pid := os.fork()) == 0:
            code = 1
            try:
                function()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        children.append(pid)
        return pid

    yield run
    for pid in children:
        try:
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        except ChildProcessError:
            continue  # the test has waited for it


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody may read; pytest's own are their user's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_nobody() -> None:
    """Become a user who owns nothing: root may write anywhere."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def exit_code(pid: int) -> int:
    """Wait for a child and return its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def events_in(path: Path) -> list[Event]:
    """Return the events in the journals beside a ledger, each journal's in the order of its lines."""
    texts = [text for journal in journals(journal_folder(path)) for text in read_lines(journal)[0]]
    return [parse_event(text) for text in texts]


def one_journal(path: Path) -> Path:
    """Return the only journal beside a ledger."""
    [journal] = journals(journal_folder(path))
    return journal


GONE = {"pid": 2**22 + 1, "pid_start": 1}
"""No process has it: the kernel's highest pid is 2**22."""
KEYS = "SELECT session, process, seq FROM events ORDER BY session, process, seq"


def joined(process: str, **identity: object) -> Event:
    """Return how a process of this host joins: by default the one that runs the test."""
    fields = {**this_process()._asdict(), "name": "Worker", "wall_ns": 1_000_000, **identity}
    return ProcessJoined(session="s", process=process, seq=0, at_ns=0, **fields)


def milestones(process: str, seqs: Iterable[int]) -> list[Event]:
    return [MilestoneReached(session="s", process=process, seq=n, at_ns=n, name=f"m{n}") for n in seqs]


def left(process: str, seq: int) -> Event:
    return ProcessLeft(
        session="s", process=process, seq=seq, at_ns=seq, outcome="completed", event_count=seq + 1
    )


def write(path: Path, process: str, events: Iterable[Event], tail: bytes = b"") -> Path:
    """Write a journal for the ledger at a path."""
    journal_folder(path).mkdir(exist_ok=True)
    journal = journal_folder(path) / f"{process}.jsonl"
    journal.write_bytes(b"".join(map(to_line, events)) + tail)
    return journal


def collect_at(path: Path, **options: object) -> Collected:
    """Collect into the ledger at a path."""
    store = Store.open(path)
    try:
        return collect(store, journal_folder(path), **options)  # type: ignore[arg-type]
    finally:
        store.close()


def rows(path: Path, sql: str = KEYS) -> list[tuple[object, ...]]:
    store = Store.open_to_read(path)
    try:
        return store.select(sql)
    finally:
        store.close()


def keys(process: str, number: int) -> list[tuple[object, ...]]:
    return [("s", process, seq) for seq in range(number)]


@pytest.fixture
def recorder(path: Path) -> Iterator[Recorder]:
    recorder = Recorder.open(path, label="nightly")
    yield recorder
    recorder.close()


def recorded(path: Path) -> list[Event]:
    """Return the events so far, after the two with which a process joins; none may be missing."""
    events = events_in(path)
    assert [event.seq for event in events] == list(range(len(events)))
    assert [type(event) for event in events[:2]] in ([], [SessionStarted, ProcessJoined])
    return events[2:]


def intervals(path: Path) -> list[tuple[StageStarted, StageStopped]]:
    """Return each interval's two events; every one must have both."""
    starts = {event.interval: event for event in recorded(path) if isinstance(event, StageStarted)}
    stops = {event.interval: event for event in recorded(path) if isinstance(event, StageStopped)}
    assert starts.keys() == stops.keys()
    return [(start, stops[interval]) for interval, start in starts.items()]


def collected(path: Path) -> dict[str, dict[str, object]]:
    """Return the processes of the ledger by name, after what holds for every ledger."""
    with Ledger.open(path) as ledger:
        rows = ledger.sql("SELECT * FROM processes")
        assert {row["lost_events"] for row in rows} <= {0}
        assert ledger.sql("SELECT * FROM rejected_lines") == []
        assert ledger.sql("SELECT * FROM anomalies") == []
    assert [finding for finding in verify(path) if finding.is_fault] == []
    return {str(row["name"]): row for row in rows}
