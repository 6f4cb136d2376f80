"""The events: frozen pydantic models, one union told apart by `kind`, and their form as rows."""

import os
import threading
from collections.abc import Mapping
from functools import cache
from operator import attrgetter
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from ledger.clock import Anchor, ClockDomain
from ledger.errors import InvalidEvent
from ledger.vocabulary import Activity, Counts, Outcome, Source, activity_of

EVENT_FORMAT: Final = 1
"""The version of the fields below. A change that old readers can't read makes it 2; 1 stays readable."""

# SQLite's integers have 64 bits.
_INTEGERS: Final = 2**63
Integer = Annotated[int, Field(ge=-_INTEGERS, lt=_INTEGERS)]
Natural = Annotated[int, Field(ge=0, lt=_INTEGERS)]
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
    """A process records for the first time; `wall_ns` was read together with `at_ns`."""

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


def _activity_of_the_vocabulary(fields: dict[str, object]) -> str | None:
    return activity_of(str(fields["stage"]), str(fields["source"]))


class StageStarted(EventBase):
    """An interval begins. `activity` is the vocabulary's where it is left out."""

    kind: Literal["stage_started"] = "stage_started"
    interval: Natural
    stage: Name
    source: Source
    activity: Activity = Field(default_factory=_activity_of_the_vocabulary, validate_default=True)
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
# pydantic fills global caches, under locks of its own, where a model is built, validates or is dumped for the
# first time. A child that is forked in the middle of that would wait for ever at its own first event, so the
# fork waits instead, some 40 ms at most.
_first_use = threading.RLock()
os.register_at_fork(
    before=_first_use.acquire, after_in_parent=_first_use.release, after_in_child=_first_use.release
)


@cache
def use_every_model_once() -> None:
    """Do all that pydantic does at a first use, so that no fork meets it later."""
    with _first_use:
        for model in EventBase.__subclasses__():
            kind = str(model.model_fields["kind"].default)
            fields = {"session": "-", "process": "-", "seq": 0, "at_ns": 0, **_SAMPLES.get(kind, {})}
            event = model.model_validate(fields)
            from_json(to_json(event.model_dump(mode="json"), inf_nan_mode="strings", serialize_unknown=True))
            parse_event(to_line(event))


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


class EventRow(NamedTuple):
    """An event as the columns of the table `events`; what has no column of its own is JSON in `body`.

    `data` and `body` are JSON texts. `wall_ns` is derived from the process's anchor where that is known.
    """

    session: str
    process: str
    seq: int
    kind: str
    at_ns: int
    interval: int | None
    stage: str | None
    activity: str | None
    role: str | None
    component: str | None
    source: str | None
    thread: str | None
    parent: int | None
    outcome: str | None
    error: str | None
    data: str | None
    body: str | None
    wall_ns: int | None


# The two kinds that come by the hundred thousand go without a look at every field: these are the first
# columns of a row, in their order.
_STAGE, _OUTCOME = EventRow._fields.index("stage"), EventRow._fields.index("outcome")
_columns_of_start = attrgetter(*EventRow._fields[:_OUTCOME])
_columns_of_stop = attrgetter(*EventRow._fields[:_STAGE])
_NOT_OF_A_STOP: Final = (None,) * (_OUTCOME - _STAGE)


def to_row(event: Event, wall_ns: int | None = None) -> EventRow:
    """Return an event as a row; `wall_ns` is its time on the wall clock, where the caller knows it."""
    if wall_ns is not None and not -_INTEGERS <= wall_ns < _INTEGERS:
        wall_ns = None  # no calendar reaches so far, and no integer of SQLite's
    if isinstance(event, StageStarted):
        data = None if event.data is None else json_of(event.data)
        return EventRow._make((*_columns_of_start(event), None, None, data, None, wall_ns))
    if isinstance(event, StageStopped):
        data = None if event.data is None else json_of(event.data)
        return EventRow._make(
            (
                *_columns_of_stop(event),
                *_NOT_OF_A_STOP,
                event.outcome,
                event.error,
                data,
                None,
                wall_ns,
            )
        )
    fields = event.model_dump(mode="json", exclude_none=True)
    columns: dict[str, object] = {name: fields.pop(name) for name in EventRow._fields if name in fields}
    if not isinstance(event, (SessionStarted, ProcessJoined)):
        columns["wall_ns"] = wall_ns
    if "data" in columns:
        columns["data"] = json_of(columns["data"])
    if fields:
        columns["body"] = json_of(fields)
    return EventRow._make(columns.get(name) for name in EventRow._fields)


def json_of(value: object) -> str:
    """Return a value of `data` as the text that the ledger keeps."""
    # JSON has no NaN; SQLite reads none that has one.
    return to_json(value, inf_nan_mode="strings").decode()


def from_row(row: EventRow) -> Event:
    """Return the event that a row was made of. Raises InvalidEvent where it was made of none."""
    fields: dict[str, object] = {
        name: value for name, value in zip(EventRow._fields, row, strict=True) if value is not None
    }
    body = fields.pop("body", None)
    if row.kind not in ("session_started", "process_joined"):
        fields.pop("wall_ns", None)  # derived
    try:
        if row.data is not None:
            fields["data"] = from_json(row.data)
        fields = {**fields, **(from_json(str(body)) if body else {})}
    except (TypeError, ValueError) as error:
        raise InvalidEvent(f"process {row.process}, seq {row.seq}: data or body: {error}") from None
    return parse_event(fields)


def to_line(event: EventBase) -> bytes:
    """Return an event as the line of a journal: JSON, without what is none, and a newline."""
    return event.model_dump_json(exclude_none=True).encode() + b"\n"
