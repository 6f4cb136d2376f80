"""Events as rows of the table `events`, and back."""

from operator import attrgetter
from typing import Final, NamedTuple

from pydantic_core import from_json, to_json

from ledger.errors import InvalidEvent
from ledger.events.models import (
    INTEGER_LIMIT,
    Event,
    ProcessJoined,
    SessionStarted,
    StageStarted,
    StageStopped,
    parse_event,
)


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
    if wall_ns is not None and not -INTEGER_LIMIT <= wall_ns < INTEGER_LIMIT:
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
