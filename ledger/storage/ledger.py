"""Opens a ledger, brings it up to date, and answers: rows of SQL, timelines, events.

What few of the answers need is imported when one of them is asked for: a report should not wait for it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from ledger.errors import (
    InvalidQuery,
    LedgerDamaged,
    LedgerError,
    LedgerLocked,
    LedgerMissing,
    LedgerNotWritable,
    UnknownSession,
)
from ledger.events.models import Event
from ledger.events.rows import EventRow, from_row
from ledger.formatting import with_label
from ledger.recording.journal import journal_folder, journals
from ledger.storage.collector import Collected
from ledger.storage.excerpts import StartExcerpt, start_excerpt, timeline_excerpt, timeline_tables
from ledger.storage.interval_stream import intervals_of_keys, stored_intervals, stored_pieces
from ledger.storage.journal_folders import waiting_behind_link
from ledger.storage.ledger_files import refuse_empty, refuse_no_file
from ledger.storage.process_clocks import clock_alignment, process_lives
from ledger.storage.projections import current_timeline
from ledger.storage.record_rows import finding_of
from ledger.storage.refreshing import copied, refresh
from ledger.storage.rejected_lines import said_of_rejected_lines
from ledger.storage.row_stream import streamed
from ledger.storage.sqlite_errors import raise_if_interrupted, translate_sqlite_error
from ledger.storage.store import READER_WAIT_S, Store
from ledger.timeline.clocks import ClockAlignment
from ledger.timeline.findings import Finding
from ledger.timeline.process_lives import Lives
from ledger.timeline.records import Compilation, Interval, IntervalKey, StartupPiece
from ledger.timeline.timeline import Timeline
from ledger_birth.secrets_hidden import values_of_secret_variables

if TYPE_CHECKING:
    import pandas
    from polars import DataFrame as PolarsFrame
    from pyarrow import Table as ArrowTable  # pyright: ignore[reportUnknownVariableType]

    from ledger.timeline.replay import Replay

Parameters = Sequence[object] | dict[str, object]
"""Of a query: for `?`, or by name for `:name`."""

_AGAIN_S: Final = 1.0
_WRITES: Final = ("not authorized", "readonly", "append-only", "SQL that returns rows")
"""What errors say of a statement that does not only read."""
_SESSIONS_NAMED: Final = 5


class Ledger:
    """A ledger to read. Opening it collects the journals that wait and brings its projections up to date."""

    def __init__(self, path: Path, store: Store, warning: str | None) -> None:
        self.path: Final = path
        self.warning: Final = warning
        """What a reader should know of how it was opened: that it is a copy in memory, and why."""
        self._store: Final = store
        store.connection.execute("PRAGMA query_only = on")
        store.connection.set_authorizer(_stays_here)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, progress: Callable[[int], None] | None = None) -> Ledger:
        """Open the ledger at `path`; migrate an older one, never a newer.

        Where it can't be written, the file and its journals are read into memory instead, and `warning` says
        so. `progress` is called with the bytes of journals that were read. Raises LedgerMissing, NotALedger,
        NewerLedger, LedgerDamaged, LedgerLocked or SQLiteTooOld.
        """
        file = Path(path)
        if os.path.isdir(file):  # which, unlike Path.is_dir, raises nothing
            raise LedgerError(f"{file}: a folder; name the ledger's file, or use `compile-ledger collect`")
        if not os.path.exists(file) and not journals(journal_folder(file)):
            raise LedgerMissing(f"{file}: there is no ledger here; `compile-ledger record` makes one")
        refuse_no_file(file)
        if not journals(journal_folder(file)):
            refuse_empty(file)
        notes: list[str] = []
        store = None
        wait_s = READER_WAIT_S
        try:
            collected = refresh(file, progress, wait_s=wait_s)
            if collected.is_waiting:
                notes.append(
                    f"{file}: another process is collecting; what its journals hold is not all here yet"
                )
        except LedgerNotWritable as error:
            notes.append(f"{error.args[0]}; read into memory instead")
            store, collected = copied(file, progress)
        except LedgerLocked as error:
            notes.append(f"{error.args[0]}; this is what was there before")
            wait_s = _AGAIN_S
            collected = Collected()
        notes += collected.passed_over
        if (behind := waiting_behind_link(file)) is not None:
            notes.append(behind)
        return cls(file, store or Store.open_to_read_migrated(file, wait_s=wait_s), _in_one_line(notes))

    def sql(self, query: str, parameters: Parameters = ()) -> list[dict[str, object]]:
        """Return a query's rows, as dictionaries by column. Raises InvalidQuery; nothing can be written."""
        with self._errors_translated():
            return list(self._store.db.query(query, parameters))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    def rows(
        self, query: str, parameters: Parameters = (), *, patience_s: float | None = None
    ) -> Iterator[dict[str, object]]:
        """Yield a query's rows one by one, as dictionaries by column: a ledger has more than fit in memory.

        Text that is not UTF-8 is shown as far as it is. Raises InvalidQuery, also where no row comes for
        `patience_s`; nothing can be written.
        """
        with self._errors_translated():
            yield from streamed(self._store.db, query, parameters, patience_s)

    def select(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return the rows of a query as tuples, without sqlite-utils, which imports pandas where that is."""
        with self._errors_translated():
            return self._store.connection.execute(query, parameters).fetchall()

    def dataframe(self, query: str, parameters: Parameters = ()) -> pandas.DataFrame:
        """Return a query's rows as a data frame of pandas. Raises InvalidQuery or MissingExtra."""
        from ledger.storage.frames import pandas_frame

        return pandas_frame(*self._columns_and_rows(query, parameters))

    def polars(self, query: str, parameters: Parameters = ()) -> PolarsFrame:
        """Return a query's rows as a data frame of polars. Integers stay integers beside NULLs.

        Raises InvalidQuery, also for a column of both texts and numbers, or MissingExtra without it.
        """
        from ledger.storage.frames import polars_frame

        return polars_frame(*self._columns_and_rows(query, parameters))

    def arrow(self, query: str, parameters: Parameters = ()) -> ArrowTable:  # pyright: ignore[reportUnknownParameterType]
        """Return a query's rows as an Arrow table. Integers stay integers beside NULLs.

        Raises InvalidQuery, also for a column of both texts and numbers, or MissingExtra without pyarrow.
        """
        from ledger.storage.frames import arrow_table  # pyright: ignore[reportUnknownVariableType]

        return arrow_table(*self._columns_and_rows(query, parameters))  # pyright: ignore[reportUnknownVariableType]

    def _columns_and_rows(
        self, query: str, parameters: Parameters
    ) -> tuple[list[str], list[dict[str, object]]]:
        rows = self.sql(query, parameters)
        if rows:
            return list(rows[0]), rows
        from sqlite_utils.utils import dedupe_keys

        # sqlite-utils names the columns in rows alone. It has run the query by now, so this one only reads.
        with self._errors_translated():
            described = self._store.connection.execute(query, parameters).description
        return dedupe_keys(column[0] for column in described), rows

    @contextmanager
    def _errors_translated(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if isinstance(error, sqlite3.DatabaseError):
                raise_if_interrupted(error)
                fault = translate_sqlite_error(self.path, error)
                if isinstance(fault, (LedgerDamaged, LedgerLocked)):
                    raise fault from error
            is_write = any(words in str(error) for words in _WRITES)
            reason = "Read-only: only SELECT is allowed" if is_write else f"the query is refused: {error}"
            raise InvalidQuery(reason) from error

    @property
    def file(self) -> Path | None:
        """The file that is read, where it is not a copy in memory."""
        return self._store.path

    def write_copy(self, path: Path) -> None:
        """Write what this reads into a new file."""
        copy = sqlite3.connect(path)
        try:
            self._store.connection.backup(copy)
        finally:
            copy.close()

    def sessions(self) -> list[str]:
        """Return the ids of the sessions, oldest first."""
        rows = self._store.select(
            "SELECT s.session FROM sessions s JOIN projected_sessions p USING (session) "
            "ORDER BY s.started_at IS NOT NULL, s.started_at, p.last_event_id"
        )
        return [str(session) for (session,) in rows]

    def session(self, name: str | None = None) -> str:
        """Return the id of a session: the newest, or the newest of which `name` is label, id or its start.

        Raises UnknownSession.
        """
        if name is not None:
            return self.find_sessions(name)[-1]
        sessions = self.sessions()
        if not sessions:
            raise UnknownSession(f"{self.path}: no session yet{said_of_rejected_lines(self._store)}")
        return sessions[-1]

    def find_sessions(self, name: str) -> list[str]:
        """Return the session of that id, or those of that label, or those whose id begins so, oldest first.

        Raises UnknownSession where there is none.
        """
        sessions = self.sessions()
        if name in sessions:
            return [name]
        rows = self._store.select("SELECT session, label FROM sessions")
        labels = {str(session): label for session, label in rows}
        found = [session for session in sessions if labels[session] == name]
        found = found or [session for session in sessions if session.startswith(name)]
        if not found:
            last = (with_label(session, labels[session]) for session in sessions[-_SESSIONS_NAMED:])
            known = ", ".join(last) or "there is none yet"
            raise UnknownSession(f"{self.path}: no session {name!r}; the last ones are {known}")
        return found

    def timeline(self, session: str | None = None) -> Timeline:
        """Return a session's timeline: the newest's, or that of the one with that id or label.

        It is read from the projections where they are current. Raises UnknownSession.
        """
        return current_timeline(self._store, self.session(session))

    def intervals(self, session: str | None = None, *, has_data: bool = True) -> Iterator[Interval]:
        """Return a session's intervals, chosen as by `timeline`, to be taken one by one: no memory holds all.

        They come process by process, and in each by start. Without `has_data` they lack `error` and `data`.
        Raises UnknownSession, and LedgerNotWritable where there is no room for a temporary file.
        """
        return stored_intervals(self._store, self.session(session), has_data=has_data)

    def intervals_of_keys(self, session: str, keys: Collection[IntervalKey]) -> list[Interval]:
        """Return those of some intervals of a session that were recorded. Raises UnknownSession."""
        return intervals_of_keys(self._store, self.session(session), keys)

    def timeline_tables(self, session: str, *tables: str) -> Timeline:
        """Return a session as far as these tables have it; the others are empty. Raises UnknownSession.

        Where its projections are not current, all of it is returned.
        """
        return timeline_tables(self._store, self.session(session), *tables)

    def breakdown(self, session: str | None = None) -> tuple[StartupPiece, ...]:
        """Return the pieces of a session's time from the command to ready. Raises UnknownSession.

        The session is chosen as by `timeline`. The pieces add up to its `startup_windows`.
        """
        return timeline_tables(self._store, self.session(session), "startup_breakdown").startup_breakdown

    def startup_pieces(self, session: str) -> Iterator[StartupPiece]:
        """Return the same, to be taken one by one. Raises as `intervals` does."""
        return stored_pieces(self._store, self.session(session))

    def compilations(self, session: str | None = None) -> tuple[Compilation, ...]:
        """Return what torch compiled in a session, chosen as by `timeline`. Raises UnknownSession."""
        return timeline_tables(self._store, self.session(session), "compilations").compilations

    def timeline_excerpt(self, session: str, unattributed: int) -> Timeline:
        """Return a session with a few of its intervals: those without a stop, those that failed, and as many
        as `unattributed` says of those with the most unattributed time. Raises UnknownSession.
        """
        return timeline_excerpt(self._store, self.session(session), unattributed)

    def start_excerpt(self, session: str) -> StartExcerpt:
        """Return what is derived from a session as far as a first look at its start needs it.

        Raises UnknownSession.
        """
        return start_excerpt(self._store, self.session(session))

    def findings(self, session: str | None = None) -> tuple[Finding, ...]:
        """Return what can be acted upon in a session, what is worth most first. Raises UnknownSession.

        Beyond those of its timeline, this knows the session before: whether the caches' keys were others.
        """
        rows = self._store.select(
            f"SELECT {', '.join(Finding._fields)} FROM findings WHERE session = ? ORDER BY number",
            [self.session(session)],
        )
        return tuple(map(finding_of, rows))

    def events(self, session: str | None = None) -> Iterator[Event]:
        """Yield a session's events in the order in which they came in. Raises UnknownSession."""
        return map(from_row, self._store.rows(self.session(session)))

    def export(self, *names: str, redact: bool = False) -> Iterator[bytes]:
        """Yield sessions as lines, to be written one after another: the newest, or those named.

        The same events give the same bytes. `redact` replaces hosts, users, paths and secrets.
        Raises UnknownSession.
        """
        from ledger.events.jsonl import lines_of

        return lines_of(self.redacted(*names) if redact else self._by_key(names)())

    def redacted(self, *names: str) -> Iterator[Event]:
        """Yield the events of sessions, the newest or those named, without hosts, user names and paths.

        Raises UnknownSession.
        """
        from ledger.events.redaction import redacted

        # Who exports may well be who recorded, and is named in a label.
        return redacted(self._by_key(names), users=_user(), secrets=values_of_secret_variables())

    def rows_by_key(self, session: str) -> Iterator[EventRow]:
        """Yield a session's events as rows, by process and seq: the same, however they came in."""
        return self._store.rows_by_key(session, self._store.last_id())

    def _by_key(self, names: Sequence[str]) -> Callable[[], Iterator[Event]]:
        sessions = list(dict.fromkeys(map(self.session, names))) or [self.session()]
        last_id = self._store.last_id()
        return lambda: (from_row(row) for one in sessions for row in self._store.rows_by_key(one, last_id))

    def clock_alignment(self, session: str | None = None) -> ClockAlignment:
        """Return how the clocks of a session's processes lie on one. Raises UnknownSession."""
        return clock_alignment(self._store, self.session(session))

    def process_lives(self, session: str | None = None) -> Lives:
        """Return when each process of a session existed, on one clock. Raises UnknownSession."""
        return process_lives(self._store, self.session(session))

    def replay(self, session: str | None = None) -> Replay:
        """Return a session to go through event by event: the newest, or the one of that id or label.

        Raises UnknownSession.
        """
        from ledger.timeline.replay import Replay

        numbered = list(self._store.numbered_rows(self.session(session)))
        return Replay(
            [row for _, row in numbered], {(row.process, row.seq): number for number, row in numbered}
        )

    def __repr__(self) -> str:
        return f"<Ledger {str(self.path)!r}>"

    def _repr_html_(self) -> str:
        """Show the sessions in a notebook, the newest first."""
        from ledger.storage.notebook_view import html_of

        return html_of(str(self.path), self._store)

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _user() -> list[str]:
    from getpass import getuser

    try:
        return [getuser()]
    except (OSError, KeyError):
        return []  # a user without a name, as in some containers


def _in_one_line(notes: Sequence[str]) -> str | None:
    if not notes:
        return None
    more = f" (and {len(notes) - 1} more; `compile-ledger collect` lists them)" if len(notes) > 1 else ""
    return f"{notes[0]}{more}"


def _stays_here(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Keep a statement of `sql` to this file and its settings; that it only reads, SQLite sees to itself."""
    asks = second is None or str(first).endswith(("_info", "_xinfo", "_list"))
    if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) or (
        action == sqlite3.SQLITE_PRAGMA and not asks
    ):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
