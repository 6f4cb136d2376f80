"""Brings what a running command records into the ledger, in a thread beside it."""

import threading
import time
from typing import Final, NamedTuple

from ledger.cli.console.live_view import LiveView
from ledger.cli.nothing_recorded import Extent, extent_of
from ledger.errors import LedgerError
from ledger.events.rows import EventRow
from ledger.recording.journal import journal_folder
from ledger.recording.settings import Settings
from ledger.storage.collector import collect
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store

_COLLECT_EVERY_S: Final = 0.25
_COLLECT_AGAIN_S: Final = 2.0  # after an error
_PROJECT_EVERY_S: Final = 2.0
_PROJECT_REST: Final = 10
"""Pause between projections, in multiples of their run time: they take a tenth of one core at most."""
_LAST_LOCK_WAIT_MS: Final = 10_000
_MAX_TROUBLES: Final = 10


class CollectedSession(NamedTuple):
    """What came of a session once its command had ended."""

    still_running: int
    """Processes that outlive the command."""
    extent: Extent
    """How much the command's processes recorded; "stages" if that is unknown."""
    troubles: tuple[str, ...]
    """What went wrong, a line each."""


class BackgroundCollection:
    """Collects journals into the ledger, projects them, and passes new events to the live view.

    An error is reported once, and the step retried: journals keep everything, and the command goes on.
    """

    def __init__(self, store: Store, settings: Settings, view: LiveView | None) -> None:
        self._store = store
        self._session = settings.session
        self._folder = journal_folder(settings.ledger)
        self._view = view
        self._last_shown_id = self._newest_id()
        self._project_at_s = time.monotonic() + _PROJECT_EVERY_S
        self._troubles: list[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collecting", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def left_ns(self, pid: int) -> int | None:
        """Stop the thread, and return when a process that has ended said that it left; None if it didn't."""
        try:
            self._stop()
            collect(self._store, self._folder, wait_s=0)
            [(left_ns,)] = self._store.select(
                "SELECT max(at_ns) FROM events "
                "WHERE session = ? AND process GLOB ? AND kind = 'process_left'",
                [self._session, f"{pid}-*"],
            )
            return None if left_ns is None else int(str(left_ns))
        except Exception as error:  # reported by `finish`
            self._report_trouble(_in_one_line(error))
            return None

    def finish(self) -> CollectedSession:
        """Collect the rest, and return what came of it."""
        running = 0
        extent: Extent = "stages"
        try:
            self._stop()
            self._store.connection.execute(f"PRAGMA busy_timeout = {_LAST_LOCK_WAIT_MS}")
            collect(self._store, self._folder)
            bring_up_to_date(self._store)
            query = "SELECT count(*) FROM processes WHERE session = ? AND outcome = 'running'"
            [(number,)] = self._store.select(query, [self._session])
            running, extent = int(str(number)), extent_of(self._store, self._session)
        except KeyboardInterrupt:
            self._report_trouble("interrupted; the next command that reads the ledger collects the rest")
        except Exception as error:  # an error in the ledger must not change the command's exit code
            self._report_trouble(_in_one_line(error))
        return CollectedSession(running, extent, tuple(self._troubles))

    def _stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        wait_s = _COLLECT_EVERY_S
        while not self._stopping.wait(wait_s):
            try:
                collect(self._store, self._folder, wait_s=0)
                self._look()
                self._project()
                self._report_trouble("")
                wait_s = _COLLECT_EVERY_S
            except Exception as error:  # it may pass: a full disk, say
                self._report_trouble(_in_one_line(error))
                wait_s = _COLLECT_AGAIN_S

    def _look(self) -> None:
        if self._view is None:
            return
        newest = self._newest_id()
        # The plus keeps SQLite off the index on session, through which it would read the whole session.
        rows = self._store.select(
            f"SELECT {', '.join(EventRow._fields)} FROM events "
            "WHERE id > ? AND id <= ? AND +session = ? ORDER BY id",
            [self._last_shown_id, newest, self._session],
        )
        self._view.add([EventRow._make(row) for row in rows])
        self._last_shown_id = newest

    def _project(self) -> None:
        begun_s = time.monotonic()
        if begun_s < self._project_at_s:
            return
        bring_up_to_date(self._store)
        ended_s = time.monotonic()
        self._project_at_s = ended_s + max(_PROJECT_EVERY_S, _PROJECT_REST * (ended_s - begun_s))

    def _newest_id(self) -> int:
        return int(str(self._store.select("SELECT coalesce(max(id), 0) FROM events")[0][0]))

    def _report_trouble(self, trouble: str) -> None:
        if self._view:
            self._view.show_warning(trouble)
        if trouble and trouble not in self._troubles and len(self._troubles) < _MAX_TROUBLES:
            self._troubles.append(trouble)  # stderr is the command's until it ends


def _in_one_line(error: Exception) -> str:
    return str(error) if isinstance(error, LedgerError) else f"{type(error).__name__}: {error}"
