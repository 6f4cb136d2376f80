"""Numbers beyond 64 bits in what is derived: the session says so, and no query, report or export breaks."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import Event, Ledger, reduce, saved_queries
from ledger.events.rows import to_row
from ledger.storage.projections import current_timeline, rebuild
from ledger.storage.queries import saved_query
from ledger.storage.store import Store
from ledger.testing import SessionBuilder
from tests.support.commands import run
from tests.support.small_ledgers import write_sessions

LAST = 2**63 - 1


def stored(events: list[Event]) -> Store:
    store = Store.in_memory()
    with store.transaction():
        store.append([to_row(event) for event in events])
    return store


def two_longest_intervals(builder: SessionBuilder) -> None:
    for _ in range(2):
        builder.stop(LAST, builder.start(0, "dynamo", source="torch"))


def a_claim_as_negative_as_can_be(builder: SessionBuilder) -> None:
    interval = builder.start(0, "torch_compile", role="encoder", source="monitor")
    builder.stop(10**9, interval)
    builder.claim(10**9, -(2**63), source="monitor", role="encoder", interval=interval)


def a_claim_as_negative_of_nothing(builder: SessionBuilder) -> None:
    interval = builder.start(0, "torch_compile", role="encoder", source="monitor")
    builder.stop(0, interval)
    builder.claim(0, -(2**63), source="monitor", role="encoder", interval=interval)


def the_longest_claims(builder: SessionBuilder) -> None:
    for at_ns in range(3):
        builder.claim(at_ns, LAST, source="backend", role="encoder", counts="addition")


@pytest.mark.parametrize("hostile", [two_longest_intervals, a_claim_as_negative_as_can_be])
def test_a_number_beyond_64_bits_becomes_an_anomaly(hostile: Callable[[SessionBuilder], None]) -> None:
    builder = SessionBuilder()
    hostile(builder)
    found = [one for one in reduce(builder.events).anomalies if one.what == "number_out_of_range"]
    assert found
    assert all("beyond 64 bits" in (one.detail or "") for one in found)


@pytest.mark.parametrize(
    "hostile",
    [
        two_longest_intervals,
        a_claim_as_negative_as_can_be,
        a_claim_as_negative_of_nothing,
        the_longest_claims,
    ],
)
def test_every_way_to_read_such_a_ledger_works(
    hostile: Callable[[SessionBuilder], None], tmp_path: Path
) -> None:
    bad, good = SessionBuilder("bad"), SessionBuilder("good")
    hostile(bad)
    good.stop(7, good.start(0, "dynamo", source="torch"))
    path = write_sessions(tmp_path / "startup.db", bad, good)
    with Ledger.open(path) as ledger:
        assert ledger.timeline("bad") == reduce(bad.events)
        assert ledger.timeline("good") == reduce(good.events)
        for name in saved_queries():
            ledger.sql(saved_query(name))
        assert len(list(ledger.export("bad"))) > 0
    for arguments in (["report", "--session", "bad", "--all"], ["rebuild"], ["verify"]):
        run(arguments[0], str(path), *arguments[1:])


NUMBERS = st.sampled_from([0, 1, 2**62, LAST - 1, LAST])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=6))
def test_any_extreme_session_is_projected_and_read_back(spans: list[tuple[int, int, int]]) -> None:
    builder = SessionBuilder()
    for at_ns, ns, claimed_ns in spans:
        interval = builder.start(at_ns, "dynamo", role="encoder", source="torch")
        builder.stop(min(LAST, at_ns + ns), interval)
        builder.claim(at_ns, -claimed_ns, source="torch", role="encoder", interval=interval)
        builder.claim(at_ns, claimed_ns, source="torch", role="encoder", counts="total")
    with closing(stored(builder.events)) as store:
        rebuild(store)
        if builder.events:
            assert current_timeline(store, "session") == reduce(builder.events)
