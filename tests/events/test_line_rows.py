"""Lines become the rows that their events have, and what is no event is none for the same reason."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger import Event, InvalidEvent, parse_event
from ledger.events import line_rows
from ledger.events.line_rows import parse_row
from ledger.events.models import EventBase, StageStarted, StageStopped, to_line
from ledger.events.rows import EventRow, to_row
from tests.events.test_models import events

NUMBERS = [0, 1, -1, 2**31, 2**63 - 1, 2**63, -(2**63), 2**64, 1.0, 1.5, float("nan"), float("inf"), True]
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(NUMBERS),
    st.none(),
    st.text(max_size=4),
    st.sampled_from(["5", "compile", "torch", "completed", "failed", "stage_started", "stage_stopped", ""]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.floats() | st.integers() | st.none(), max_size=2),
)
NAMES = sorted({*StageStarted.model_fields, *StageStopped.model_fields, "wall_ns", "body", "name"})


def by_model(line: bytes, to_wall_ns: int | None) -> EventRow:
    event = parse_event(line)
    return to_row(event, None if to_wall_ns is None else event.at_ns + to_wall_ns)


def outcome(read: Callable[[bytes, int | None], EventRow], line: bytes, to_wall_ns: int | None) -> object:
    """Return the row, with the types of its values, or why there is none."""
    try:
        row = read(line, to_wall_ns)
    except InvalidEvent as error:
        return str(error)
    return type(row), [(type(value), value) for value in row]


def same(line: bytes, to_wall_ns: int | None = None) -> None:
    assert outcome(parse_row, line, to_wall_ns) == outcome(by_model, line, to_wall_ns)


@st.composite
def odd_lines(draw: st.DrawFn) -> bytes:
    """Return a line of an event with fields that are missing, odd, doubled or strange, in any order."""
    event = draw(events)
    fields = list(json.loads(to_line(event)).items())
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=2)):
        fields = [(key, value) for key, value in fields if key != name]
    fields += [
        (draw(st.sampled_from(NAMES)), draw(VALUES)) for _ in range(draw(st.integers(0, 2)))
    ]  # of two with one name the last counts
    fields = draw(st.permutations(fields))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :\r")]))
    texts = [f"{json.dumps(name)}{separators[1]}{json.dumps(value)}" for name, value in fields]
    line = ("{" + separators[0].join(texts) + "}").encode()
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(line)))
        line = (
            line[:cut]
            + draw(st.binary(max_size=3)).replace(b"\n", b"")
            + line[cut + draw(st.integers(0, 2)) :]
        )
    return line


WALLS = st.none() | st.integers(-(2**63), 2**63)


@given(events, WALLS)
def test_an_event_s_line_gives_the_row_of_its_model(event: Event, to_wall_ns: int | None) -> None:
    same(to_line(event).rstrip(b"\n"), to_wall_ns)


@given(odd_lines(), WALLS)
@example(b'{"kind":"stage_stopped","kind":"stage_started"}', None)
@example(b'{"kind":"gap_noted","what":"\\"kind\\":\\"stage_started\\""}', None)
def test_an_odd_line_gives_the_same_row_or_the_same_reason(line: bytes, to_wall_ns: int | None) -> None:
    same(line, to_wall_ns)


@pytest.mark.parametrize("model", [StageStarted, StageStopped])
def test_a_stage_s_line_makes_no_model(model: type[EventBase], monkeypatch: pytest.MonkeyPatch) -> None:
    kind = model.model_fields["kind"].default
    fields = {"session": "s", "process": "p", "seq": 0, "at_ns": 0, "interval": 0}
    if model is StageStarted:
        fields |= {"stage": "dynamo", "source": "torch", "activity": "compile"}
    monkeypatch.setattr(line_rows, "parse_event", None)
    for line in ({"kind": kind, **fields}, {**fields, "kind": kind}):
        assert parse_row(json.dumps(line, separators=(",", ":")).encode()).kind == kind
