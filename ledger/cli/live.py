"""Folds events into what happens now, and shows that as a table: the live view of a session.

The fold is for the eyes: it takes events as they come, when nobody can know yet what encloses what. Totals to
rely on are those that the reducer derives.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from ledger.clock import monotonic_ns
from ledger.events import EventRow
from ledger.identity import this_process
from ledger.vocabulary import ROLE_OF_TORCH

ROWS_SHOWN: Final = 12
LINES_AROUND: Final = 3
"""The names of the columns above the processes; below them how many are not shown, and the totals."""
_NS_PER_S: Final = 1e9
_S_PER_MINUTE: Final = 60
_NO_ROLE: Final = "(whole process)"
_ELSEWHERE: Final = "other clock"
_INTO: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
_UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"


class ClockDomain(NamedTuple):
    """What two processes must share for their monotonic clocks to be comparable."""

    host: str | None
    boot_id: str | None
    time_namespace: str | None


class _Open(NamedTuple):
    """An interval that has begun and not ended."""

    stage: str
    activity: str | None
    role: str | None
    start_ns: int
    parent: int | None


@dataclass(slots=True)
class _Process:
    """What is known of one process."""

    name: str
    rank: int = -1
    is_our_clock: bool = True
    open: dict[int, _Open] = field(default_factory=dict[int, _Open])
    """By interval id, in the order in which they began."""
    below: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    """Of each open parent, the ids of its children."""
    compiling: dict[str, int] = field(default_factory=dict[str, int])
    """Of each role, how many compile intervals are open."""
    since_ns: dict[str, int] = field(default_factory=dict[str, int])
    """Of each role, where its last top-level compile interval began."""
    compiled_ns: dict[str, int] = field(default_factory=dict[str, int])
    """Of each role, the length of its top-level compile intervals that have ended."""

    def begin(self, interval: int, begun: _Open) -> None:
        """Take the start of an interval; of several with one id the first counts."""
        if interval in self.open:
            return
        self.open[interval] = begun
        if begun.parent in self.open:
            self.below.setdefault(begun.parent, []).append(interval)
        if begun.activity == "compile":
            role = begun.role or _NO_ROLE
            if not self.compiling.get(role):
                self.since_ns[role] = begun.start_ns
            self.compiling[role] = self.compiling.get(role, 0) + 1

    def end(self, interval: int, at_ns: int) -> None:
        """Take the stop of an interval. What is still open below it was abandoned, and ends with it."""
        waiting = [interval]
        while waiting:
            one = waiting.pop()
            waiting += self.below.pop(one, ())
            ended = self.open.pop(one, None)
            if ended is None or ended.activity != "compile":
                continue
            role = ended.role or _NO_ROLE
            self.compiling[role] -= 1
            if not self.compiling[role]:
                # Starts and stops of several threads can be some microseconds out of order.
                passed_ns = max(0, at_ns - self.since_ns[role])
                self.compiled_ns[role] = self.compiled_ns.get(role, 0) + passed_ns

    def leave(self) -> None:
        """Forget what a process that is over can no longer end."""
        self.open.clear()
        self.below.clear()
        self.compiling.clear()

    def role_around(self, parent: int | None, activity: str | None) -> str | None:
        """Return the role that an interval without one takes from what is open around it."""
        if parent is not None and (above := self.open.get(parent)) is not None and above.role is not None:
            return above.role  # its own, or the one that it took in the same way
        for around in reversed(self.open.values()):
            if around.role is not None and around.activity == activity:
                return around.role
        return None


class LiveState:
    """One session's state by the events so far.

    `here` is the domain of the clock whose time `render` is given: how long a stage of a process in another
    one has been open can't be said. Where it is left out, every process is taken to be in it.
    """

    def __init__(self, here: ClockDomain | None = None) -> None:
        self._here = here
        self._processes: dict[str, _Process] = {}

    def add(self, row: EventRow) -> None:
        """Take one event. Those of one process come in their order; several processes may be mixed."""
        if row.kind == "process_lost":
            # It is said by the collector, under a process id that no process has.
            if (lost := self._processes.get(str(_body(row).get("lost")))) is not None:
                lost.leave()
            return
        process = self._processes.get(row.process)
        if process is None:
            process = self._processes[row.process] = _Process(_printable(row.process))
        if row.kind == "stage_started" and row.interval is not None:
            role = row.role or process.role_around(row.parent, row.activity)
            if role is None and row.source == "torch":
                role = ROLE_OF_TORCH
            process.begin(row.interval, _Open(row.stage or "", row.activity, role, row.at_ns, row.parent))
        elif row.kind == "stage_stopped" and row.interval is not None:
            process.end(row.interval, row.at_ns)
        elif row.kind == "process_left":
            process.leave()
        elif row.kind == "process_joined":
            self._join(process, row)

    def render(self, now_ns: int, rows: int = ROWS_SHOWN) -> Table:
        """Return the table at a moment of the monotonic clock, with `rows` processes at most.

        It is LINES_AROUND lines higher than that, and none of its lines is ever wrapped.
        """
        table = Table.grid()
        busy = [process for process in self._processes.values() if process.open]
        busy.sort(key=lambda process: process.rank)
        shown = busy[:rows]
        table.add_row(self._stages(shown, now_ns) if shown else _line("no stage is open", "dim"))
        if len(busy) > len(shown):
            table.add_row(_line(f"… and {len(busy) - len(shown)} more", "dim"))
        if totals := self._totals():
            table.add_row(_line(totals))
        return table

    def _join(self, process: _Process, row: EventRow) -> None:
        said = _body(row)
        process.name = _printable(str(said.get("name")))
        if (rank := said.get("rank")) is not None:
            process.rank = int(str(rank))
            process.name += f" (rank {rank})"
        domain = ClockDomain(*(_text(said.get(name)) for name in ClockDomain._fields))
        process.is_our_clock = self._here is None or domain == self._here

    def _stages(self, processes: list[_Process], now_ns: int) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("process", "open stages", "role"):
            table.add_column(name, no_wrap=True, overflow="ellipsis")
        for name in ("innermost", "outermost"):
            table.add_column(name, no_wrap=True, justify="right")
        for process in processes:
            # They are in the order in which they began.
            outermost = next(iter(process.open.values()))
            innermost = next(reversed(process.open.values()))
            table.add_row(
                _line(process.name),
                _line(_path(outermost.stage, innermost.stage, len(process.open))),
                _line(_printable(innermost.role or "")),
                _line(_elapsed(process, innermost, now_ns)),
                _line(_elapsed(process, outermost, now_ns)),
            )
        return table

    def _totals(self) -> str:
        """Return the finished top-level compile time of each role; of several processes, of the slowest."""
        times: dict[str, list[int]] = {}
        for process in self._processes.values():
            for role, compiled_ns in process.compiled_ns.items():
                times.setdefault(role, []).append(compiled_ns)
        if not times:
            return ""
        totals = ", ".join(f"{_printable(role)} {_seconds(max(times[role]))}" for role in sorted(times))
        several = any(len(of_processes) > 1 for of_processes in times.values())
        return f"compiled so far: {totals}" + (" (in the slowest process)" if several else "")


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
                table.add_row(_line(self._trouble, "yellow"))
            return table


def _path(outermost: str, innermost: str, count: int) -> str:
    if count == 1:
        return _printable(outermost)
    between = f" {_INTO} … {_INTO} " if count > 2 else f" {_INTO} "
    return _printable(outermost) + between + _printable(innermost)


def _elapsed(process: _Process, begun: _Open, now_ns: int) -> str:
    return _seconds(max(0, now_ns - begun.start_ns)) if process.is_our_clock else _ELSEWHERE


def _seconds(ns: int) -> str:
    seconds = ns / _NS_PER_S
    if seconds < _S_PER_MINUTE:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), _S_PER_MINUTE)
    return f"{minutes} min {seconds:02} s"


def _line(text: str, style: str = "") -> Text:
    # As Text, since a name from an event may look like markup.
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _printable(name: str) -> str:
    """Return a name from an event without what would move the terminal's cursor."""
    return name if name.isprintable() else "".join(c if c.isprintable() else _UNPRINTABLE for c in name)


def _body(row: EventRow) -> dict[str, object]:
    return json.loads(row.body) if row.body else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
