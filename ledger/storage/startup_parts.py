"""Derives the time from command to ready part by part, in the order of time, and writes each part's pieces.

A piece may go on in the next part: the last one is held back until that is known. A piece in no interval says
which stage of its process comes next: where that begins only in a later part, it is added then.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.storage.extending_startup import PIECE_COLUMNS
from ledger.storage.store import Store
from ledger.timeline.breakdown import Breakdown
from ledger.timeline.enclosure import stage_after
from ledger.timeline.process_lives import Lives, distances
from ledger.timeline.process_parts import PartReduced
from ledger.timeline.records import StartupPiece, StartupWindow
from ledger.timeline.startup_windows import Bounds


class _Awaiting(NamedTuple):
    """A piece that does not know yet which stage comes next."""

    row: int
    process: str
    stop_ns: int


class StartupParts:
    """A session's breakdown, part by part."""

    def __init__(self, store: Store, session: str, lives: Lives, bounds: Sequence[Bounds]) -> None:
        self._store: Final = store
        self._session: Final = session
        self._lives: Final = lives
        self._distances: Final = distances(lives.processes)
        self._bounds: Final = bounds
        self._unattributed_ns: Final = [0] * len(bounds)
        self._since_ns: int | None = None
        self._last: StartupPiece | None = None
        """It may go on."""
        self._awaiting: list[_Awaiting] = []

    def take(self, parts: Mapping[str, PartReduced], until_ns: int, *, is_last: bool) -> None:
        """Derive the pieces of the next part, of which each process's intervals are given."""
        breakdown = self._breakdown(parts)
        for number, bounds in enumerate(self._bounds):
            start_ns, stop_ns = bounds.start_ns, bounds.stop_ns
            if self._since_ns is not None:
                start_ns = max(start_ns, self._since_ns)
            if not is_last:
                stop_ns = min(stop_ns, until_ns)
            if start_ns < stop_ns:
                pieces = self._pieces(breakdown, number, start_ns, stop_ns)
                self._last = None if stop_ns == bounds.stop_ns else pieces.pop()
                self._write(pieces)
        self._since_ns = until_ns
        self._add_stages_after(parts)

    def windows(self) -> list[StartupWindow]:
        """Return the windows, after the last part."""
        breakdown = self._breakdown({})
        return [
            breakdown.window(number, bounds, self._unattributed_ns[number])
            for number, bounds in enumerate(self._bounds)
        ]

    def _breakdown(self, parts: Mapping[str, PartReduced]) -> Breakdown:
        intervals = {process: [*part.lasting, *part.intervals] for process, part in parts.items()}
        before = {process: part.stopped_before for process, part in parts.items()}
        return Breakdown(self._session, self._lives, self._distances, intervals, before)

    def _pieces(self, breakdown: Breakdown, number: int, start_ns: int, stop_ns: int) -> list[StartupPiece]:
        """Return the pieces of a time in a window, the one that was held back before them."""
        last = self._last
        if last is None:
            return list(breakdown.pieces(number, start_ns, stop_ns))
        pieces = breakdown.pieces(number, start_ns, stop_ns, last.piece)
        first = next(pieces)
        if (first.process, first.interval) != (last.process, last.interval):
            return [last, *breakdown.pieces(number, start_ns, stop_ns, last.piece + 1)]
        duration_ns = first.stop_ns - last.start_ns
        last = last._replace(stop_ns=first.stop_ns, duration_ns=duration_ns, before_stage=first.before_stage)
        return [last, *pieces]

    def _write(self, pieces: Iterable[StartupPiece]) -> None:
        query = "SELECT coalesce(max(rowid), 0) + 1 FROM startup_breakdown"
        first_row = int(str(self._store.select(query)[0][0]))
        pieces = list(pieces)
        self._store.insert("startup_breakdown", PIECE_COLUMNS, pieces)
        for row, piece in enumerate(pieces, first_row):
            if piece.interval is None:
                self._unattributed_ns[piece.window] += piece.duration_ns
                if piece.process is not None and piece.before_stage is None:
                    self._awaiting.append(_Awaiting(row, piece.process, piece.stop_ns))

    def _add_stages_after(self, parts: Mapping[str, PartReduced]) -> None:
        waiting, self._awaiting = self._awaiting, []
        for each in waiting:
            stage = stage_after(parts[each.process].intervals, each.stop_ns)
            if stage is None:
                self._awaiting.append(each)
            else:
                self._store.connection.execute(
                    "UPDATE startup_breakdown SET before_stage = ? WHERE rowid = ?", [stage, each.row]
                )
