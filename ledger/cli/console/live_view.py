"""The live view: what each process of a session is doing, and since when, from its events so far."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from ledger.cli.console.live_processes import (
    WAITING_FOR_FIRST_STAGE,
    IdleProcess,
    ProcessLives,
    ProcessNames,
)
from ledger.clock import ClockDomain, monotonic_ns
from ledger.durations import duration
from ledger.events.rows import EventRow
from ledger.formatting import NO_ROLE, one_line
from ledger.recording.process_identity import this_process
from ledger.timeline.incremental import Change, Group, IncrementalReducer, RunningTotals
from ledger.vocabulary import IMPORT

ROWS_SHOWN: Final = 12
LINES_AROUND: Final = 4
"""The elapsed time and the table header above the processes; below them the count of hidden ones, and the
totals."""
_ELSEWHERE: Final = "other clock"
_INTO: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"


class StageRow(NamedTuple):
    """An open stage as a row of the table."""

    process: str
    stage: str
    role: str | None
    component: str | None
    open_ns: int | None
    """None if its process has another clock."""

    @property
    def title(self) -> str:
        """The stage, and of an import the module."""
        is_import = self.stage == IMPORT and self.component
        return one_line(f"{self.stage} {self.component}" if is_import else self.stage)


class IdleRow(NamedTuple):
    """A process without an open stage as a row of the table."""

    process: str
    text: str
    idle_ns: int | None
    """None if its process has another clock."""


class LiveState:
    """One session's state, from its events so far.

    `here` is the domain of the clock whose times `render` gets. How long a stage has been open is unknown
    for processes in another domain. Without `here`, all processes count as being in the same one.
    """

    def __init__(self, here: ClockDomain | None = None) -> None:
        self._names = ProcessNames(here)
        self._lives = ProcessLives()
        self._reducer = IncrementalReducer()
        self._state = RunningTotals()

    def add(self, row: EventRow) -> None:
        """Add one event. Each process's events must come in order; several processes may be interleaved."""
        self._names.add(row)
        self._lives.add(row, is_our_clock=self._names[row.process].is_our_clock)
        for change in self._reducer.take(row):
            self._state.apply(change)
            self._lives.apply(change)

    def render(self, now_ns: int, rows: int = ROWS_SHOWN) -> Table:
        """Return the table at a time of the monotonic clock, with at most `rows` processes.

        It has up to LINES_AROUND more lines, and lines are never wrapped.
        """
        table = Table.grid()
        if elapsed := self._elapsed(now_ns):
            table.add_row(line(elapsed, "bold"))
        table.add_row(
            process_table(self._open(now_ns), self._names, rows, self._idle(now_ns), self._if_none())
        )
        if totals := compiled(self._totals_ns(now_ns)):
            table.add_row(line(totals))
        return table

    def _elapsed(self, now_ns: int) -> str:
        began_ns = self._lives.began_ns
        if began_ns is None:
            return ""
        until_ns = now_ns if self._lives.ended_ns is None else self._lives.ended_ns
        reached = "".join(
            f", {one_line(name)} after {duration(max(0, at_ns - began_ns))}"
            for name, at_ns in self._lives.milestones.items()
        )
        return f"{duration(max(0, until_ns - began_ns))} since the start{reached}"

    def _open(self, now_ns: int) -> list[StageRow]:
        return [
            StageRow(
                begun.process,
                begun.start.stage,
                begun.role,
                begun.start.component,
                max(0, now_ns - begun.start.at_ns) if self._names[begun.process].is_our_clock else None,
            )
            for begun in self._state.open
        ]

    def _idle(self, now_ns: int) -> list[IdleRow]:
        busy = {begun.process for begun in self._state.open}
        return [self._idle_row(idle, now_ns) for idle in self._lives.idle(busy)]

    def _idle_row(self, idle: IdleProcess, now_ns: int) -> IdleRow:
        is_our_clock = self._names[idle.process].is_our_clock
        return IdleRow(idle.process, idle.text, max(0, now_ns - idle.since_ns) if is_our_clock else None)

    def _if_none(self) -> str:
        return WAITING_FOR_FIRST_STAGE if self._lives.is_empty else "no stage is open"

    def _totals_ns(self, now_ns: int) -> dict[Group, int]:
        """Return the totals, in which what is open counts as if it ended now."""
        compiling = [
            begun
            for begun in self._state.open
            if begun.start.activity == "compile" and self._names[begun.process].is_our_clock
        ]
        state = self._state.copy() if compiling else self._state
        for begun in compiling:
            state.apply(Change(begun, max(now_ns, begun.start.at_ns)))
        return state.totals_ns()


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


def process_table(
    stages: Iterable[StageRow],
    names: ProcessNames,
    rows: int,
    idle: Sequence[IdleRow] = (),
    if_none: str = "no stage is open",
) -> Table:
    """Return a table with one line per process, those with an open stage first.

    `stages` come in the order in which they began. Where there is no process at all it says `if_none`.
    """
    of_process: dict[str, list[StageRow]] = {}
    for stage in stages:
        of_process.setdefault(stage.process, []).append(stage)
    busy = sorted(of_process, key=lambda process: names[process].rank)
    table = Table.grid()
    if not busy and not idle:
        table.add_row(line(if_none, "dim"))
        return table
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("process", "stage", "role"):
        # Where there is too little room, the stage is cut first: its cells are never wrapped either.
        shown.add_column(name, no_wrap=name != "stage", overflow="ellipsis")
    for name in ("innermost", "outermost"):
        shown.add_column(name, no_wrap=True, justify="right")
    for process in busy[:rows]:
        outermost, innermost = of_process[process][0], of_process[process][-1]
        shown.add_row(
            line(names[process].name),
            line(_path(outermost.title, innermost.title, len(of_process[process]))),
            line(one_line(innermost.role or "")),
            line(_elapsed(innermost.open_ns)),
            line(_elapsed(outermost.open_ns)),
        )
    for process, text, idle_ns in idle[: max(0, rows - len(busy))]:
        shown.add_row(line(names[process].name), line(text, "dim"), "", line(_elapsed(idle_ns), "dim"), "")
    table.add_row(shown)
    if (hidden := len(busy) + len(idle) - rows) > 0:
        table.add_row(line(f"… and {hidden} more", "dim"))
    return table


def compiled(totals_ns: Mapping[Group, int]) -> str:
    """Return each role's compile time so far as text; with several processes, the slowest one's."""
    times: dict[str, list[int]] = {}
    for group, total_ns in totals_ns.items():
        if group.activity == "compile":
            times.setdefault(group.role or NO_ROLE, []).append(total_ns)
    if not times:
        return ""
    totals = ", ".join(f"{one_line(role)} {duration(max(times[role]))}" for role in sorted(times))
    several = any(len(of_processes) > 1 for of_processes in times.values())
    return f"compiled so far: {totals}" + (" (in the slowest process)" if several else "")


def line(text: str, style: str = "") -> Text:
    """Return a line that is never wrapped. A Text, since names from events may look like markup."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _path(outermost: str, innermost: str, count: int) -> str:
    if count == 1:
        return outermost
    between = f" {_INTO} … {_INTO} " if count > 2 else f" {_INTO} "
    return outermost + between + innermost


def _elapsed(open_ns: int | None) -> str:
    return _ELSEWHERE if open_ns is None else duration(open_ns)
