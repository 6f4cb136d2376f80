"""Spreads intervals over tracks without partial overlaps, for which viewers would show wrong lengths.

Perfetto: "child slices nest perfectly inside parent slices and do not partially overlap",
https://perfetto.dev/docs/reference/synthetic-track-event.
"""

from collections.abc import Sequence

from ledger import Interval
from ledger.adapters import by_enclosure

_Track = list[Interval]


def spread(intervals: Sequence[Interval]) -> list[_Track]:
    """Return one process's intervals in as few tracks as needed, each after those that enclose it.

    Open intervals get the last track to themselves: elsewhere, another interval's end would end them.
    """
    tracks: list[tuple[_Track, list[int]]] = []  # each with the stops of its open slices, innermost last
    for interval in sorted((one for one in intervals if one.stop_ns is not None), key=by_enclosure):
        stop_ns = interval.stop_ns or 0
        track, stops = _free(tracks, interval.start_ns, stop_ns)
        track.append(interval)
        stops.append(stop_ns)
    still_open = [interval for interval in intervals if interval.stop_ns is None]
    return [*(track for track, _ in tracks), *([still_open] if still_open else [])]


def _free(tracks: list[tuple[_Track, list[int]]], start_ns: int, stop_ns: int) -> tuple[_Track, list[int]]:
    """Return the first track that the interval fits on; add one if there is none."""
    for track, stops in tracks:
        while stops and stops[-1] <= start_ns:
            stops.pop()
        if not stops or stop_ns <= stops[-1]:
            return track, stops
    tracks.append(([], []))
    return tracks[-1]
