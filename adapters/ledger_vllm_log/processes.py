"""Turns what one process logged into events: intervals by stamp and length, claims, open intervals."""

from collections.abc import Iterator
from typing import Any, Final, Literal

from ledger import (
    Event,
    GapNoted,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    ProcessLost,
    SessionEnded,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
)
from ledger_engine.model_parts import WHOLE, Part
from ledger_log_lines.wall_clock import WallClock
from ledger_vllm.logged_stages import KERNEL_COMPILE, LAST_STEP, LOGGED_STAGES
from ledger_vllm.messages import Durations, Occurrence
from ledger_vllm_log.begun_stages import BEGINNINGS, ENDINGS, BegunStages
from ledger_vllm_log.entries import Entry, Failure, Place, data_of, graph_stages, is_looked_up
from ledger_vllm_log.interval_placement import Placed
from ledger_vllm_log.parts_of_model import PartsOfModel
from ledger_vllm_log.records import Record, Speaker
from ledger_vllm_log.running_sums import RunningSum
from ledger_vllm_log.waiting_stages import WaitingStages

_MAX_WAITING: Final = 500
"""Groups that wait for the stage around them to be logged; a start-up has a few dozen."""
_MAX_BEGUN: Final = 100
"""Announced compiles without an end; a start-up has a few."""
_MAX_ERRORS: Final = 10
"""Exceptions of a failure that are kept: the first ones, and the last."""


class Process:
    """One process of the log, and its events so far."""

    def __init__(self, session: str, process: str, speaker: Speaker) -> None:
        self._session: Final = session
        self._process: Final = process
        self._speaker = speaker
        self._rank = speaker.rank
        self._model = PartsOfModel()
        self._waiting = WaitingStages()
        self._sum = RunningSum()
        self._begun: list[Entry] = []
        self._going_on = BegunStages[Entry]()
        self._late_kernels = BegunStages[Entry]()
        """Kernels that a warning said were compiled, until a line says how long that took."""
        self._failed: Failure | None = None
        self._began_ns: int | None = None
        self._first_ns: int | None = None
        self._last: Placed | None = None
        """The stage that ended last; of several the outermost."""
        self._latest_ns = 0
        self._seq, self._intervals, self._claims = 1, 0, 0

    @property
    def speaker(self) -> Speaker:
        """The process, by its current name."""
        return self._speaker

    @property
    def last_ns(self) -> int:
        """When it logged its last line so far, or what that times ended."""
        return self._latest_ns

    @property
    def has_failed(self) -> bool:
        """Whether it logged that it failed."""
        return self._failed is not None

    def update(self, speaker: Speaker, at_ns: int) -> None:
        """Take the process's current name and rank: workers get theirs late."""
        self._first_ns = at_ns if self._first_ns is None else self._first_ns
        self._latest_ns = max(self._latest_ns, at_ns)
        if speaker.name is not None and speaker.name != self._speaker.name:
            self._speaker = self._speaker._replace(name=speaker.name)
        if speaker.rank is not None:
            self._rank = speaker.rank

    def take_durations(
        self, record: Record, at_ns: int, place: Place, durations: Durations
    ) -> Iterator[Event]:
        """Take a line that states durations."""
        first = durations.stated[0]
        part = self._model.of_stated(first)
        placed = Placed(first.stage, at_ns, record.unit_ns, round(first.seconds * 1e9))
        entry = Entry(
            placed, part, data_of(record, place), "stage", durations.pattern.outcome,
            claims=tuple(durations.stated), text=record.message,
        )  # fmt: skip
        entry.data |= durations.pattern.data
        if first.range is not None:
            entry.data["range"] = first.range
        if record.repeated is not None:
            entry.data["repeated"] = record.repeated
        entry.claim_data = {name: value for name, value in entry.data.items() if name != "uncertainty_ns"}
        if first.stage == "graph_compile" and is_looked_up(
            first.range, self._waiting.inside("torch_compile")
        ):
            entry.data["cache"] = "hit"
        if first.stage == "torch_compile":
            self._describe_compile(entry, first.tag)
            entry.data |= self._model.cache_of_compile()
            self._sum.take(entry, first, self._waiting.inside("torch_compile"))
        yield from self._take(entry)

    def take_occurrence(
        self, record: Record, at_ns: int, place: Place, occurrence: Occurrence
    ) -> Iterator[Event]:
        """Take a line that says that something happened, without a duration."""
        pattern = occurrence.pattern
        stage = "" if pattern.stage is None else pattern.stage.name
        entry = Entry(
            Placed(stage, at_ns, record.unit_ns, is_moment=True), WHOLE, data_of(record, place), "moment"
        )
        if pattern.name == "cache_directory":
            self._model.take_cache_directory(occurrence)
        elif pattern.name == "cache_factors":
            self._model.take_cache_factors(occurrence)
        elif pattern.name == "drafter_load_begins":
            self._model.take_drafter_load()
        elif pattern.name == "compile_begins":
            entry.part = self._model.of(stage, occurrence.tag)
            yield from self._take(entry)
            self._begun.append(entry)
            if len(self._begun) > _MAX_BEGUN:
                yield from self._settle()
                yield self._open(self._begun.pop(0))
        elif pattern.name in BEGINNINGS:
            entry.part = Part(None, occurrence.name)
            yield from self._begin(entry, occurrence.name)
        elif pattern.name in ENDINGS:
            entry.begin = self._going_on.end((stage, occurrence.name))
            if entry.begin is not None:
                entry.kind, entry.part = "stage", entry.begin.part
                entry.data |= entry.begin.data | entry.data | {"length": "between two stamps"}
                yield from self._take(entry)
        elif pattern.name == "kernel_compiled_late":
            entry.part = Part(None, occurrence.name)
            entry.data["reason"] = str(occurrence.reason)
            yield from self._take_late_kernel(entry)
        elif pattern.name == "rank_assigned":
            self._rank = occurrence.rank
        else:
            entry.outcome = pattern.outcome
            entry.part = self._model.of(stage, occurrence.tag)
            details = {"path": occurrence.path, "reason": occurrence.reason, "range": occurrence.range}
            entry.data |= {name: value for name, value in details.items() if value is not None}
            entry.data |= pattern.data
            yield from self._take_point(entry)

    def milestone(self, name: str, at_ns: int) -> Event:
        """Return a milestone that the process reached."""
        return MilestoneReached(**self._next(at_ns), name=name)

    def fail(self, at_ns: int, stamp: str | None, *, is_starting: bool) -> None:
        """Take the process's failure: during start-up, the stages that it was in have failed with it."""
        self._failed = self._failed or Failure(at_ns if is_starting else None, stamp)

    def take_exception(self, error: str, line: str) -> None:
        """Take an exception: the last one after a failure is what the process failed with."""
        if self._failed is not None:
            del self._failed.errors[_MAX_ERRORS - 1 :]
            self._failed.errors.append((error, line))

    def end(self) -> Iterator[Event]:
        """Yield what was still waiting when the log, or the start-up, ended."""
        for late in self._late_kernels:
            yield from self._take_point(late)
        yield from self._settle()
        for begun in self._going_on:
            yield from self._cut_short(begun)
        # Of the compiles that were announced and never ended, only the last was still going on.
        for begun in self._begun[:-1]:
            yield self._open(begun)
        for begun in self._begun[-1:]:
            yield from self._cut_short(begun)

    @property
    def is_in_stage(self) -> bool:
        """Whether a stage was announced that has not ended."""
        return bool(self._going_on or self._begun)

    def last_step(self) -> Iterator[Event]:
        """Yield, for a failure in no stage, the time since the last one as a stage that failed."""
        failed = self._failed
        if (
            failed is None
            or failed.at_ns is None
            or (since_ns := self._waiting.end_ns or self._first_ns) is None
        ):
            return
        entry = Entry(
            Placed(LAST_STEP.name, since_ns, 0, stop_ns=min(since_ns, failed.at_ns)),
            WHOLE,
            {"after": None if self._last is None else self._last.stage},
        )
        if failed.stamp is not None:
            entry.data["logged_at"] = failed.stamp
        if failed.errors:
            (_, first), *_, (_, last) = (failed.errors[0], failed.errors[-1])
            entry.data["last_line"] = last if len(failed.errors) == 1 else f"{last} (after {first})"
            entry.data["errors"] = [line for _, line in failed.errors]
        yield from self._cut_short(entry)

    def _cut_short(self, entry: Entry) -> Iterator[Event]:
        """Yield an interval that was going on when the log ended, or the process failed."""
        started = self._open(entry)
        yield started
        if self._failed is not None and self._failed.at_ns is not None:
            at_ns = max(started.at_ns, self._failed.at_ns)
            error = self._failed.error
            yield StageStopped(**self._next(at_ns), interval=started.interval, outcome="failed", error=error)

    def session_started(self, version: str | None, at_ns: int, wall_ns: int | None) -> Event:
        """Return the session's start: this process was the first to introduce itself."""
        versions = {} if version is None else {"vllm": version}
        return SessionStarted(**self._next(at_ns), versions=versions, wall_ns=wall_ns)

    def gap(self, what: str, at_ns: int, detail: str) -> Event:
        """Return a note about something that the log does not contain."""
        return GapNoted(**self._next(at_ns), what=what, detail=detail)

    def session_ended(self, outcome: Literal["completed", "failed"], at_ns: int) -> Event:
        """Return the session's end: the log's last stamp."""
        return SessionEnded(**self._next(at_ns), outcome=outcome)

    def left(self, outcome: Literal["completed", "failed"]) -> Event:
        """Return the process's end, after all of its other events except `process_joined`."""
        return ProcessLeft(**self._next(self._latest_ns), outcome=outcome, event_count=self._seq)

    def lost(self) -> Event:
        """Return that the process is gone without having left, after all of its events."""
        return ProcessLost(
            session=self._session,
            process=f"{self._process}:lost",
            seq=0,
            at_ns=self._latest_ns,
            lost=self._process,
            last_seq=self._seq - 1,
        )

    def joined(self, seen_ns: int, wall: WallClock, parent_pid: int | None) -> Event:
        """Return how the process joined, which is known only at the end."""
        # It was there when it logged its first line, and when what it timed began.
        at_ns = seen_ns if self._began_ns is None else min(seen_ns, self._began_ns)
        return ProcessJoined(
            session=self._session,
            process=self._process,
            seq=0,
            at_ns=at_ns,
            name=self._speaker.name or "unnamed",
            rank=self._rank,
            pid=self._speaker.pid,
            parent_pid=parent_pid,
            host=self._speaker.host,
            # The boot is unknown, but all processes of a host were stamped by one clock.
            boot_id=self._session,
            wall_ns=wall.wall_ns(at_ns),
        )

    def _begin(self, entry: Entry, name: str | None) -> Iterator[Event]:
        """Take a line that says that a stage begins, of which another one will say that it ends."""
        key = (entry.placed.stage, name)
        if (warned := self._late_kernels.end(key)) is not None:
            entry.data["reason"] = warned.data["reason"]
        yield from self._take(entry)
        if (older := self._going_on.begin(key, entry)) is not None:
            yield from self._settle()
            yield self._open(older)

    def _take_late_kernel(self, entry: Entry) -> Iterator[Event]:
        """Take a warning that a kernel is compiled, which may have lines of its own that say for how long."""
        key = (KERNEL_COMPILE.name, entry.part.component)
        if (begun := self._going_on.get(key)) is not None:
            begun.data["reason"] = entry.data["reason"]
        elif (older := self._late_kernels.begin(key, entry)) is not None:
            yield from self._take_point(older)

    def _take_point(self, entry: Entry) -> Iterator[Event]:
        entry.kind, entry.placed.is_moment = "stage", False
        entry.data["length"] = "not stated"
        yield from self._take(entry)

    def _describe_compile(self, entry: Entry, tag: str | None) -> None:
        """Add to a compile when it was announced, and whether it was loaded from a cache."""
        parts = self._waiting.inside("torch_compile")
        loads = [part.data["cache"] for part in parts if part.placed.stage == "aot_load"]
        begun = [one for one in self._begun if tag is None or one.part.component == tag]
        if begun:
            self._begun.remove(begun[-1])
            entry.data["announced_ns"] = begun[-1].placed.stamp_ns
        graphs = graph_stages(parts)
        if loads and loads[-1] == "hit":
            entry.data["cache"] = "hit"
        elif begun or "graph_compile" in graphs:
            entry.data["cache"] = "compiled"
        elif graphs:  # before there was AOT, Dynamo ran and all graphs were loaded
            entry.data["cache"] = "hit"

    def _take(self, entry: Entry) -> Iterator[Event]:
        """Add a line's entry to those that wait, and yield the events that it settles."""
        if entry.placed.stage == "engine_init":
            yield from self._settle(entry)
            return
        self._waiting.add(entry)
        if len(self._waiting) >= _MAX_WAITING:
            yield from self._settle()

    def _settle(self, engine_init: Entry | None = None) -> Iterator[Event]:
        """Place everything that waits on the timeline, and yield its events."""
        for entry in self._waiting.settle(engine_init):
            if entry.kind == "stage":
                yield from self._events_of(entry)

    def _events_of(self, entry: Entry) -> Iterator[Event]:
        interval, self._intervals = self._intervals, self._intervals + 1
        placed = entry.placed
        if self._last is None or placed.stop_ns > self._last.stop_ns:
            self._last = placed
        start_ns = placed.start_ns if entry.begin is None else entry.begin.placed.stop_ns
        yield self._started(entry, interval, start_ns)
        yield StageStopped(**self._next(placed.stop_ns), interval=interval, outcome=entry.outcome)
        if entry.parts:
            entry.claim_data["parts"] = [*range(self._intervals, self._intervals + entry.parts)]
        for stated in entry.claims:
            claim, self._claims = self._claims, self._claims + 1
            part = entry.part if stated.counts == "interval" else Part(stated.role, None)
            yield TotalClaimed(
                **self._next(placed.stop_ns),
                claim=claim,
                counts=stated.counts,
                source=stated.source,
                role=part.role,
                component=part.component,
                stage=stated.stage,
                claimed_ns=round(stated.seconds * 1e9),
                resolution_ns=stated.resolution_ns,
                text=entry.text,
                interval=interval if stated.counts == "interval" else None,
                data=entry.claim_data,
            )

    def _open(self, entry: Entry) -> StageStarted:
        """Return the start of an interval whose end the log does not have."""
        interval, self._intervals = self._intervals, self._intervals + 1
        return self._started(entry, interval, entry.placed.stop_ns)

    def _started(self, entry: Entry, interval: int, at_ns: int) -> StageStarted:
        named = LOGGED_STAGES[entry.placed.stage].activity
        activity: dict[str, Any] = {} if named is None else {"activity": named}
        return StageStarted(
            **self._next(at_ns),
            interval=interval,
            stage=entry.placed.stage,
            source="log",
            role=entry.part.role,
            component=entry.part.component,
            data=entry.data,
            **activity,
        )

    def _next(self, at_ns: int) -> dict[str, Any]:
        seq, self._seq = self._seq, self._seq + 1
        self._began_ns = at_ns if self._began_ns is None else min(self._began_ns, at_ns)
        self._latest_ns = max(self._latest_ns, at_ns)
        return {"session": self._session, "process": self._process, "seq": seq, "at_ns": at_ns}
