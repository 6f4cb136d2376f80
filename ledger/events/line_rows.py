"""Lines of a journal as rows of the table `events`, checked as the models check them, mostly without one."""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Final, NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, core_schema

from ledger.errors import InvalidEvent
from ledger.events.fork_guard import pydantic_guard
from ledger.events.models import INTEGER_LIMIT, EventBase, StageStarted, StageStopped, parse_event
from ledger.events.rows import EventRow, json_of, to_row

_KIND_OF_STAGE: Final = b'"kind":"stage_st'
"""What stands in the lines that come by the hundred thousand. Elsewhere, in a text, it costs time alone."""
_AFTER_IT: Final = len(_KIND_OF_STAGE)

_new_row = partial(tuple[Any, ...].__new__, EventRow)


def parse_row(line: bytes, to_wall_ns: int | None = None) -> EventRow:
    """Return what `to_row(parse_event(line))` does, in two thirds of the time where it is a stage's.

    `to_wall_ns` is what makes its `at_ns` its time on the wall clock, where that is known. Raises
    InvalidEvent as `parse_event` does.
    """
    if (at := line.find(_KIND_OF_STAGE)) >= 0:
        is_start = line.startswith(b"a", at + _AFTER_IT)  # "started", not "stopped"
        try:
            fields: dict[str, Any] = _fields(StageStarted if is_start else StageStopped).validate_json(line)
        except ValidationError:
            return _parse_row(line, to_wall_ns)  # the model may have a default for what is left out
        return _row_of_stage(fields, is_start, to_wall_ns)
    return _parse_row(line, to_wall_ns)


class ParsedLines(NamedTuple):
    """What some lines hold."""

    rows: list[EventRow]
    numbers: list[int]
    """The number of each row's line."""
    faults: list[tuple[int, str]]
    """The number of each line that is no event, and why it is none."""


def parse_lines(lines: Sequence[bytes], first: int, to_wall_ns: int | None = None) -> ParsedLines:
    """Return the events of lines as rows; the first line has the number `first`. A blank line is nothing."""
    parsed = ParsedLines([], [], [])
    for number, line in enumerate(lines, first):
        try:
            parsed.rows.append(parse_row(line, to_wall_ns))
        except InvalidEvent as error:
            # A blank line was written to end one that a full disk had cut.
            if line.strip():
                parsed.faults.append((number, str(error)))
        else:
            parsed.numbers.append(number)
    return parsed


def _parse_row(line: bytes, to_wall_ns: int | None) -> EventRow:
    event = parse_event(line)
    return to_row(event, None if to_wall_ns is None else event.at_ns + to_wall_ns)


def _row_of_stage(fields: dict[str, Any], is_start: bool, to_wall_ns: int | None) -> EventRow:
    at_ns = fields["at_ns"]
    wall_ns = None
    if to_wall_ns is not None:
        wall_ns = at_ns + to_wall_ns
        if not -INTEGER_LIMIT <= wall_ns < INTEGER_LIMIT:
            wall_ns = None
    get = fields.get
    data = get("data")
    if data is not None:
        data = json_of(data)
    # Column by column, in their order: a loop over their names takes as long as reading the line.
    if is_start:
        return _new_row((
            fields["session"], fields["process"], fields["seq"], "stage_started", at_ns, fields["interval"],
            fields["stage"], fields["activity"], get("role"), get("component"), fields["source"],
            get("thread"), get("parent"), None, None, data, None, wall_ns,
        ))  # fmt: skip
    return _new_row((
        fields["session"], fields["process"], fields["seq"], "stage_stopped", at_ns, fields["interval"],
        None, None, None, None, None, None, None,
        get("outcome", "completed"), get("error"), data, None, wall_ns,
    ))  # fmt: skip


@cache
def _fields(model: type[EventBase]) -> SchemaValidator:
    """Return what checks an event's fields as a model does, and gives them as a dictionary.

    Constant defaults are left out of it; a field whose default is made of others must be there.
    """
    return pydantic_guard.call(_validator_of_fields, model)


def _validator_of_fields(model: type[EventBase]) -> SchemaValidator:
    strict = ConfigDict(strict=True)
    fields = {
        name: core_schema.typed_dict_field(
            TypeAdapter[Any](field.rebuild_annotation(), config=strict).core_schema,
            required=name == "kind" or field.is_required() or field.default_factory is not None,
        )
        for name, field in model.model_fields.items()
    }
    return SchemaValidator(core_schema.typed_dict_schema(fields, extra_behavior="forbid", strict=True))
