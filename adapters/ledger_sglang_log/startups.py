"""Splits a log of SGLang into start-ups: what belongs to one, where the next one begins, how each ended.

The server prints its arguments first, so a line with them begins the next start-up wherever other lines of
one came before. In a log that lacks it, a rank that joins its group again begins the next one, if this one
was ready, failed or was shut down before. (A drafter's runner logs that it joins, too, in the same start-up.)
"""

import re
from collections.abc import Iterator
from typing import Final

from ledger import Event
from ledger.adapters import ENGINE_READY, SERVER_READY
from ledger_log_lines.process_events import Outcome
from ledger_log_lines.progress_bars import Bar
from ledger_log_lines.wall_clock import WallClock
from ledger_sglang_log.message_patterns import (
    CAPTURES,
    DISTRIBUTED_INIT,
    ENGINE_INIT,
    GRAPH_CAPTURE,
    MODEL_LOAD,
    TIMED,
    WARMUP,
    BarPattern,
    MessagePattern,
)
from ledger_sglang_log.processes import Process
from ledger_sglang_log.records import Record, ranks_of

_BEGINS_INSIDE: Final = "the log begins inside a start-up: what happened before its first line is unknown"
_GOES_ON: Final = "the log goes on with another start-up: how this one ended is unknown"
_ENDS: Final = "the log ends here: whether and how this process went on is unknown"
_ASSUMED: Final = (
    "stamps have no zone: it is the one in which the file's last change came right after the last stamp, or "
    "else UTC"
)
_NO_DATE: Final = "stamps have neither date nor zone, so nothing says what day it was"
_TIMING: Final = re.compile(r"(\w{1,40})=(?:(\d{1,7}(?:\.\d{1,9})?)(?=[,} ]|$)|\{([^{}]{0,2000})\})")
_RESOLUTION_NS: Final = 10_000_000


class StartUp:
    """One start-up of SGLang, over all its processes: one session."""

    def __init__(self, session: str, wall: WallClock) -> None:
        self.wall: Final = wall
        self._session: Final = session
        self._processes: dict[str, Process] = {}
        self._names_arguments = False
        self._engine_ready, self._serves = False, False
        self._completed, self._failed, self._shut_down = False, False, False
        self._last_failed: Process | None = None
        self._earliest_ns: int | None = None
        self._latest_ns = 0

    def is_before(self, meaning: MessagePattern, record: Record) -> bool:
        """Whether a line belongs to another start-up, after this one."""
        if meaning.kind == "arguments":
            return bool(self._processes)
        if meaning.kind != "begin" or meaning.stage not in (DISTRIBUTED_INIT, MODEL_LOAD):
            return False
        is_over = self._completed or self._failed or self._shut_down
        return is_over and (record.ranks in self._processes or not record.ranks)

    def extend(self, record: Record, at_ns: int) -> None:
        """Take the time of a line, whatever it says."""
        if len(record.stamp) > len("00:00:00"):
            self.wall.take(record.stamp, at_ns, record.wall_ns)
        elif record.wall_ns is not None:
            self.wall.take("", at_ns, record.wall_ns)
        self._earliest_ns = at_ns if self._earliest_ns is None else min(self._earliest_ns, at_ns)
        self._latest_ns = max(self._latest_ns, at_ns)

    def take(
        self, record: Record, at_ns: int, line: int, meaning: MessagePattern, match: re.Match[str]
    ) -> Iterator[Event]:
        """Yield the events of a record."""
        process = self._process(record.ranks)
        process.events.see(at_ns)
        self._names_arguments = self._names_arguments or meaning.kind == "arguments"
        groups = match.groupdict()
        component = (groups.get("component") or "").strip() or None
        if meaning.stage is not None and meaning.kind == "begin":
            yield from process.begin(meaning.stage, component, at_ns, record.unit_ns, line)
        elif meaning.stage is not None:
            if component is None and groups.get("range"):
                component = groups["range"]
            seconds, text = groups.get("seconds"), record.message
            yield from process.end(meaning.stage, component, seconds, at_ns, record.unit_ns, line, text)
        elif meaning.kind == "timings":
            yield from self._take_timings(process, str(groups["timings"]), record, at_ns, line)
            yield from self._take_engine_ready(process, at_ns)
        elif meaning.kind == "engine_ready":
            yield from self._take_engine_ready(process, at_ns)
        elif meaning.kind == "server_ready":
            yield from self._take_server_ready(process, record, at_ns, line)
        elif meaning.kind == "fails":
            self._fail(process, at_ns)
        elif meaning.kind == "shuts_down":
            self._shut_down = True

    def take_bar(
        self, row: BarPattern, bar: Bar, line: int, at_ns: int, unit_ns: int
    ) -> Iterator[Event] | None:
        """Return the events of a finished bar; None where no process does what it shows.

        The first rank of each group shows them: of those that are at it, the first is taken.
        """
        busy = [one for one in self._processes.values() if one.going_on & row.within]
        if not busy:
            return None
        first = min(busy, key=lambda one: sorted(ranks_of(one.ranks).items()))
        return first.take_bar(row, bar, line, at_ns, unit_ns)

    def take_exception(self, name: str) -> None:
        """Take an exception that follows a failure: the first; a later one may be another process's."""
        if self._last_failed is not None:
            self._last_failed.error = self._last_failed.error or name

    def end(self, *, is_followed: bool) -> Iterator[Event]:
        """Yield the events that had to wait; `is_followed` is whether the log has a later start-up."""
        if not self._processes:
            return
        earliest_ns = self._latest_ns if self._earliest_ns is None else self._earliest_ns
        first = next(iter(self._processes.values()))
        for process in self._processes.values():
            yield from process.finish()
        yield first.events.session_started(earliest_ns, self._wall_ns(earliest_ns))
        if not self._names_arguments:
            yield first.events.gap("log_begins", earliest_ns, _BEGINS_INSIDE)
        if self.wall.offset_ns is None:
            yield first.events.gap("wall_clock", earliest_ns, _NO_DATE)
        elif not self.wall.is_stated:
            yield first.events.gap("wall_clock", earliest_ns, _ASSUMED)
        if (outcome := self._outcome) is not None:
            yield first.events.session_ended(outcome, self._latest_ns)
        elif is_followed:
            yield first.events.gap("next_start", self._latest_ns, _GOES_ON)
        ranks = _ranks_in(self._processes)
        for name, process in self._processes.items():
            if process.has_failed:
                yield process.events.left("failed")
            elif self._shut_down:
                yield process.events.left("completed")
            elif is_followed:
                yield process.events.lost()
            elif not self._failed:
                yield process.events.gap("log_ends", self._latest_ns, _ENDS)
            yield process.events.joined(
                name or "server", rank=ranks.get(name), wall_offset_ns=self.wall.offset_ns
            )

    @property
    def _outcome(self) -> Outcome | None:
        if self._completed:
            return "completed"
        return "failed" if self._failed or self._shut_down else None

    def _wall_ns(self, at_ns: int) -> int | None:
        return self.wall.wall_ns(at_ns)

    def _take_engine_ready(self, process: Process, at_ns: int) -> Iterator[Event]:
        self._completed = self._completed or not self._failed
        if not self._engine_ready:
            self._engine_ready = True
            yield process.events.milestone(ENGINE_READY, at_ns)

    def _take_server_ready(self, process: Process, record: Record, at_ns: int, line: int) -> Iterator[Event]:
        if WARMUP.name in process.going_on:
            yield from process.end(WARMUP, None, None, at_ns, record.unit_ns, line, record.message)
        yield from self._take_engine_ready(process, at_ns)
        if not self._serves:
            self._serves = True
            yield process.events.milestone(SERVER_READY, at_ns)

    def _take_timings(
        self, process: Process, timings: str, record: Record, at_ns: int, line: int
    ) -> Iterator[Event]:
        """Take the line that states what the slowest rank took for each stage."""
        for name, seconds, captures in _TIMING.findall(timings):
            if captures:
                for capture, length in re.findall(r"(\w{1,40})=(\d{1,7}(?:\.\d{1,9})?)", captures):
                    if float(length):  # nothing was captured of those that took no time
                        yield from self._claim_capture(process, capture, length, record, at_ns, line)
                continue
            stage = TIMED.get(name)
            if stage is ENGINE_INIT:
                yield from process.end(
                    ENGINE_INIT, None, seconds, at_ns, record.unit_ns, line, record.message
                )
                continue
            yield process.events.claim(
                name if stage is None else stage.name, round(float(seconds) * 1e9), at_ns,
                source="engine", counts="ranks" if stage is MODEL_LOAD else "interval",
                resolution_ns=_RESOLUTION_NS, text=record.message, data={"line": line, "name": name},
            )  # fmt: skip

    def _claim_capture(
        self, process: Process, name: str, seconds: str, record: Record, at_ns: int, line: int
    ) -> Iterator[Event]:
        """Claim what the slowest rank took to capture one kind of graph."""
        components = CAPTURES.get(name, (name,))
        found = [
            (length_ns, interval, stop_ns, rank, component)
            for rank in self._processes.values()
            for component in components
            for interval, length_ns, stop_ns in (
                rank.captures.get(component, []) if len(rank.captures.get(component, [])) == 1 else []
            )
        ]
        _, interval, stop_ns, speaker, component = max(
            found, key=lambda one: one[0], default=(0, None, at_ns, process, components[0])
        )
        yield speaker.events.claim(
            GRAPH_CAPTURE.name, round(float(seconds) * 1e9), max(at_ns, stop_ns), source="engine",
            resolution_ns=_RESOLUTION_NS, text=record.message, interval=interval,
            role="drafter" if name.startswith("draft") else "language_model", component=component,
            data={"line": line, "name": f"cuda_graph.{name}"},
        )  # fmt: skip

    def _fail(self, process: Process, at_ns: int) -> None:
        self._failed = self._failed or not self._completed
        process.fail(at_ns, is_starting=not self._completed)
        self._last_failed = process

    def _process(self, ranks: str) -> Process:
        if ranks not in self._processes:
            self._processes[ranks] = Process(self._session, ranks)
        return self._processes[ranks]


def _ranks_in(names: dict[str, Process]) -> dict[str, int]:
    """Return the rank of each process, where its numbers say it: `TP`, or `PP` and then `TP`."""
    numbers = {name: ranks_of(name) for name in names if name}
    tensor = [each.get("TP", 0) for each in numbers.values()]
    if len(set(tensor)) == len(tensor):
        return {name: each.get("TP", 0) for name, each in numbers.items()}
    pairs = [(each.get("PP", 0), each.get("TP", 0)) for each in numbers.values()]
    if len(set(pairs)) < len(pairs):
        return {}  # several engines side by side
    size = max(tensor) + 1
    return {name: each.get("PP", 0) * size + each.get("TP", 0) for name, each in numbers.items()}
