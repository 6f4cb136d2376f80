"""`replay --json` takes work in proportion to the events, with many stages open and in many processes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger import Event
from ledger.cli.replay import _as_json  # pyright: ignore[reportPrivateUsage]
from ledger.events.rows import to_row
from ledger.testing import SessionBuilder
from ledger.timeline.replay import Replay
from tests.support.growth import assert_linear
from tests.support.many_processes import side_by_side


def nested(number: int) -> list[Event]:
    """Stages that are all open at once."""
    builder = SessionBuilder()
    builder.begin()
    begun = [builder.start(10 * place, "dynamo", source="torch") for place in range(number)]
    for place, interval in enumerate(reversed(begun)):
        builder.stop(10 * (number + place), interval)
    return builder.events


def states(events: list[Event]) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(_as_json(event, moment))) for event, moment in Replay(map(to_row, events))]


@pytest.mark.parametrize(("session", "size"), [(nested, 2_400), (side_by_side, 1_200)])
def test_it_is_linear_work(session: Callable[[int], list[Event]], size: int) -> None:
    def going_through(number: int) -> Callable[[], object]:
        replay = Replay(map(to_row, session(number)))
        return lambda: [json.dumps(_as_json(event, moment)) for event, moment in replay]

    assert_linear(going_through, size)


def test_of_very_many_open_stages_it_has_those_that_began_last_and_their_number() -> None:
    shown = states(nested(300))
    most = max(shown, key=lambda state: state["open_count"])
    assert most["open_count"] == 300
    assert len(most["open"]) == 200
    assert [stage["open_ns"] for stage in most["open"]] == [10 * place for place in range(199, -1, -1)]
    assert all(len(state["open"]) == min(200, state["open_count"]) for state in shown)


def test_of_very_many_totals_it_has_those_of_the_process_and_their_number() -> None:
    few, many = states(side_by_side(100)), states(side_by_side(300))
    assert len(few[-1]["totals"]) == few[-1]["total_count"] == 100
    assert many[-1]["total_count"] == 300
    assert {total["process"] for total in many[-1]["totals"]} == {many[-1]["event"]["process"]}
