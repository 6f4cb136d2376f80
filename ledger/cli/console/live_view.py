"""Shows what happens now as a table: the live view of a session, by its events so far."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from ledger.clock import ClockDomain, monotonic_ns
from ledger.events.rows import EventRow
from ledger.formatting import NO_ROLE, NS_PER_S
from ledger.recording.process_identity import this_process
from ledger.timeline.incremental import Group, IncrementalReducer, RunningTotals, body_of

ROWS_SHOWN: Final = 12
LINES_AROUND: Final = 3
"""The names of the columns above the processes; below them how many are not shown, and the totals."""
_S_PER_MINUTE: Final = 60
_ELSEWHERE: Final = "other clock"
_INTO: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
_UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"


class Shown(NamedTuple):
    """An open stage, as it is shown."""

    process: str
    stage: str
    role: str | None
    open_ns: int | None
    """None where its clock is another one."""


class _Who(NamedTuple):
    """One process: its name, and the clock that its times are on."""

    name: str
    rank: int = -1
    is_our_clock: bool = True


class Names:
    """What the processes of a session are called, by the events so far."""

    def __init__(self, here: ClockDomain | None = None) -> None:
        self._here = here
        self._known: dict[str, _Who] = {}

    def add(self, row: EventRow) -> None:
        """Take an event."""
        if row.kind != "process_joined":
            return
        body = body_of(row)
        name = printable(str(body.get("name")))
        rank = body.get("rank")
        domain = ClockDomain(*(body.get(part) for part in ClockDomain._fields))
        self._known[row.process] = _Who(
            name if rank is None else f"{name} (rank {rank})",
            -1 if rank is None else int(rank),
            self._here is None or domain == self._here,
        )

    def __getitem__(self, process: str) -> _Who:
        return self._known.get(process) or _Who(printable(process))


class LiveState:
    """One session's state by the events so far.

    `here` is the domain of the clock whose time `render` is given: how long a stage of a process in another
    one has been open is unknown. Where it is left out, every process is taken to be in it.
    """

    def __init__(self, here: ClockDomain | None = None) -> None:
        self._names = Names(here)
        self._folding = IncrementalReducer()
        self._state = RunningTotals()

    def add(self, row: EventRow) -> None:
        """Take one event. Those of one process come in their order; several processes may be mixed."""
        self._names.add(row)
        for change in self._folding.take(row):
            self._state.apply(change)

    def render(self, now_ns: int, rows: int = ROWS_SHOWN) -> Table:
        """Return the table at a moment of the monotonic clock, with `rows` processes at most.

        It is LINES_AROUND lines higher than that, and none of its lines is ever wrapped.
        """
        table = Table.grid()
        table.add_row(open_stages(self._open(now_ns), self._names, rows))
        if totals := compiled(self._state.totals_ns()):
            table.add_row(line(totals))
        return table

    def _open(self, now_ns: int) -> list[Shown]:
        return [
            Shown(
                begun.process,
                begun.start.stage,
                begun.role,
                max(0, now_ns - begun.start.at_ns) if self._names[begun.process].is_our_clock else None,
            )
            for begun in self._state.open
        ]


class LiveView:
    """The live view of the session whose events it is given, on this host; for several threads."""

    def __init__(self) -> None:
        me = this_process()
        self._state = LiveState(ClockDomain(me.host, me.boot_id, me.time_namespace))
        self._trouble = ""
        self._lock = threading.Lock()

    def see(self, rows: Sequence[EventRow]) -> None:
        """Take events."""
        with self._lock:
            for row in rows:
                self._state.add(row)

    def tell(self, trouble: str) -> None:
        """Show a line below the table, until there is another; none takes it away."""
        with self._lock:
            self._trouble = trouble

    def render(self, lines: int) -> Table:
        """Return the view as it is now, in `lines` lines at most."""
        with self._lock:
            around = LINES_AROUND + bool(self._trouble)
            if lines <= around:
                return Table.grid()
            table = self._state.render(monotonic_ns(), min(ROWS_SHOWN, lines - around))
            if self._trouble:
                table.add_row(line(self._trouble, "yellow"))
            return table


def open_stages(stages: Iterable[Shown], names: Names, rows: int) -> Table:
    """Return a table of open stages, which come in the order in which they began: a line a process."""
    of_process: dict[str, list[Shown]] = {}
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
    """Say each role's compile time so far: of several processes, that of the slowest."""
    times: dict[str, list[int]] = {}
    for group, total_ns in totals_ns.items():
        if group.activity == "compile":
            times.setdefault(group.role or NO_ROLE, []).append(total_ns)
    if not times:
        return ""
    totals = ", ".join(f"{printable(role)} {duration(max(times[role]))}" for role in sorted(times))
    several = any(len(of_processes) > 1 for of_processes in times.values())
    return f"compiled so far: {totals}" + (" (in the slowest process)" if several else "")


def duration(ns: int) -> str:
    """Return a time as a person reads it at a glance."""
    seconds = ns / NS_PER_S
    if seconds < _S_PER_MINUTE:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), _S_PER_MINUTE)
    return f"{minutes} min {seconds:02} s"


def line(text: str, style: str = "") -> Text:
    """Return a line that is never wrapped. As Text, since a name from an event may look like markup."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def printable(name: str) -> str:
    """Return a name from an event without what would move the terminal's cursor."""
    return name if name.isprintable() else "".join(c if c.isprintable() else _UNPRINTABLE for c in name)


def _path(outermost: str, innermost: str, count: int) -> str:
    if count == 1:
        return printable(outermost)
    between = f" {_INTO} … {_INTO} " if count > 2 else f" {_INTO} "
    return printable(outermost) + between + printable(innermost)


def _elapsed(open_ns: int | None) -> str:
    return _ELSEWHERE if open_ns is None else duration(open_ns)
