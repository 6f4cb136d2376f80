"""The events: frozen pydantic models, one union discriminated by `kind`."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from ledger.clock import Anchor, ClockDomain
from ledger.errors import InvalidEvent
from ledger.events.fork_guard import pydantic_guard
from ledger.vocabulary import Counts, Outcome, Source, activity_of

EVENT_FORMAT: Final = 1
"""The version of the fields below. A change that old readers can't read makes it 2; 1 stays readable."""

# SQLite's integers have 64 bits.
INTEGER_LIMIT: Final = 2**63
Integer = Annotated[int, Field(ge=-INTEGER_LIMIT, lt=INTEGER_LIMIT)]
Natural = Annotated[int, Field(ge=0, lt=INTEGER_LIMIT)]
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
Data = dict[str, JsonValue]


class EventBase(BaseModel):
    """What every event has. Its key, unique in a ledger, is (session, process, seq)."""

    # Built at its first use: a recorded program imports all, and uses few.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)

    session: Name
    process: Name
    seq: Natural
    """0, 1, 2, … in its process, without holes: a hole is a lost event."""
    at_ns: Natural
    """The host's monotonic clock (`time.perf_counter_ns`), in nanoseconds."""


class SessionStarted(EventBase):
    """A program starts. Each process says so as it joins; the earliest, by `wall_ns`, counts."""

    kind: Literal["session_started"] = "session_started"
    label: str | None = None
    command: Names = ()
    versions: dict[str, str] = {}
    environment: dict[str, str] = {}
    wall_ns: Natural | None = None


class ProcessJoined(EventBase):
    """A process records for the first time; `wall_ns` was read together with `at_ns`.

    A later one of the same process says its name, rank and hooks anew; what identifies it is in the first.
    """

    kind: Literal["process_joined"] = "process_joined"
    name: Name
    rank: Natural | None = None
    pid: Natural | None = None
    pid_start: Natural | None = None
    parent_pid: Natural | None = None
    host: str | None = None
    boot_id: str | None = None
    time_namespace: str | None = None
    pid_namespace: str | None = None
    wall_ns: Natural | None = None
    hooks: Names = ()
    missing_hooks: Names = ()

    @property
    def anchor(self) -> Anchor | None:
        """The moment of joining on both clocks; None where the wall clock was not read."""
        return None if self.wall_ns is None else Anchor(self.at_ns, self.wall_ns)

    @property
    def clock_domain(self) -> ClockDomain | None:
        """The clock domain of the process; None where neither its host nor its boot is known."""
        if self.host is None and self.boot_id is None:
            return None
        return ClockDomain(self.host, self.boot_id, self.time_namespace)


def _activity_of_the_vocabulary(fields: dict[str, object]) -> str:
    return activity_of(str(fields["stage"]), str(fields["source"]))


class StageStarted(EventBase):
    """An interval begins. `activity` is the vocabulary's where it is left out."""

    kind: Literal["stage_started"] = "stage_started"
    interval: Natural
    stage: Name
    source: Source
    activity: Name = Field(default_factory=_activity_of_the_vocabulary)
    role: Name | None = None
    component: Name | None = None
    thread: str | None = None
    parent: Natural | None = None
    data: Data | None = None


class StageStopped(EventBase):
    """An interval ends: `failed` when an exception left it that was not being handled at its start."""

    kind: Literal["stage_stopped"] = "stage_stopped"
    interval: Natural
    outcome: Outcome = "completed"
    error: str | None = None
    data: Data | None = None


class TotalClaimed(EventBase):
    """Somebody reports a duration. It is kept beside the intervals and never becomes one."""

    kind: Literal["total_claimed"] = "total_claimed"
    claim: Natural
    counts: Counts = "interval"
    source: Source
    role: Name | None = None
    component: Name | None = None
    stage: Name | None = None
    claimed_ns: Integer
    resolution_ns: Natural | None = None
    text: str | None = None
    interval: Natural | None = None
    data: Data | None = None


class MilestoneReached(EventBase):
    """A moment without a length: `engine_ready`, `first_token`, …."""

    kind: Literal["milestone_reached"] = "milestone_reached"
    name: Name


class GapNoted(EventBase):
    """What the recorder knows that it did not see: a missing hook, events that could not be written."""

    kind: Literal["gap_noted"] = "gap_noted"
    what: Name
    count: Natural = 1
    detail: str | None = None


class ProcessLeft(EventBase):
    """The last event of a process that could say goodbye; `event_count` includes it."""

    kind: Literal["process_left"] = "process_left"
    outcome: Outcome
    event_count: Natural


class SessionEnded(EventBase):
    """The program is over."""

    kind: Literal["session_ended"] = "session_ended"
    outcome: Outcome


class ProcessLost(EventBase):
    """The collector found a process gone that never left. Written as process `<lost>:lost`, seq 0."""

    kind: Literal["process_lost"] = "process_lost"
    lost: Name
    last_seq: Natural
    alive_ns: Natural | None = None
    """When the collector last saw it alive, if that was after its last event."""


Event: TypeAlias = (
    SessionStarted
    | ProcessJoined
    | StageStarted
    | StageStopped
    | TotalClaimed
    | MilestoneReached
    | GapNoted
    | ProcessLeft
    | SessionEnded
    | ProcessLost
)


@cache
def _event() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[Event, Field(discriminator="kind")])


_SAMPLES: Final[dict[str, dict[str, object]]] = {
    "process_joined": {"name": "-"},
    "stage_started": {"interval": 0, "stage": "dynamo", "source": "user", "data": {"-": 0}},
    "stage_stopped": {"interval": 0, "data": {}},
    "total_claimed": {"claim": 0, "source": "user", "claimed_ns": 0, "data": {}},
    "milestone_reached": {"name": "-"},
    "gap_noted": {"what": "-"},
    "process_left": {"outcome": "completed", "event_count": 1},
    "session_ended": {"outcome": "completed"},
    "process_lost": {"lost": "-", "last_seq": 0},
}


@cache
def warm_up_models() -> None:
    """Do all that pydantic does at a first use, so that no fork and no signal handler meets it later."""
    pydantic_guard.call(_use_every_model)


def _use_every_model() -> None:
    for model in EventBase.__subclasses__():
        kind = str(model.model_fields["kind"].default)
        fields = {"session": "-", "process": "-", "seq": 0, "at_ns": 0, **_SAMPLES.get(kind, {})}
        event = model.model_validate(fields)
        from_json(to_json(event.model_dump(mode="json"), inf_nan_mode="strings", serialize_unknown=True))
        event.model_dump_json(exclude_none=True, exclude={"kind"})
        event.model_dump_json(exclude_none=True, include={"kind"})
        parse_event(to_line(event))
        with suppress(InvalidEvent):
            parse_event({"kind": kind})


def parse_event(event: Mapping[str, object] | str | bytes) -> Event:
    """Return the event that a mapping, or a JSON text of one, describes.

    Raises InvalidEvent, with the name of the field, where it is none.
    """
    try:
        if isinstance(event, (str, bytes)):
            return _event().validate_json(event)
        return _event().validate_python(dict(event))
    except ValidationError as error:
        raise InvalidEvent(first_fault(error)) from None


def first_fault(error: ValidationError) -> str:
    """Return the first fault that pydantic found, as `kind.field: what is wrong`."""
    # A default that could not be made, since another field is bad, is no fault of its own.
    faults = error.errors(include_url=False, include_input=False)
    faults = [fault for fault in faults if fault["type"] != "default_factory_not_called"]
    fault = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    where = ".".join(map(str, fault["loc"])) or ("kind" if "tag" in fault["type"] else "event")
    return f"{where}: {fault['msg']}{more}"


def to_line(event: EventBase) -> bytes:
    """Return an event as the line of a journal: JSON, without what is none, and a newline."""
    return event.model_dump_json(exclude_none=True).encode() + b"\n"
