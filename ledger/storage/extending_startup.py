"""Derives anew what goes over all processes of a session: the time from command to ready, and the unions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from ledger.storage.checkpoint_rows import (
    StoredProcess,
    cut_before,
    drop_moments,
    keep_moments,
    moment_before,
)
from ledger.storage.extending_process import INTERVAL_COLUMNS, NEVER, SPACING, Grown, NotSeparate, fitting
from ledger.storage.record_rows import TABLES, interval_of
from ledger.storage.store import Store
from ledger.timeline.breakdown import Breakdown
from ledger.timeline.checkpoints import BEFORE_ALL, top_level_of, unions_since
from ledger.timeline.process_lives import Lives, distances
from ledger.timeline.records import Interval, StartupPiece, StartupWindow
from ledger.timeline.startup_windows import Bounds
from ledger.timeline.totals import Group
from ledger.timeline.unaffected import Dependencies

PIECE_COLUMNS: Final = ", ".join(TABLES["startup_breakdown"])


class StartupExtension:
    """Goes on with a session's breakdown and its unions."""

    def __init__(
        self,
        store: Store,
        session: str,
        state: Any,
        processes: Mapping[str, StoredProcess],
        lives: Lives,
        bounds: Sequence[Bounds],
    ) -> None:
        """Take what was kept of the session (`session_state`) and of its processes, and their lives now."""
        self._store: Final = store
        self._session: Final = session
        self._state: Final = state
        self._processes: Final = processes
        self._lives: Final = lives
        self._bounds: Final = bounds
        self.is_unchanged = False
        """Whether all windows, and their pieces, are what they were."""

    def windows_and_unions(self, grown: Mapping[str, Grown]) -> tuple[list[StartupWindow], dict[Group, int]]:
        """Derive the time from command to ready anew, and the unions, from when on they may have changed."""
        store, session, lives = self._store, self._session, self._lives
        moment = moment_before(
            store, session, fitting(min((each.changed_ns for each in grown.values()), default=NEVER))
        )
        bounds = self._bounds
        resumed = self._resumed(bounds, self._changed_ns(grown))
        self.is_unchanged = not resumed and [list(each) for each in bounds] == self._state["windows"]
        since_ns = min([moment.at_ns, *(start_ns for start_ns, _, _ in resumed.values())])
        intervals, stopped_before = self._intervals_since(since_ns, grown)
        drop_moments(store, session, moment.at_ns)
        unions, moments = unions_since(
            moment,
            [
                span
                for span in top_level_of(one for of_process in intervals.values() for one in of_process)
                if span[1] > moment.at_ns
            ],
            SPACING,
        )
        keep_moments(store, session, moments)
        breakdown = Breakdown(session, lives, distances(lives.processes), intervals, stopped_before)
        windows: list[StartupWindow] = []
        pieces: list[StartupPiece] = []
        for number, each in enumerate(bounds):
            if number in resumed:
                start_ns, piece, unattributed_ns = resumed[number]
                found = list(breakdown.pieces(number, start_ns, each.stop_ns, piece))
                unattributed_ns += sum(one.duration_ns for one in found if one.interval is None)
                pieces += found
            else:
                unattributed_ns = int(self._state["unattributed_ns"][number])
            windows.append(breakdown.window(number, each, unattributed_ns))
        store.insert("startup_breakdown", PIECE_COLUMNS, pieces)
        return windows, unions

    def _changed_ns(self, grown: Mapping[str, Grown]) -> int:
        """Return until when everything is charged as it was."""
        before = {process: tuple(state) for process, state in self._state["lives"].items()}
        after = lives_state(self._lives)
        if before.keys() - after.keys():
            raise NotSeparate
        changed = [NEVER]
        for process, (began_ns, ended_ns, *rest) in after.items():
            if process not in before:
                changed.append(began_ns)
                continue
            began_before_ns, ended_before_ns, *rest_before = before[process]
            if (began_ns, rest) != (began_before_ns, rest_before):
                raise NotSeparate
            if ended_ns != ended_before_ns:
                changed += [at_ns for at_ns in (ended_ns, ended_before_ns) if at_ns is not None]
        for process, each in grown.items():
            # A piece in no interval says which stage of its process comes next.
            is_all = each.last_start_ns == BEFORE_ALL
            changed += [each.changed_ns, after[process][0] if is_all else each.last_start_ns]
        return min(changed)

    def _resumed(self, bounds: Sequence[Bounds], changed_ns: int) -> dict[int, tuple[int, int, int]]:
        """Remove the pieces that may be other ones now.

        Return, by window, from when on and from which piece on they are derived anew, and how much of the
        window before belongs to no interval.
        """
        before = [Bounds(*each) for each in self._state["windows"]]
        resumed: dict[int, tuple[int, int, int]] = {}
        for number, each in enumerate(bounds):
            old = before[number] if number < len(before) else None
            if old is None or resumed or (old.began_by, old.start_ns) != (each.began_by, each.start_ns):
                resumed[number] = (each.start_ns, 0, 0)
            elif changed_ns <= each.stop_ns or old.stop_ns != each.stop_ns:
                until_ns = min(changed_ns, old.stop_ns, each.stop_ns)
                start_ns, piece, removed_ns = self._cut_pieces(number, until_ns, each.start_ns)
                unattributed_ns = int(self._state["unattributed_ns"][number])
                resumed[number] = (start_ns, piece, unattributed_ns - removed_ns)
            else:
                continue
            if old is None or resumed[number] == (each.start_ns, 0, 0):
                self._cut_pieces(number, BEFORE_ALL, each.start_ns)
        if len(before) > len(bounds):
            raise NotSeparate
        return resumed

    def _cut_pieces(self, window: int, until_ns: int, start_ns: int) -> tuple[int, int, int]:
        """Remove the pieces of a window that do not end by a time, the last that does, and later windows'.

        Return where the first of them began, its number, and how much of those belonged to no interval.
        """
        piece, removed_ns = 0, 0
        rows: list[int] = []
        cursor = self._store.connection.execute(
            "SELECT rowid, window, piece, start_ns, duration_ns, interval FROM startup_breakdown "
            "WHERE session = ? ORDER BY rowid DESC",
            [self._session],
        )
        for row, of_window, number, at_ns, duration_ns, interval in cursor:
            if of_window < window:
                break
            rows.append(row)
            if of_window == window:
                start_ns, piece = at_ns, number
                removed_ns += duration_ns if interval is None else 0
                if at_ns < until_ns:
                    break
        cursor.close()
        if rows:
            self._store.connection.execute(
                "DELETE FROM startup_breakdown WHERE session = ? AND rowid >= ?", [self._session, rows[-1]]
            )
        return start_ns, piece, removed_ns

    def _intervals_since(
        self, since_ns: int, grown: Mapping[str, Grown]
    ) -> tuple[dict[str, list[Interval]], dict[str, str | None]]:
        """Return the intervals of each process from the last cut on that is no later than a time.

        And the stage that stopped last before that.
        """
        intervals: dict[str, list[Interval]] = {}
        stopped_before: dict[str, str | None] = {}
        for process, kept in self._processes.items():
            stored = cut_before(self._store, self._session, process, fitting(since_ns))
            if stored is None:
                raise NotSeparate
            cut, first_row = stored
            rows = [
                each.place for each in kept.checkpoint.unstopped if each.is_open and each.start_ns < cut.at_ns
            ]
            marks = ", ".join("?" * len(rows))
            found = self._read(f"rowid IN ({marks})", rows)
            condition, values = (
                "session = ? AND process = ? AND rowid >= ?",
                (self._session, process, first_row),
            )
            if process in grown:
                # What was derived just now need not be read again.
                found += self._read(f"{condition} AND rowid < ?", (*values, grown[process].first_row))
                found += grown[process].intervals
            else:
                found += self._read(condition, values)
            intervals[process] = found
            stopped_before[process] = cut.last_stopped
        return intervals, stopped_before

    def _read(self, condition: str, values: Iterable[object]) -> list[Interval]:
        rows = self._store.select(
            f"SELECT {INTERVAL_COLUMNS} FROM projected_intervals WHERE {condition} ORDER BY rowid", values
        )
        return [interval_of(cast("tuple[Any, ...]", row), {}) for row in rows]


def lives_state(lives: Lives) -> dict[str, tuple[Any, ...]]:
    """Return what of each process decides when it may be charged."""
    steps = distances(lives.processes)
    return {
        life.process: (life.began_ns, life.ended_ns, steps[life.process], life.rank)
        for life in lives.processes
    }


def session_state(
    lives: Lives, bounds: Iterable[Bounds], windows: Iterable[StartupWindow], dependencies: Dependencies
) -> object:
    """Return what is to be kept of a session."""
    return {
        "dependencies": list(dependencies),
        "lives": lives_state(lives),
        "windows": list(bounds),
        "unattributed_ns": [window.unattributed_ns for window in windows],
    }
