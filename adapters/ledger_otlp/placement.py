"""Places a session's moments on the wall clock: its processes' clocks on one, and that one by its anchor."""

from typing import Final

from ledger import Ledger, LedgerError

_LATEST_NS: Final = 2**63 - 1


class Placement:
    """When on the wall something was, in nanoseconds since the Unix epoch."""

    def __init__(self, ledger: Ledger, session: str) -> None:
        """Raises UnknownSession, and LedgerError where no process of it read the wall clock."""
        lives = ledger.process_lives(session)
        self.uncertainty_ns: Final = lives.uncertainty_ns
        """How well the clocks of several hosts are aligned; 0 where there is only one."""
        self.lives: Final = {life.process: life for life in lives.processes}
        self._offset_ns: Final = lives.offset_ns
        read: list[tuple[int, int]] = []
        self._bounds_ns: Final[dict[str, tuple[int, int]]] = {}
        for row in ledger.rows(
            "SELECT process, min(at_ns) AS first_ns, max(at_ns) AS last_ns, "
            "max(wall_ns - at_ns) AS wall_ahead_ns FROM events WHERE session = ? GROUP BY process",
            [session],
        ):
            process = str(row["process"])
            first_ns, last_ns = int(str(row["first_ns"])), int(str(row["last_ns"]))
            self._bounds_ns[process] = first_ns, last_ns
            if row["wall_ahead_ns"] is not None:
                offset_ns = self._offset_ns[process]
                read.append((first_ns + offset_ns, int(str(row["wall_ahead_ns"])) - offset_ns))
        if not read:
            raise LedgerError(
                f"{session}: nothing says when on the wall clock this session was, and spans need that; "
                "--format perfetto does not"
            )
        _, self._ahead_ns = min(read)

    def of_process(self, process: str, at_ns: int) -> int:
        """Return a time of a process's clock on the wall."""
        return self.of_session(at_ns + self._offset_ns.get(process, 0))

    def of_session(self, at_ns: int) -> int:
        """Return a time of the clock of the session's first process on the wall."""
        return min(max(at_ns + self._ahead_ns, 0), _LATEST_NS)

    def process_bounds(self, process: str) -> tuple[int, int]:
        """Return when a process began and ended on the wall, or its last event where nobody saw it end."""
        first_ns, last_ns = self._bounds_ns[process]
        began_ns, ended_ns = self.of_process(process, first_ns), self.of_process(process, last_ns)
        life = self.lives.get(process)
        if life is not None:
            began_ns = min(began_ns, self.of_session(life.began_ns))
            ended_ns = max(ended_ns, self.of_session(life.ended_ns or life.began_ns))
        return began_ns, ended_ns

    def bounds(self) -> tuple[int, int]:
        """Return the first and the last moment of the session on the wall."""
        bounds = [self.process_bounds(process) for process in self._bounds_ns]
        return min(began_ns for began_ns, _ in bounds), max(ended_ns for _, ended_ns in bounds)
