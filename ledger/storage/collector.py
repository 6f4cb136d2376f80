"""Moves journals into the ledger in batches. It can be killed at any moment without losing an event.

A journal is removed in this order: judge its process gone, read to the end, commit, unlink. How far it was
read is committed together with the events, and an event that comes twice is one event.
"""

import fcntl
import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from ledger.clock import Anchor, monotonic_ns
from ledger.errors import InvalidEvent, LedgerNotWritable
from ledger.events.line_rows import parse_row
from ledger.events.models import ProcessJoined, ProcessLost, parse_event, to_line
from ledger.events.rows import EventRow, from_row, to_row
from ledger.gc_pause import gc_paused
from ledger.recording.journal import journals, read_lines
from ledger.recording.process_identity import is_gone, runs_here
from ledger.storage.store import Appended, Store
from ledger_birth.journal_writer import UNNAMED_SUFFIX
from ledger_birth.kernel import namespace

_BATCH_LINES: Final = 20_000
_OWN_BATCH_LINES: Final = 2_000
_OWN_BUDGET_S: Final = 1.0
_PARSED_AT_ONCE: Final = 200
"""So few that they are still in the processor's cache when inserted: a quarter faster than 2,000."""
_JOINS_WITHIN: Final = 2
"""A process joins in the first lines of its journal."""
_HEAVY_AND_OPTIONAL: Final = ("numpy", "pandas")
"""What sqlite-utils imports where it is installed: it takes seconds, and fails in a program that exits."""
_LOCK_FILE: Final = "collector.lock"
_LOCK_WAIT_S: Final = 10.0
_LOCK_LOOK_S: Final = 0.02
_UNNAMED_KEPT_S: Final = 60.0

_seq, _at_ns, _kind = attrgetter("seq"), attrgetter("at_ns"), attrgetter("kind")

ProgressCallback = Callable[[int], None]
"""Called with a number of bytes that were read, again and again."""


class Collected(NamedTuple):
    """What a collection did."""

    events: int = 0
    duplicates: int = 0
    """Events that the ledger had already."""
    rejected: int = 0
    """Lines that are not valid events; `rejected_lines` keeps them."""
    removed: int = 0
    """Journals that were read to the end and deleted."""
    left: int = 0
    """Journals that stay: their process runs, or it can't be told from here whether it does."""
    is_waiting: bool = False
    """Whether another collector was running, so that this one did nothing."""

    def plus(self, other: "Collected") -> "Collected":
        """Return the sum of two collections."""
        *sums, _ = (mine + its for mine, its in zip(self, other, strict=True))
        return Collected(*sums, is_waiting=self.is_waiting or other.is_waiting)


def collect(
    store: Store,
    folder: Path,
    *,
    remove: bool = True,
    wait_s: float = _LOCK_WAIT_S,
    progress: ProgressCallback | None = None,
) -> Collected:
    """Collect every journal in a folder into a store, and remove those that are finished.

    A store in memory keeps nothing, so it never removes one. `progress` is called with the number of bytes
    read, again and again. Raises LedgerError where the store does not take them; the journals then stay.
    """
    total, remove = Collected(), remove and store.path is not None
    if not os.path.isdir(folder):
        return total
    with _only_collector(folder if remove else None, wait_s) as is_mine:
        if not is_mine:
            return Collected(is_waiting=True)
        # What is written from here on is for the next collection: one that is fast enough could keep us here.
        waiting = {journal: _size(journal) for journal in journals(folder)}
        while waiting:
            batch = _Batch(store, _BATCH_LINES, remove, progress)
            total = total.plus(batch.run(waiting))
        if remove:
            _tidy(folder)
    return total._replace(left=len(journals(folder)))


def collect_own(ledger: Path, journal: Path, *, is_exiting: bool) -> None:
    """Collect the journal of the calling process, which has left: for a second at most, without waiting.

    What is not done by then is left to the next collector.
    """
    with _only_collector(journal.parent, 0) as is_mine:
        if not is_mine:
            return
        # Only where no other thread can be importing them, and nobody will use sqlite-utils afterwards.
        with _spared(_HEAVY_AND_OPTIONAL if is_exiting else ()):
            store = Store.open(ledger, wait_s=0.1)
        deadline = time.monotonic() + _OWN_BUDGET_S
        try:
            waiting = {journal: _size(journal)}
            while waiting and time.monotonic() < deadline:
                _Batch(store, _OWN_BATCH_LINES, True, None).run(waiting)
            _tidy(journal.parent)
        finally:
            store.close()


@contextmanager
def _spared(names: Sequence[str]) -> Generator[None]:
    """Let an import of these modules fail, unless they are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # pyright: ignore[reportArgumentType, reportCallIssue]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class _Progress(NamedTuple):
    """How far a journal was read: a row of `journal_progress`."""

    journal: str
    head: str
    """What its first line hashes to: another file of that name is another journal."""
    read_bytes: int = 0
    read_lines: int = 0
    session: str | None = None
    process: str | None = None
    last_seq: int = 0
    last_ns: int = 0
    has_left: bool = False


_seen_alive: Final[dict[Path, int]] = {}
"""When the writer of each journal was last found alive by this process, on the clock of its events."""


class _Batch:
    """One transaction: a number of lines out of some journals."""

    def __init__(self, store: Store, lines: int, remove: bool, progress: ProgressCallback | None) -> None:
        self._store = store
        self._lines = lines
        self._remove = remove
        self._progress = progress
        self._done = Collected()
        self._finished: list[Path] = []

    def run(self, waiting: dict[Path, int]) -> Collected:
        """Read from journals; take out of `waiting` those that were read up to the size it gives them."""
        read: list[Path] = []
        with gc_paused(), self._store.transaction():
            for path, size in waiting.items():
                if self._lines <= 0:
                    break
                try:
                    if self._read(path, size):
                        read.append(path)
                except FileNotFoundError:
                    read.append(path)  # another collector finished it just now
        for path in self._finished:
            path.unlink(missing_ok=True)
        for path in read:
            del waiting[path]
        return self._done._replace(removed=len(self._finished))

    def _read(self, path: Path, size: int) -> bool:
        """Take the next lines; return whether all up to a size is read, and the journal finished if over."""
        first_lines = _first_lines(path)
        head = hashlib.sha256(first_lines[0]).hexdigest()
        stored = self._store.connection.execute(
            "SELECT * FROM journal_progress WHERE journal = ? AND head = ?", (path.stem, head)
        ).fetchone()
        progress = _Progress(*stored) if stored else _Progress(path.stem, head)
        joined = _joined(first_lines)
        if self._remove and joined is not None and joined.host not in (None, socket.gethostname()):
            return True  # each host collects its own: what another one is writing may look odd from here
        # Judged before the end is looked for: what a dead process wrote is all there.
        gone = self._remove and _is_gone(joined)
        if not gone and joined is not None:
            _see_alive(path, joined)
        texts, end = read_lines(path, progress.read_bytes, self._lines)
        self._lines -= len(texts)
        for first in range(0, len(texts), _PARSED_AT_ONCE):
            progress = self._take(path, texts[first : first + _PARSED_AT_ONCE], progress)
        if self._progress and texts:
            self._progress(end - progress.read_bytes)
        progress = progress._replace(read_bytes=end)
        # Lines to spare: there were no more, at most the beginning of one.
        is_at_end = self._lines > 0 or end == _size(path)
        is_over = self._remove and (gone or progress.has_left)
        if is_over and is_at_end:
            self._finish(path, progress)
        if not stored or progress != _Progress(*stored):
            self._store.connection.execute(
                f"INSERT OR REPLACE INTO journal_progress VALUES ({', '.join('?' * len(progress))})", progress
            )
        return is_at_end or (end >= size and not is_over)

    def _take(self, path: Path, texts: list[bytes], progress: _Progress) -> _Progress:
        """Append the events of some lines, reject the other lines, and return the progress."""
        first = progress.read_lines + 1
        to_wall_ns = self._to_wall_ns(progress)
        parsed = _parsed(texts, first, to_wall_ns)
        if to_wall_ns is None and (to_wall_ns := _to_wall_ns_in(parsed.rows)) is not None:
            parsed = _parsed(texts, first, to_wall_ns)
        for number, reason in parsed.faults:
            self._reject(path, number, reason, texts[number - first])
        rows = parsed.rows
        appended = self._store.append(rows)
        for row in appended.conflicting:
            reason = f"another event has the key ({row.session}, {row.process}, {row.seq})"
            number = parsed.numbers[rows.index(row)]
            self._reject(path, number, reason, to_line(from_row(row)).rstrip())
        self._count(appended)
        progress = progress._replace(read_lines=progress.read_lines + len(texts))
        if rows and progress.process is None:
            progress = progress._replace(session=rows[0].session, process=rows[0].process)
        mine = [row for row in rows if row.process == progress.process]
        return progress._replace(
            last_seq=max(progress.last_seq, max(map(_seq, mine), default=0)),
            last_ns=max(progress.last_ns, max(map(_at_ns, mine), default=0)),
            has_left=progress.has_left or "process_left" in set(map(_kind, mine)),
        )

    def _count(self, appended: Appended) -> None:
        done = self._done
        self._done = done._replace(
            events=done.events + appended.new, duplicates=done.duplicates + appended.duplicates
        )

    def _finish(self, path: Path, progress: _Progress) -> None:
        """Take the end of a journal whose process is gone."""
        with path.open("rb") as file:
            file.seek(progress.read_bytes)
            tail = file.read()
        if tail.strip():
            reason = "incomplete last line, never acknowledged"
            self._reject(path, progress.read_lines + 1, reason, tail)
        if progress.session is not None and progress.process is not None and not progress.has_left:
            lost = ProcessLost(
                session=progress.session, process=f"{progress.process}:lost", seq=0, at_ns=progress.last_ns,
                lost=progress.process, last_seq=progress.last_seq,
                alive_ns=alive_ns if (alive_ns := _seen_alive.pop(path, 0)) > progress.last_ns else None,
            )  # fmt: skip
            to_wall_ns = self._to_wall_ns(progress)
            row = to_row(lost, None if to_wall_ns is None else lost.at_ns + to_wall_ns)
            self._count(self._store.append([row]))
        self._finished.append(path)

    def _reject(self, path: Path, line: int, reason: str, text: bytes) -> None:
        self._store.reject(path.name, line, reason, text.decode("utf-8", "backslashreplace"))
        self._done = self._done._replace(rejected=self._done.rejected + 1)

    def _to_wall_ns(self, progress: _Progress) -> int | None:
        """Return what makes a time of the process one on the wall clock, from what was read before."""
        row = self._store.connection.execute(
            "SELECT at_ns, wall_ns FROM events WHERE session = ? AND process = ? AND seq <= 1 "
            "AND kind = 'process_joined' AND wall_ns IS NOT NULL",
            (progress.session, progress.process),
        ).fetchone()
        return Anchor(*row).wall_of(0) if row else None


class _Parsed(NamedTuple):
    """What some lines hold."""

    rows: list[EventRow]
    numbers: list[int]
    """The number of each row's line."""
    faults: list[tuple[int, str]]
    """The number of each line that is no event, and why it is none."""


def _parsed(texts: list[bytes], first: int, to_wall_ns: int | None) -> _Parsed:
    """Read lines, the first of which has a number."""
    parsed = _Parsed([], [], [])
    for number, text in enumerate(texts, first):
        try:
            parsed.rows.append(parse_row(text, to_wall_ns))
        except InvalidEvent as error:
            # A blank line was written to end one that a full disk had cut.
            if text.strip():
                parsed.faults.append((number, str(error)))
        else:
            parsed.numbers.append(number)
    return parsed


def _to_wall_ns_in(rows: list[EventRow]) -> int | None:
    """Return what makes a time one on the wall clock, where the process joins in these rows."""
    for row in rows[:_JOINS_WITHIN]:
        if row.kind == "process_joined" and row.wall_ns is not None:
            return Anchor(row.at_ns, row.wall_ns).wall_of(0)
    return None


def writer_is_gone(journal: Path) -> bool:
    """Return whether the process that writes a journal has certainly ended."""
    return _is_gone(_joined(_first_lines(journal)))


def _first_lines(journal: Path) -> list[bytes]:
    with journal.open("rb") as file:
        return [file.readline() for _ in range(_JOINS_WITHIN)]


def _joined(first_lines: list[bytes]) -> ProcessJoined | None:
    """Return the `process_joined` in a journal's first lines; None where there is none."""
    for text in first_lines:
        try:
            event = parse_event(text)
        except InvalidEvent:
            continue
        if isinstance(event, ProcessJoined):
            return event
    return None


def _is_gone(joined: ProcessJoined | None) -> bool:
    return joined is not None and is_gone(
        pid=joined.pid, started=joined.pid_start, host=joined.host, boot=joined.boot_id,
        pid_ns=joined.pid_namespace,
    )  # fmt: skip


def _see_alive(journal: Path, joined: ProcessJoined) -> None:
    """Keep when a writer was found alive, where its events go by a clock that can be read here."""
    before_ns = monotonic_ns()
    if joined.time_namespace == namespace("time") and runs_here(
        pid=joined.pid, started=joined.pid_start, host=joined.host, boot=joined.boot_id,
        pid_ns=joined.pid_namespace,
    ):  # fmt: skip
        _seen_alive[journal] = before_ns


def _size(journal: Path) -> int:
    try:
        return journal.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _only_collector(folder: Path | None, wait_s: float) -> Generator[bool]:
    """Hold the folder's lock, so that collectors do not do each other's work; yield whether it was had.

    No folder, no lock: two collectors at once are slow, but lose nothing, since SQLite has a lock itself.
    """
    if folder is None:
        yield True
        return
    try:
        lock = (folder / _LOCK_FILE).open("ab")
    except FileNotFoundError:
        yield True  # the folder went with its last journal
        return
    except OSError as error:
        raise LedgerNotWritable(f"{folder}: can't be written ({error.strerror})") from error
    with lock:
        give_up_at = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= give_up_at:
                    yield False
                    return
                time.sleep(_LOCK_LOOK_S)
            except OSError:
                break  # a file system without locks
            else:
                break
        yield True


def _tidy(folder: Path) -> None:
    """Remove what is left of writers that died before their first line, and the folder once it is empty."""
    # Another collector, or a writer that begins, may be quicker anywhere in here.
    with suppress(OSError):
        for unnamed in folder.glob("*" + UNNAMED_SUFFIX):
            if time.time() - unnamed.stat().st_mtime > _UNNAMED_KEPT_S:
                unnamed.unlink()
        if {path.name for path in folder.iterdir()} <= {_LOCK_FILE}:
            (folder / _LOCK_FILE).unlink(missing_ok=True)
            folder.rmdir()
