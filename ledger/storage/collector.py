"""Moves journals into the ledger in batches. It can be killed at any moment without losing an event.

A journal is removed in this order: judge its process gone, read to the end, commit, unlink. How far it was
read is committed together with the events, and an event that comes twice is one event.
"""

import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from ledger.clock import Anchor
from ledger.errors import LedgerNotWritable
from ledger.events.line_rows import parse_lines
from ledger.events.models import ProcessLost, to_line
from ledger.events.rows import EventRow, from_row, to_row
from ledger.gc_pause import gc_paused
from ledger.recording.journal import (
    KEPT_OF_A_LONG_LINE,
    journals,
    look_into,
    open_journal,
    read_lines,
    shown,
    size_of,
)
from ledger.storage.journal_folders import distrust, only_collector, tidy
from ledger.storage.journal_writers import (
    JOINS_WITHIN,
    first_lines,
    has_gone,
    joined_in,
    last_seen_alive_ns,
    see_alive,
)
from ledger.storage.store import Appended, Store

_BATCH_LINES: Final = 20_000
_BATCH_BYTES: Final = 1 << 24
_OWN_BATCH_LINES: Final = 2_000
_OWN_BUDGET_S: Final = 1.0
_PARSED_AT_ONCE: Final = 200
"""So few that they are still in the processor's cache when inserted: a quarter faster than 2,000."""
_TAIL_BYTES: Final = 256
"""Behind what was read: by them a journal is recognised that was cut since and has grown again."""
_HEAVY_AND_OPTIONAL: Final = ("numpy", "pandas")
"""What sqlite-utils imports where it is installed: it takes seconds, and fails in a program that exits."""
_LOCK_WAIT_S: Final = 10.0

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
    passed_over: tuple[str, ...] = ()
    """What was not read, or could not be removed, and why: a line each."""

    def plus(self, other: "Collected") -> "Collected":
        """Return the sum of two collections."""
        return Collected(
            events=self.events + other.events,
            duplicates=self.duplicates + other.duplicates,
            rejected=self.rejected + other.rejected,
            removed=self.removed + other.removed,
            left=self.left + other.left,
            is_waiting=self.is_waiting or other.is_waiting,
            passed_over=tuple(dict.fromkeys(self.passed_over + other.passed_over)),
        )


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
    found, not_journals = look_into(folder)
    if not os.path.isdir(folder):
        return total._replace(passed_over=_in_lines(not_journals))
    if (found or not_journals) and (why := distrust(folder)):
        return total._replace(left=len(found), passed_over=(why,))
    with only_collector(folder if remove else None, wait_s) as is_mine:
        if not is_mine:
            return Collected(is_waiting=True)
        # What is written from here on is for the next collection: one that is fast enough could keep us here.
        found, faults = look_into(folder)
        waiting = {journal: size_of(journal) for journal in found}
        elsewhere: dict[Path, str] = {}
        while waiting:
            batch = _Batch(store, _BATCH_LINES, remove, progress)
            total = total.plus(batch.run(waiting))
            faults |= batch.faults
            elsewhere |= batch.elsewhere
        if remove:
            tidy(folder)
    passed_over = _in_lines(faults)
    if elsewhere:
        passed_over += (_of_other_hosts(folder, elsewhere),)
    return total._replace(left=len(journals(folder)), passed_over=passed_over)


def _in_lines(faults: dict[Path, str]) -> tuple[str, ...]:
    return tuple(f"{shown(path)}: {fault}" for path, fault in sorted(faults.items()))


def _of_other_hosts(folder: Path, hosts: dict[Path, str]) -> str:
    names = sorted(set(hosts.values()))
    host = f"the host {names[0]!r}" if len(names) == 1 else f"{len(names)} other hosts"
    number = "a journal is" if len(hosts) == 1 else f"{len(hosts)} journals are"
    return (
        f"{shown(folder)}: {number} left to be collected by {host}, this one being {socket.gethostname()!r}; "
        f"`compile-ledger collect {shown(folder)} -o LEDGER` reads all into another ledger"
    )


def collect_own(ledger: Path, journal: Path, *, is_exiting: bool) -> None:
    """Collect the journal of the calling process, which has left: for a second at most, without waiting.

    What is not done by then is left to the next collector.
    """
    if why := distrust(journal.parent):
        raise LedgerNotWritable(why)
    with only_collector(journal.parent, 0) as is_mine:
        if not is_mine:
            return
        # Only where no other thread can be importing them, and nobody will use sqlite-utils afterwards.
        with _spared(_HEAVY_AND_OPTIONAL if is_exiting else ()):
            store = Store.open(ledger, wait_s=0.1)
        deadline = time.monotonic() + _OWN_BUDGET_S
        try:
            waiting = {journal: size_of(journal)}
            while waiting and time.monotonic() < deadline:
                _Batch(store, _OWN_BATCH_LINES, True, None).run(waiting)
            tidy(journal.parent)
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
    tail: str | None = None
    """What the last bytes that were read hash to."""


class _Batch:
    """One transaction: a number of lines out of some journals."""

    def __init__(self, store: Store, lines: int, remove: bool, progress: ProgressCallback | None) -> None:
        self._store = store
        self._lines = lines
        self._bytes = _BATCH_BYTES
        self._remove = remove
        self._progress = progress
        self._done = Collected()
        self._finished: dict[Path, int] = {}
        """The journals that are over, and their sizes as they were read."""
        self.faults: dict[Path, str] = {}
        """Why a journal was not read, or not removed."""
        self.elsewhere: dict[Path, str] = {}
        """The hosts of journals that are theirs to collect."""

    def run(self, waiting: dict[Path, int]) -> Collected:
        """Read from journals; take out of `waiting` those that were read up to the size it gives them."""
        read: list[Path] = []
        with gc_paused(), self._store.transaction():
            for path, size in waiting.items():
                if self._lines <= 0 or self._bytes <= 0:
                    break
                try:
                    if self._read(path, size):
                        read.append(path)
                except FileNotFoundError:
                    read.append(path)  # another collector finished it just now
                except OSError as error:
                    read.append(path)
                    self.faults[path] = f"can't be read ({error.strerror or error})"
        removed = sum(self._removed(path, size) for path, size in self._finished.items())
        for path in read:
            del waiting[path]
        return self._done._replace(removed=removed)

    def _removed(self, path: Path, size: int) -> bool:
        """Remove a journal, unless it has grown since; return whether it is gone."""
        try:
            if path.lstat().st_size != size:
                return False
            path.unlink()
        except FileNotFoundError:
            return True  # another collector has just removed it
        except OSError as error:
            self.faults[path] = f"is collected, but can't be removed ({error.strerror or error})"
            return False
        return True

    def _read(self, path: Path, size: int) -> bool:
        """Take the next lines; return whether all up to a size is read, and the journal finished if over."""
        beginning = first_lines(path)
        stored, progress = self._progress_of(path, beginning[0])
        joined = joined_in(beginning)
        if self._remove and joined is not None and joined.host not in (None, socket.gethostname()):
            # Each host collects its own: what another one is writing may look odd from here.
            if progress.read_bytes < size:
                self.elsewhere[path] = str(joined.host)
            return True
        # Judged before the end is looked for: what a dead process wrote is all there.
        gone = self._remove and has_gone(joined)
        if not gone and joined is not None:
            see_alive(path, joined)
        texts, end = read_lines(path, progress.read_bytes, self._lines, self._bytes)
        self._lines -= len(texts)
        self._bytes -= end - progress.read_bytes
        for first in range(0, len(texts), _PARSED_AT_ONCE):
            progress = self._take(path, texts[first : first + _PARSED_AT_ONCE], progress)
        if self._progress and texts:
            self._progress(end - progress.read_bytes)
        if texts:
            progress = progress._replace(read_bytes=end, tail=_tail(path, end))
        # Lines to spare: there were no more, at most the beginning of one.
        is_at_end = (self._lines > 0 and self._bytes > 0) or end == size_of(path)
        is_over = self._remove and (gone or progress.has_left)
        if is_over and is_at_end:
            self._finish(path, progress)
        if progress != stored:
            self._store.connection.execute(
                f"INSERT OR REPLACE INTO journal_progress VALUES ({', '.join('?' * len(progress))})", progress
            )
        return is_at_end or (end >= size and not is_over)

    def _progress_of(self, path: Path, first_line: bytes) -> tuple[_Progress | None, _Progress]:
        """Return a journal's progress as it is stored, and as it holds for what the journal is now."""
        head = hashlib.sha256(first_line).hexdigest()
        row = self._store.connection.execute(
            "SELECT * FROM journal_progress WHERE journal = ? AND head = ?", (shown(path.stem), head)
        ).fetchone()
        if row is None:
            return None, _Progress(shown(path.stem), head)
        stored = _Progress(*row)
        if stored.read_bytes and stored.tail != _tail(path, stored.read_bytes):
            # It was cut, and may have grown since. What comes twice is one event.
            return stored, stored._replace(read_bytes=0, read_lines=0, tail=None)
        return stored, stored

    def _take(self, path: Path, texts: list[bytes], progress: _Progress) -> _Progress:
        """Append the events of some lines, reject the other lines, and return the progress."""
        first = progress.read_lines + 1
        to_wall_ns = self._to_wall_ns(progress)
        parsed = parse_lines(texts, first, to_wall_ns)
        if to_wall_ns is None and (to_wall_ns := _to_wall_ns_in(parsed.rows)) is not None:
            parsed = parse_lines(texts, first, to_wall_ns)
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
        """Take the end of a journal whose process is gone, or has left."""
        with open_journal(path) as file:
            file.seek(progress.read_bytes)
            tail = file.read(KEPT_OF_A_LONG_LINE)
            size = max(file.seek(0, os.SEEK_END), progress.read_bytes)
        if b"\n" in tail:
            return  # of one that says it has left, and goes on all the same
        if tail.strip():
            reason = "incomplete last line, never acknowledged"
            self._reject(path, progress.read_lines + 1, reason, tail)
        if progress.session is not None and progress.process is not None and not progress.has_left:
            lost = ProcessLost(
                session=progress.session, process=f"{progress.process}:lost", seq=0, at_ns=progress.last_ns,
                lost=progress.process, last_seq=progress.last_seq,
                alive_ns=alive_ns if (alive_ns := last_seen_alive_ns(path)) > progress.last_ns else None,
            )  # fmt: skip
            to_wall_ns = self._to_wall_ns(progress)
            row = to_row(lost, None if to_wall_ns is None else lost.at_ns + to_wall_ns)
            self._count(self._store.append([row]))
        self._finished[path] = size

    def _reject(self, path: Path, line: int, reason: str, text: bytes) -> None:
        self._store.reject(shown(path.name), line, reason, text.decode("utf-8", "backslashreplace"))
        self._done = self._done._replace(rejected=self._done.rejected + 1)

    def _to_wall_ns(self, progress: _Progress) -> int | None:
        """Return what makes a time of the process one on the wall clock, from what was read before."""
        row = self._store.connection.execute(
            "SELECT at_ns, wall_ns FROM events WHERE session = ? AND process = ? AND seq <= 1 "
            "AND kind = 'process_joined' AND wall_ns IS NOT NULL",
            (progress.session, progress.process),
        ).fetchone()
        return Anchor(*row).wall_of(0) if row else None


def _to_wall_ns_in(rows: list[EventRow]) -> int | None:
    """Return what makes a time one on the wall clock, where the process joins in these rows."""
    for row in rows[:JOINS_WITHIN]:
        if row.kind == "process_joined" and row.wall_ns is not None:
            return Anchor(row.at_ns, row.wall_ns).wall_of(0)
    return None


def _tail(journal: Path, end: int) -> str | None:
    """Return what the bytes before an offset hash to; None where the journal does not reach so far."""
    begin = max(0, end - _TAIL_BYTES)
    with open_journal(journal) as file:
        file.seek(begin)
        tail = file.read(end - begin)
    return hashlib.sha256(tail).hexdigest() if len(tail) == end - begin else None
