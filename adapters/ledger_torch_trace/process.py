"""Turns the observations of one trace into the events of one process, numbered in the order of their time."""

from collections.abc import Iterator
from typing import Final, TypedDict, cast

from pydantic import JsonValue

from ledger import (
    Event,
    GapNoted,
    ProcessJoined,
    ProcessLeft,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
)
from ledger_torch.hook_targets import BACKWARD, CONTROL_FLOW, COUNTED, FRAME, SOFT_ERRORS
from ledger_torch.spans import Ended
from ledger_torch_trace.claims import claimed
from ledger_torch_trace.lanes import Lanes, Open
from ledger_torch_trace.observations import Begin, End, Facts, Metrics, Observation
from ledger_torch_trace.survey import Survey

_NO_THREADS: Final = "a trace does not say the thread: a lane is what has one compile id, or what has none"
_WALL_CLOCK: Final = (
    "times are the wall clock's, in steps of 250 ns; of ranks on several hosts they differ by what those "
    "clocks do, and nothing shows where a clock was set"
)
_ENDS: Final = (
    "a trace does not say whether its process ended, nor how: it has completed where all has ended that began"
)
_AMBIGUOUS: Final = "their ends can belong to another begin of that name: `data.ambiguous`, for example in "
_CONTROL: Final = frozenset(name for _, name in CONTROL_FLOW)
_MAYBE_EAGER: Final = frozenset(name for _, name in SOFT_ERRORS)
"""What torch answers with eager execution, or raises to the user: a trace does not say which."""


class _Key(TypedDict):
    session: str
    process: str
    seq: int
    at_ns: int


class TracedProcess:
    """The events of one process."""

    def __init__(self, session: str, traced: Survey) -> None:
        self._session = session
        self._traced = traced
        self._seq = 0
        self._interval = 0
        self._ended = 0
        self._claim = 0
        self._lanes = Lanes()
        self._latest_ns = 0
        self._facts: dict[tuple[int, str | None], dict[str, object]] = {}
        """What artifacts said of compiles that go on, by process and compile id."""
        self._ambiguous = 0
        self._ambiguous_stage = ""

    def events(self, observation: Observation) -> Iterator[Event]:
        """Yield the events of one observation; before the first one, those of the process joining."""
        if self._seq == 0:
            yield from self._joined(observation.at_ns)
        self._latest_ns = max(self._latest_ns, observation.at_ns)
        if isinstance(observation, Begin):
            yield self._begin(observation)
        elif isinstance(observation, End):
            yield self._end(observation)
        elif isinstance(observation, Facts):
            self._note(observation)
        else:
            yield from self._claims(observation)

    def rest(self) -> Iterator[Event]:
        """Yield what is known when the trace is over."""
        if self._seq:
            yield GapNoted(**self._key(self._latest_ns), what="trace_ends", detail=_ENDS)
        if self._ambiguous:
            yield GapNoted(
                **self._key(self._latest_ns),
                what="ambiguous_intervals",
                count=self._ambiguous,
                detail=_AMBIGUOUS + self._ambiguous_stage,
            )
        if self._seq and self._ended == self._interval:
            key = self._key(self._latest_ns)
            yield ProcessLeft(**key, outcome="completed", event_count=key["seq"] + 1)

    def _joined(self, at_ns: int) -> Iterator[Event]:
        traced = self._traced
        yield SessionStarted(**self._key(at_ns), versions=traced.versions, wall_ns=at_ns)
        name = "process" if traced.pid is None else f"process {traced.pid}"
        name = name if traced.rank is None else f"rank {traced.rank}"
        yield ProcessJoined(**self._key(at_ns), name=name, rank=traced.rank, pid=traced.pid, wall_ns=at_ns)
        yield GapNoted(**self._key(at_ns), what="thread_identity", detail=_NO_THREADS)
        yield GapNoted(**self._key(at_ns), what="monotonic_clock", detail=_WALL_CLOCK)

    def _begin(self, observation: Begin) -> Event:
        lane = self._lanes.of(observation.pid, observation.compile_id)
        parent, thread = lane.parent, lane.thread(observation.stage)
        interval, self._interval = self._interval, self._interval + 1
        lane.begin(Open(observation.stage, interval, observation.at_ns, observation.data))
        return StageStarted(
            **self._key(observation.at_ns),
            interval=interval,
            stage=observation.stage,
            source="torch",
            thread=thread,
            parent=parent,
            data=_json(observation.data),
        )

    def _note(self, observation: Facts) -> None:
        facts = self._facts.setdefault((observation.pid, observation.compile_id), {})
        for name, found in observation.found.items():
            before = facts.get(name)
            facts[name] = [*before, *found] if isinstance(before, list) and isinstance(found, list) else found

    def _facts_at_end(self, observation: End) -> dict[str, object]:
        """Return what was noted of a compile that ends."""
        if observation.stage not in (FRAME, BACKWARD):
            return {}
        facts = self._facts.pop((observation.pid, observation.compile_id), {})
        if observation.stage == FRAME:
            # A break for which Dynamo gives the frame up is logged too, and is what the frame fails with.
            has_given_up = observation.data.get("fail_type") in _MAYBE_EAGER
            facts["graph_breaks"] = [] if has_given_up else facts.get("graph_breaks", [])
        return facts

    def _end(self, observation: End) -> Event:
        lane = self._lanes.of(observation.pid, observation.compile_id)
        taken = lane.end(observation.stage, observation.at_ns)
        if taken is None:
            return GapNoted(**self._key(observation.at_ns), what="unmatched_end", detail=observation.stage)
        self._ended += 1
        begin = taken.begin
        data = {name: value for name, value in observation.data.items() if begin.data.get(name) != value}
        data.update(self._facts_at_end(observation))
        # Only the outermost span of a compile says so, by what torch adds to it of the compile's record.
        error: str | None = None
        failed = observation.data.get("fail_type")
        if isinstance(failed, str) and failed:
            if failed in _CONTROL or failed.endswith("RestartAnalysis"):
                data["control"] = failed
            elif failed not in _MAYBE_EAGER:
                error = failed
        if taken.is_ambiguous:
            data["ambiguous"] = True
            self._ambiguous += 1
            self._ambiguous_stage = self._ambiguous_stage or observation.stage
        if observation.stage in COUNTED:
            lane.ended(Ended(observation.stage, begin.interval, begin.at_ns / 1000))
        return StageStopped(
            **self._key(observation.at_ns),
            interval=begin.interval,
            outcome="completed" if error is None else "failed",
            error=error,
            data=_json(data),
        )

    def _claims(self, observation: Metrics) -> Iterator[Event]:
        lane = self._lanes.of(observation.pid, observation.compile_id)
        for each in claimed(observation.fields, lane.take_ended):
            claim, self._claim = self._claim, self._claim + 1
            yield TotalClaimed(
                **self._key(observation.at_ns),
                claim=claim,
                source="torch",
                stage=each.stage,
                claimed_ns=each.claimed_ns,
                resolution_ns=each.resolution_ns,
                text=each.text,
                interval=each.interval,
                data=_json(each.data),
            )

    def _key(self, at_ns: int) -> _Key:
        seq, self._seq = self._seq, self._seq + 1
        return {"session": self._session, "process": self._traced.process, "seq": seq, "at_ns": at_ns}


def _json(data: dict[str, object]) -> dict[str, JsonValue] | None:
    return cast("dict[str, JsonValue]", data) or None
