"""The live view: a table of a session's open stages, from its events so far."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from ledger.clock import ClockDomain, monotonic_ns
from ledger.durations import duration
from ledger.events.rows import EventRow
from ledger.formatting import NO_ROLE
from ledger.recording.process_identity import this_process
from ledger.timeline.incremental import Group, IncrementalReducer, RunningTotals, body_of

ROWS_SHOWN: Final = 12
LINES_AROUND: Final = 3
"""The table header above the processes; below them the count of hidden ones, and the totals."""
_ELSEWHERE: Final = "other clock"
_INTO: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
_UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"


class StageRow(NamedTuple):
    """An open stage as a row of the table."""

    process: str
    stage: str
    role: str | None
    open_ns: int | None
    """None if its process has another clock."""


class _ProcessName(NamedTuple):
    """A process's display name, and what its row needs besides."""

    name: str
    rank: int = -1
    is_our_clock: bool = True


class ProcessNames:
    """Display names of a session's processes, from its events so far."""

    def __init__(self, here: ClockDomain | None = None) -> None:
        self._here = here
        self._by_process: dict[str, _ProcessName] = {}

    def add(self, row: EventRow) -> None:
        """Add an event."""
        if row.kind != "process_joined":
            return
        body = body_of(row)
        name = printable(str(body.get("name")))
        rank = body.get("rank")
        domain = ClockDomain(*(body.get(part) for part in ClockDomain._fields))
        before = self._by_process.get(row.process)
        self._by_process[row.process] = _ProcessName(
            name if rank is None else f"{name} (rank {rank})",
            -1 if rank is None else int(rank),
            # Only the first such event of a process says where it runs; a later one has another name.
            before.is_our_clock if before else self._here is None or domain == self._here,
        )

    def __getitem__(self, process: str) -> _ProcessName:
        return self._by_process.get(process) or _ProcessName(printable(process))


class LiveState:
    """One session's state, from its events so far.

    `here` is the domain of the clock whose times `render` gets. How long a stage has been open is unknown
    for processes in another domain. Without `here`, all processes count as being in the same one.
    """

    def __init__(self, here: ClockDomain | None = None) -> None:
        self._names = ProcessNames(here)
        self._reducer = IncrementalReducer()
        self._state = RunningTotals()

    def add(self, row: EventRow) -> None:
        """Add one event. Each process's events must come in order; several processes may be interleaved."""
        self._names.add(row)
        for change in self._reducer.take(row):
            self._state.apply(change)

    def render(self, now_ns: int, rows: int = ROWS_SHOWN) -> Table:
        """Return the table at a time of the monotonic clock, with at most `rows` processes.

        It has up to LINES_AROUND more lines, and lines are never wrapped.
        """
        table = Table.grid()
        table.add_row(open_stages(self._open(now_ns), self._names, rows))
        if totals := compiled(self._state.totals_ns()):
            table.add_row(line(totals))
        return table

    def _open(self, now_ns: int) -> list[StageRow]:
        return [
            StageRow(
                begun.process,
                begun.start.stage,
                begun.role,
                max(0, now_ns - begun.start.at_ns) if self._names[begun.process].is_our_clock else None,
            )
            for begun in self._state.open
        ]


class LiveView:
    """The live view of one session on this host. Thread-safe."""

    def __init__(self) -> None:
        me = this_process()
        self._state = LiveState(ClockDomain(me.host, me.boot_id, me.time_namespace))
        self._warning = ""
        self._lock = threading.Lock()

    def add(self, rows: Sequence[EventRow]) -> None:
        """Add events."""
        with self._lock:
            for row in rows:
                self._state.add(row)

    def show_warning(self, warning: str) -> None:
        """Show a line below the table until the next call; an empty text removes it."""
        with self._lock:
            self._warning = warning

    def render(self, lines: int) -> Table:
        """Return the view as of now, in at most `lines` lines."""
        with self._lock:
            around = LINES_AROUND + bool(self._warning)
            if lines <= around:
                return Table.grid()
            table = self._state.render(monotonic_ns(), min(ROWS_SHOWN, lines - around))
            if self._warning:
                table.add_row(line(self._warning, "yellow"))
            return table


def open_stages(stages: Iterable[StageRow], names: ProcessNames, rows: int) -> Table:
    """Return a table with one line per process. `stages` come in the order in which they began."""
    of_process: dict[str, list[StageRow]] = {}
    for stage in stages:
        of_process.setdefault(stage.process, []).append(stage)
    busy = sorted(of_process, key=lambda process: names[process].rank)
    table = Table.grid()
    if not busy:
        table.add_row(line("no stage is open", "dim"))
        return table
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("process", "open stages", "role"):
        shown.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("innermost", "outermost"):
        shown.add_column(name, no_wrap=True, justify="right")
    for process in busy[:rows]:
        outermost, innermost = of_process[process][0], of_process[process][-1]
        shown.add_row(
            line(names[process].name),
            line(_path(outermost.stage, innermost.stage, len(of_process[process]))),
            line(printable(innermost.role or "")),
            line(_elapsed(innermost.open_ns)),
            line(_elapsed(outermost.open_ns)),
        )
    table.add_row(shown)
    if len(busy) > rows:
        table.add_row(line(f"… and {len(busy) - rows} more", "dim"))
    return table


def compiled(totals_ns: Mapping[Group, int]) -> str:
    """Return each role's compile time so far as text; with several processes, the slowest one's."""
    times: dict[str, list[int]] = {}
    for group, total_ns in totals_ns.items():
        if group.activity == "compile":
            times.setdefault(group.role or NO_ROLE, []).append(total_ns)
    if not times:
        return ""
    totals = ", ".join(f"{printable(role)} {duration(max(times[role]))}" for role in sorted(times))
    several = any(len(of_processes) > 1 for of_processes in times.values())
    return f"compiled so far: {totals}" + (" (in the slowest process)" if several else "")


def line(text: str, style: str = "") -> Text:
    """Return a line that is never wrapped. A Text, since names from events may look like markup."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def printable(name: str) -> str:
    """Return a name from an event with control characters replaced, which could move the cursor."""
    return name if name.isprintable() else "".join(c if c.isprintable() else _UNPRINTABLE for c in name)


def _path(outermost: str, innermost: str, count: int) -> str:
    if count == 1:
        return printable(outermost)
    between = f" {_INTO} … {_INTO} " if count > 2 else f" {_INTO} "
    return printable(outermost) + between + printable(innermost)


def _elapsed(open_ns: int | None) -> str:
    return _ELSEWHERE if open_ns is None else duration(open_ns)
