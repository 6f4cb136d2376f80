"""Makes events of what one process logged: intervals by stamp and length, claims, open starts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

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
from ledger_vllm.messages import Stated, Told
from ledger_vllm.parts import WHOLE, Part, part_of
from ledger_vllm_log.interval_placement import OVERLAPPING, Group, Placed, SoFar, put_all
from ledger_vllm_log.records import Record, Speaker

UNCERTAINTY_NS: Final = 1_000_000_000
_WHOLE_OF: Final = {
    "dynamo": "torch_compile",
    "graph_compile": "torch_compile",
    "graph_load": "torch_compile",
    "cache_save": "torch_compile",
    "aot_load": "torch_compile",
    "aot_save": "torch_compile",
    "weights_load": "model_load",
    "model_init": "model_load",
}
"""The stage that each is a part of, whose line comes after it."""
_WHOLES: Final = frozenset(_WHOLE_OF.values())
_BEFORE_ENGINE_INIT: Final = _WHOLES - {"torch_compile"} | {"weights_load", "model_init", "engine_init"}
_OF_A_PART: Final = frozenset(
    {"torch_compile", "first_run", *(part for part, whole in _WHOLE_OF.items() if whole == "torch_compile")}
)
"""Stages of one part of the model; all others serve the whole process."""
_WITHOUT_LENGTH: Final[Mapping[str, str]] = {
    "graph_loaded": "graph_load",
    "aot_loaded": "aot_load",
    "aot_load_failed": "aot_load",
    "aot_saved": "aot_save",
}
_MAX_WAITING: Final = 500
"""Groups that wait for what is around them: a start-up has some tens."""
_MAX_BEGUN: Final = 100
_RANK_FOLDER: Final = re.compile(r"rank_\d+(?:_\d+)*")


class Place(NamedTuple):
    """Where a line stands: its number in the log, and what logged it."""

    line: int
    logged_by: str


@dataclass(slots=True)
class _Entry:
    """What one line told, from then until its place on the time line is known."""

    placed: Placed
    part: Part
    data: dict[str, Any]
    kind: Literal["stage", "moment"] = "stage"
    """A moment is only a place on the time line."""
    outcome: Literal["completed", "failed"] = "completed"
    said: tuple[Stated, ...] = ()
    text: str = ""
    claim_data: dict[str, Any] = field(default_factory=dict[str, Any])
    begin: "_Entry | None" = None
    """The line with which it began, where the stage is between two stamps."""


class _Waiting(NamedTuple):
    parts: list[_Entry]
    whole: _Entry | None = None

    @property
    def entries(self) -> list[_Entry]:
        """All of them, the whole first: of equal intervals the one that began first encloses the others."""
        return self.parts if self.whole is None else [self.whole, *self.parts]

    @property
    def group(self) -> Group:
        whole = None if self.whole is None else self.whole.placed
        return Group([part.placed for part in self.parts], whole)


@dataclass(slots=True)
class _Failure:
    at_ns: int | None
    """None where it had started before."""
    error: str | None = None


class Process:
    """One process of the log, and the events that it has come to."""

    def __init__(self, session: str, process: str, speaker: Speaker) -> None:
        self._session: Final = session
        self._process: Final = process
        self._speaker = speaker
        self._rank = speaker.rank
        self._component: str | None = None
        self._knows_component = False
        self._so_far = SoFar()
        self._parts: list[_Entry] = []
        """Those whose whole may still come."""
        self._waiting: list[_Waiting] = []
        self._begun: list[_Entry] = []
        self._warming: _Entry | None = None
        self._failed: _Failure | None = None
        self._began_ns: int | None = None
        self._latest_ns = 0
        self._seq, self._intervals, self._claims = 1, 0, 0

    @property
    def has_failed(self) -> bool:
        """Tell whether it said that it failed."""
        return self._failed is not None

    def speaks(self, speaker: Speaker, at_ns: int) -> None:
        """Take over what the process is called now: workers are named late."""
        self._latest_ns = max(self._latest_ns, at_ns)
        if speaker.name is not None:
            self._speaker = self._speaker._replace(name=speaker.name)
        if speaker.rank is not None:
            self._rank = speaker.rank

    def states(self, record: Record, at_ns: int, place: Place, said: tuple[Stated, ...]) -> Iterator[Event]:
        """Take a line that states durations."""
        first = said[0]
        part = self._part_of(first.stage, first.tag)
        placed = Placed(first.stage, at_ns, record.unit_ns, round(first.seconds * 1e9))
        entry = _Entry(placed, part, _data(record, place), said=said, text=record.message)
        if first.range is not None:
            entry.data["range"] = first.range
        if "warmup run together" in record.message:
            entry.data["includes"] = "first_run"
        if record.repeated is not None:
            entry.data["repeated"] = record.repeated
        entry.claim_data = {name: value for name, value in entry.data.items() if name != "uncertainty_ns"}
        if first.stage == "torch_compile":
            self._say_how(entry, first.tag)
        yield from self._take(entry)

    def tells(self, record: Record, at_ns: int, place: Place, told: Told) -> Iterator[Event]:
        """Take a line that tells of something without a duration."""
        entry = _Entry(
            Placed("", at_ns, record.unit_ns, is_moment=True), WHOLE, _data(record, place), "moment"
        )
        if told.what in _WITHOUT_LENGTH:
            stage = entry.placed.stage = _WITHOUT_LENGTH[told.what]
            entry.placed.is_moment = False
            entry.kind, entry.part = "stage", self._part_of(stage, told.tag)
            entry.data["length"] = "not stated"
            for name in ("path", "reason", "range"):
                if (value := getattr(told, name)) is not None:
                    entry.data[name] = value
            if stage == "aot_load":
                entry.data["cache"] = "hit" if told.what == "aot_loaded" else "failed"
            if told.what == "aot_load_failed":
                entry.outcome = "failed"
            yield from self._take(entry)
        elif told.what == "cache_directory":
            folder = str(told.path).rstrip("/").rpartition("/")[2]
            self._component = told.tag or (folder if not _RANK_FOLDER.fullmatch(folder) else None)
            self._knows_component = True
        elif told.what == "compile_begins":
            entry.placed.stage, entry.part = "torch_compile", self._part_of("torch_compile", told.tag)
            yield from self._take(entry)
            self._begun.append(entry)
            if len(self._begun) > _MAX_BEGUN:
                yield from self._settle()
                yield self._open(self._begun.pop(0))
        elif told.what == "warmup_begins":
            entry.placed.stage = "warmup"
            yield from self._take(entry)
            if self._warming is not None:
                yield from self._settle()
                yield self._open(self._warming)
            self._warming = entry
        elif told.what == "warmup_ends" and self._warming is not None:
            entry.placed.stage, entry.kind, entry.begin = "warmup", "stage", self._warming
            self._warming = None
            entry.data["length"] = "between two stamps"
            yield from self._take(entry)
        elif told.what == "rank_assigned":
            self._rank = told.rank

    def reaches(self, milestone: str, at_ns: int) -> Event:
        """Take a moment that has a name of its own."""
        return MilestoneReached(**self._next(at_ns), name=milestone)

    def fails(self, at_ns: int, *, is_starting: bool) -> None:
        """Take its failure: at the start, what it was doing has failed with it."""
        self._failed = self._failed or _Failure(at_ns if is_starting else None)

    def raised(self, error: str) -> None:
        """Take the name of an exception: after a failure, the last one is what the process failed with."""
        if self._failed is not None:
            self._failed.error = error

    def end(self) -> Iterator[Event]:
        """Return what was still to come when the log ended, or the start-up did."""
        yield from self._settle()
        if self._warming is not None:
            yield from self._cut_short(self._warming)
        # Of the compiles that were announced, all but the last were left in some other way.
        for begun in self._begun[:-1]:
            yield self._open(begun)
        for begun in self._begun[-1:]:
            yield from self._cut_short(begun)

    def _cut_short(self, entry: _Entry) -> Iterator[Event]:
        """Begin an interval in which the log ends, or the process failed."""
        started = self._open(entry)
        yield started
        if self._failed is not None and self._failed.at_ns is not None:
            at_ns = max(started.at_ns, self._failed.at_ns)
            error = self._failed.error
            yield StageStopped(**self._next(at_ns), interval=started.interval, outcome="failed", error=error)

    def starts_session(self, version: str | None, at_ns: int, wall_ns: int | None) -> Event:
        """Return the session's start: this process was the first to introduce itself."""
        versions = {} if version is None else {"vllm": version}
        return SessionStarted(**self._next(at_ns), versions=versions, wall_ns=wall_ns)

    def notes(self, what: str, at_ns: int, detail: str) -> Event:
        """Return what the log does not say."""
        return GapNoted(**self._next(at_ns), what=what, detail=detail)

    def ends_session(self, outcome: Literal["completed", "failed"], at_ns: int) -> Event:
        """Return the session's end: this process said how the start-up went."""
        return SessionEnded(**self._next(at_ns), outcome=outcome)

    def leaves(self, outcome: Literal["completed", "failed"]) -> Event:
        """Return the process's end, after all of its other events but how it joined."""
        return ProcessLeft(**self._next(self._latest_ns), outcome=outcome, event_count=self._seq)

    def is_lost(self) -> Event:
        """Return that the process is gone and never said so, after all of its events."""
        return ProcessLost(
            session=self._session,
            process=f"{self._process}:lost",
            seq=0,
            at_ns=self._latest_ns,
            lost=self._process,
            last_seq=self._seq - 1,
        )

    def joined(self, seen_ns: int, ahead_ns: int | None) -> Event:
        """Return how the process joined, which is known in the end; a wall clock is ahead by `ahead_ns`."""
        at_ns = seen_ns if self._began_ns is None else self._began_ns
        return ProcessJoined(
            session=self._session,
            process=self._process,
            seq=0,
            at_ns=at_ns,
            name=self._speaker.name or "unnamed",
            rank=self._rank,
            pid=self._speaker.pid,
            host=self._speaker.host,
            # Nobody knows it, but it is one clock that all processes of a host were stamped by.
            boot_id=self._session,
            wall_ns=None if ahead_ns is None else max(0, at_ns + ahead_ns),
        )

    def _part_of(self, stage: str, tag: str | None) -> Part:
        if stage not in _OF_A_PART:
            return WHOLE
        if tag is not None:
            self._component, self._knows_component = tag, True
        if not self._knows_component:
            return WHOLE
        # What vLLM compiles as an encoder has its class's name for a tag; model tags are in small letters.
        is_encoder = self._component is not None and self._component[:1].isupper()
        return part_of(self._component, is_encoder=is_encoder)

    def _say_how(self, entry: _Entry, tag: str | None) -> None:
        """Add to a compile how it was announced, and whether it was a load."""
        loads = [part.data["cache"] for part in self._parts if part.placed.stage == "aot_load"]
        begun = [one for one in self._begun if tag is None or one.part.component == tag]
        if begun:
            self._begun.remove(begun[-1])
            entry.data["announced_ns"] = begun[-1].placed.stamp_ns
        graphs = {part.placed.stage for part in self._parts} & OVERLAPPING
        if loads and loads[-1] == "hit":
            entry.data["cache"] = "hit"
        elif begun or "graph_compile" in graphs:
            entry.data["cache"] = "compiled"
        elif graphs:  # before there was AOT: Dynamo ran, and all graphs were loaded
            entry.data["cache"] = "hit"

    def _take(self, entry: _Entry) -> Iterator[Event]:
        """Put a line's entry where it belongs, and return what has become settled by it."""
        stage = entry.placed.stage
        whole = _WHOLE_OF.get(stage)
        if self._parts and _WHOLE_OF[self._parts[0].placed.stage] != (whole or stage):
            self._close()
        if stage == "engine_init":
            self._close()
            yield from self._settle(entry)
        elif whole is not None and entry.kind == "stage":
            self._parts.append(entry)
            if len(self._parts) >= _MAX_WAITING:
                self._close()
        elif stage in _WHOLES and entry.kind == "stage":
            self._close(entry)
        else:
            self._close()
            self._waiting.append(_Waiting([entry]))
        if len(self._waiting) >= _MAX_WAITING:
            yield from self._settle()

    def _close(self, whole: _Entry | None = None) -> None:
        if self._parts or whole is not None:
            self._waiting.append(_Waiting(self._parts, whole))
            self._parts = []

    def _settle(self, engine_init: _Entry | None = None) -> Iterator[Event]:
        """Give everything that waits its place on the time line, and return its events."""
        self._close()
        waiting, self._waiting = self._waiting, []
        before = 0
        if engine_init is not None:
            loads = (waited.entries[0].placed.stage in _BEFORE_ENGINE_INIT for waited in waiting)
            before = max((number + 1 for number, is_load in enumerate(loads) if is_load), default=0)
        self._so_far = put_all([waited.group for waited in waiting[:before]], self._so_far)
        around = None if engine_init is None else engine_init.placed
        self._so_far = put_all([waited.group for waited in waiting[before:]], self._so_far, around)
        settled = [entry for waited in waiting for entry in waited.entries]
        for entry in settled if engine_init is None else [engine_init, *settled]:
            if entry.kind == "stage":
                yield from self._events_of(entry)

    def _events_of(self, entry: _Entry) -> Iterator[Event]:
        interval, self._intervals = self._intervals, self._intervals + 1
        placed = entry.placed
        start_ns = placed.start_ns if entry.begin is None else entry.begin.placed.stop_ns
        yield self._started(entry, interval, start_ns)
        yield StageStopped(**self._next(placed.stop_ns), interval=interval, outcome=entry.outcome)
        for said in entry.said:
            claim, self._claims = self._claims, self._claims + 1
            part = entry.part if said.counts == "interval" else Part(said.role, None)
            # Ranges overlap one another: what such a line speaks of is not what it times.
            is_named = said.counts == "interval" and said.stage not in OVERLAPPING
            yield TotalClaimed(
                **self._next(placed.stop_ns),
                claim=claim,
                counts=said.counts,
                source=said.source,
                role=part.role,
                component=part.component,
                stage=said.stage,
                claimed_ns=round(said.seconds * 1e9),
                resolution_ns=said.resolution_ns,
                text=entry.text,
                interval=interval if is_named else None,
                data=entry.claim_data,
            )

    def _open(self, entry: _Entry) -> StageStarted:
        """Begin an interval whose end the log has not."""
        interval, self._intervals = self._intervals, self._intervals + 1
        return self._started(entry, interval, entry.placed.stop_ns)

    def _started(self, entry: _Entry, interval: int, at_ns: int) -> StageStarted:
        return StageStarted(
            **self._next(at_ns),
            interval=interval,
            stage=entry.placed.stage,
            source="log",
            role=entry.part.role,
            component=entry.part.component,
            data=entry.data,
        )

    def _next(self, at_ns: int) -> dict[str, Any]:
        seq, self._seq = self._seq, self._seq + 1
        self._began_ns = at_ns if self._began_ns is None else min(self._began_ns, at_ns)
        self._latest_ns = max(self._latest_ns, at_ns)
        return {"session": self._session, "process": self._process, "seq": seq, "at_ns": at_ns}


def _data(record: Record, place: Place) -> dict[str, Any]:
    uncertainty_ns = min(UNCERTAINTY_NS, record.unit_ns)
    return {"line": place.line, "logged_by": place.logged_by, "uncertainty_ns": uncertainty_ns}
