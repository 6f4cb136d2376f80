"""Whose ranks a maximum is of: each of several engines speaks of its own processes alone."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from ledger.timeline.records import Process


class OwnRanks:
    """The processes that each claimant of a maximum over ranks speaks of.

    Several engines of one session each report a maximum over the processes that they started. Those of the
    other engines are left out; a process of which nothing tells who started it may be anybody's.
    """

    def __init__(self, processes: Iterable[Process], claimants: Collection[str]) -> None:
        self._claimants = claimants
        self._parents: Mapping[str, str] = _parents(processes) if len(claimants) > 1 else {}

    def includes(self, claimant: str, process: str) -> bool:
        """Tell whether a process may be one of those that a claimant speaks of."""
        own, line = self._line(claimant), self._line(process)
        return not any(
            other in line and other not in own and claimant not in self._line(other)
            for other in self._claimants
        )

    def _line(self, process: str) -> Sequence[str]:
        """Return a process, and those that it descends from."""
        line = [process]
        while (parent := self._parents.get(line[-1])) is not None and parent not in line:
            line.append(parent)
        return line


def _parents(processes: Iterable[Process]) -> Mapping[str, str]:
    by_pid: dict[tuple[str | None, int | None], list[str]] = {}
    rows = list(processes)
    for row in rows:
        by_pid.setdefault((row.host, row.pid), []).append(row.process)
    found: dict[str, str] = {}
    for row in rows:
        # A pid that two processes had, one after the other, tells nothing.
        parents = by_pid.get((row.host, row.parent_pid), []) if row.parent_pid is not None else []
        if len(parents) == 1:
            found[row.process] = parents[0]
    return found
