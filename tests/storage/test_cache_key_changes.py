"""A start is cold since a part of the cache's key changed: known by a look at the start before."""

from collections.abc import Callable
from typing import Any

import pytest

from ledger import Event, Ledger, SessionStarted, StageStopped
from ledger.testing import MemoryLedger
from tests.support.gpu_starts import gpu_events
from tests.support.random_sessions import Tape
from tests.support.reconciled import S

Key = dict[str, str]


def start(number: int, *, variables: Key | None = None, cache: str = "compiled", **keys: Key) -> list[Event]:
    """The start of a day, which compiles each component with a key in two ranks."""
    events: list[Event] = []
    for rank in range(2):
        tape = Tape(f"rank{rank}", session=f"s{number}")
        wall_ns = number * 86_400 * S
        if rank == 0:
            tape.add(SessionStarted, 0, label=f"start {number}", wall_ns=wall_ns)
        tape.join(0, rank=rank, host="host", boot_id="b", wall_ns=wall_ns)
        for place, (component, key) in enumerate(keys.items()):
            at, interval = 10 * S * place, 2 * place
            part: dict[str, Any] = {"role": "language_model", "component": component}
            tape.start(interval, at, "torch_compile", "monitor", **part)
            noted = {"cache_key": {"compiler_hash": "c", "env": str(variables), **key}}
            if place == 0 and variables is not None:
                noted["cache_key_env"] = variables
            tape.span(
                interval + 1,
                at + S,
                at + 8 * S,
                stage="backend_compile",
                source="backend",
                data=noted,
                **part,
            )
            tape.stop(interval, at + 9 * S, data={"cache": cache})
        events += tape.events
    return events


def findings(ledger: Ledger, number: int) -> list[tuple[str, str | None, str]]:
    return [
        (one.finding, one.component, one.summary)
        for one in ledger.findings(f"s{number}")
        if one.finding.startswith("cache")
    ]


A, B = {"code_hash": "a"}, {"code_hash": "b"}
EMPTY = "compiled on 2 ranks: the cache had nothing for it"


def test_a_start_after_one_with_another_key_says_which_part_changed() -> None:
    ledger = MemoryLedger([*start(1, backbone=A, drafter=A), *start(2, backbone=B, drafter=A)])
    assert findings(ledger, 1) == [
        ("cache_empty", "backbone", f"backbone {EMPTY}"),
        ("cache_empty", "drafter", f"drafter {EMPTY}"),
    ]
    assert findings(ledger, 2) == [
        ("cache_key_changed", "backbone", "backbone compiled on 2 ranks (key changed: code_hash)"),
        ("cache_empty", "drafter", f"drafter {EMPTY}"),
    ]


def test_a_start_with_the_key_of_the_one_before_had_an_empty_cache() -> None:
    ledger = MemoryLedger([*start(1, backbone=A), *start(2, backbone=A)])
    assert findings(ledger, 2) == [("cache_empty", "backbone", f"backbone {EMPTY}")]


def test_so_had_one_with_the_key_of_any_start_before() -> None:
    ledger = MemoryLedger([*start(1, backbone=A), *start(2, backbone=B), *start(3, backbone=A)])
    assert [findings(ledger, number)[0][0] for number in (2, 3)] == ["cache_key_changed", "cache_empty"]
    rows = ledger.sql("SELECT session, part, is_new FROM cache_key_changes ORDER BY session")
    assert [tuple(row.values()) for row in rows] == [("s2", "code_hash", 1), ("s3", "code_hash", 0)]


def test_a_variable_that_changed_counts_for_every_component_of_the_session() -> None:
    ledger = MemoryLedger(
        [
            *start(1, variables={"A_FLAG": "0", "B_FLAG": "0"}, backbone=A, drafter=A),
            *start(2, variables={"A_FLAG": "1", "B_FLAG": "0"}, backbone=A, drafter=B),
        ]
    )
    assert findings(ledger, 2) == [
        ("cache_key_changed", "backbone", "backbone compiled on 2 ranks (key changed: A_FLAG)"),
        ("cache_key_changed", "drafter", "drafter compiled on 2 ranks (key changed: A_FLAG, code_hash)"),
    ]
    rows = ledger.sql("SELECT component, part FROM cache_key_changes WHERE component IS NULL")
    assert [row["part"] for row in rows] == ["A_FLAG"]


def test_variables_that_come_and_go_count_and_many_are_cut_short() -> None:
    before = {"A_FLAG": "0", "B_FLAG": "0"}
    after = {"A_FLAG": "0", "C_FLAG": "0", "D_FLAG": "0"}
    ledger = MemoryLedger([*start(1, variables=before, m=A), *start(2, variables=after, m=A)])
    [(_, _, summary)] = findings(ledger, 2)
    assert summary == "m compiled on 2 ranks (key changed: B_FLAG, C_FLAG and 1 more)"


def test_where_the_variables_were_not_kept_the_environment_changed() -> None:
    first, second = {"code_hash": "a", "env": "1"}, {"code_hash": "a", "env": "2"}
    ledger = MemoryLedger([*start(1, m=first), *start(2, m=second)])
    assert [one[2] for one in findings(ledger, 2)] == ["m compiled on 2 ranks (key changed: env)"]


def test_what_is_loaded_is_no_finding_whatever_its_key() -> None:
    ledger = MemoryLedger([*start(1, m=A), *start(2, m=B, cache="hit")])
    assert findings(ledger, 2) == []


def test_the_start_before_is_one_with_the_same_component() -> None:
    ledger = MemoryLedger([*start(1, m=A), *start(2, other=B), *start(3, m=B)])
    assert [one[0] for number in (2, 3) for one in findings(ledger, number)] == [
        "cache_empty",
        "cache_key_changed",
    ]


def test_findings_of_a_warm_start_cost_no_more_in_a_ledger_of_many() -> None:
    few, many = (
        _steps_of_findings([event for number in range(count) for event in start(number, m=A, cache="hit")])
        for count in (4, 64)
    )
    assert many < 1.5 * few


def _steps_of_findings(events: list[Event]) -> int:
    """Return how many steps of its machine SQLite takes for the findings of `s3`, once it is found."""
    with MemoryLedger(events) as ledger:
        return _steps(ledger, lambda: ledger.findings("s3")) - _steps(ledger, lambda: ledger.session("s3"))


def _steps(ledger: Ledger, ask: Callable[[], object]) -> int:
    number = 0

    def count() -> int:
        nonlocal number
        number += 1
        return 0

    connection = ledger._store.connection
    connection.set_progress_handler(count, 1)
    ask()
    connection.set_progress_handler(None, 1)
    return number


@pytest.mark.parametrize("changes", [{}, {"code_hash": "0" * 64}, {"env": "0" * 12}])
def test_two_real_cold_starts_on_two_ranks(changes: Key) -> None:
    [kept] = gpu_events("tp2-cold").values()
    again = [_of_the_next_day(event, changes) for event in kept]
    ledger = MemoryLedger([*kept, *again])
    [found] = [one for one in ledger.findings("again") if one.finding.startswith("cache")]
    if not changes:
        assert found.summary == f"backbone {EMPTY}"
    else:
        assert found.finding == "cache_key_changed"
        assert found.summary == f"backbone compiled on 2 ranks (key changed: {next(iter(changes))})"


def _of_the_next_day(event: Event, changes: Key) -> Event:
    """Return an event as one of another start, whose backend had a key with these changes."""
    update: dict[str, Any] = {"session": "again"}
    if (wall_ns := getattr(event, "wall_ns", None)) is not None:
        update["wall_ns"] = wall_ns + 86_400 * S
    if isinstance(event, StageStopped) and event.data is not None and "cache_key" in event.data:
        key: Any = event.data["cache_key"]
        update["data"] = {**event.data, "cache_key": {**key, **changes}}
    return event.model_copy(update=update)
