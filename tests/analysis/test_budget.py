"""Budgets: how one is written, what a session measures for a limit, and when a limit is broken."""

import random
import socket
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Budget, InvalidBudget, Ledger, UnknownSession, Verdict, check_budget, parse_event, reduce
from ledger.analysis.budget import Baseline, evaluate
from ledger.analysis.budget.amounts import duration_text, parse_duration, parse_ratio, rounded_text
from ledger.analysis.budget.measures import Measured, measure
from ledger.analysis.budget.model import TABLES, Total, Unattributed
from ledger.testing import MemoryLedger, SessionBuilder
from ledger.timeline.records import Interval
from ledger.timeline.spans import Span, union_ns
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import CAUSES
from tests.support.cause_examples import EXAMPLES
from tests.support.journals import write
from tests.support.paths import DATA
from tests.support.random_sessions import sessions as random_sessions

MS = 1_000_000
S = 1_000 * MS
VLLM = DATA / "vllm.jsonl"


def budget(**tables: object) -> Budget:
    return Budget.from_mapping(tables)


def only(verdicts: Iterable[Verdict]) -> Verdict:
    """The one row that is not about a session as a whole."""
    (row,) = (row for row in verdicts if row.kind != "session")
    return row


def check(timeline: Timeline | Sequence[Timeline], **tables: object) -> Verdict:
    timelines = [timeline] if isinstance(timeline, Timeline) else timeline
    return only(evaluate(budget(**tables), timelines, None).rows)


def start_up(
    stages: Iterable[tuple[int, int, str, dict[str, object]]] = (),
    *,
    session: str = "s",
    label: str | None = None,
    more: Callable[[SessionBuilder], object] = lambda builder: None,
    is_ended: bool = True,
    wall_ns: int = 0,
) -> SessionBuilder:
    """A session of one process with these intervals: start, stop, stage, and what else is to be said."""
    builder = SessionBuilder(session)
    # Each host collects its own journals.
    builder.begin(label=label, wall_ns=wall_ns, host=socket.gethostname())
    ids = [(builder.start(start, stage, **said), stop) for start, stop, stage, said in stages]
    for interval, stop in sorted(ids, key=lambda one: one[1]):
        builder.stop(stop, interval)
    more(builder)
    if is_ended:
        builder.end(1_000 * S)
    return builder


ENCODER = {"role": "encoder", "source": "monitor"}


# How amounts are written


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("20 s", 20 * S), ("20s", 20 * S), ("150 ms", 150 * MS), ("1.5 min", 90 * S), ("1 min 30 s", 90 * S),
        ("2 h", 7_200 * S), ("12 us", 12_000), ("12 µs", 12_000), ("5 ns", 5), ("0 s", 0), (" 1 s ", S),
        ("0.0000000004 s", 0),
    ],
)  # fmt: skip
def test_a_duration_is_written_as_a_person_would(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "s",
        "-1 s",
        "1,5 s",
        "1e3 s",
        "20 sec",
        "20 s x",
        "1 min 30",
        "9" * 70 + " s",
        20,
        None,
        True,
    ],
)
def test_what_is_no_duration_is_told_how_to_write_one(text: object) -> None:
    with pytest.raises(ValueError, match='"20 s" or "150 ms"'):
        parse_duration(text)


def test_a_duration_that_sqlite_could_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than any program"):
        parse_duration("3000000 h")


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_every_duration_is_written_so_that_it_is_read_as_the_same(ns: int) -> None:
    assert parse_duration(duration_text(ns)) == ns


@given(st.integers(min_value=0, max_value=10**15))
def test_a_rounded_duration_is_off_by_half_of_its_last_digit_at_most(ns: int) -> None:
    read = parse_duration(rounded_text(ns))
    assert abs(read - ns) <= max(ns // 1_000, 0)


@given(st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=10**15))
def test_a_ratio_is_exact(thousandths: int, ns: int) -> None:
    ratio = parse_ratio(f"{thousandths / 1000} %")
    assert ratio.of(ns) == ns * thousandths // 100_000
    assert parse_ratio(str(ratio)) == ratio


# Mistakes


def one(table: str, **keys: object) -> dict[str, object]:
    """A budget of one limit."""
    return {table: [keys]}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({}, "no limit in it; `compile-ledger check --example` shows some"),
        ({"totals": []}, "'totals' does not belong in a budget; there are baseline, [[total]], "),
        ({"to\ntal": 1}, "'to\\ntal' does not belong in a budget"),
        ({"total": {}}, "[[total]]: each limit is a table of its own, under a line [[total]]"),
        (one("total", at_mst="1 s"), "[[total]] 1: no key 'at_mst' here; there are name, at_most, "),
        (one("total", at_most=5), "[[total]] 1, at_most: 5 is not a duration; write it with its unit, as "),
        (
            {"total": [{"at_most": "1 s"}, {"at_most": "1 s", "source": "moniter"}]},
            "[[total]] 2, source: 'moniter' is none of 'monitor', 'backend', 'engine', 'torch', 'python', "
            "'log' or 'user'",
        ),
        (one("total", role="x"), "[[total]] 1: says no limit: it needs at_most or at_most_over_baseline"),
        (one("total", at_most_over_baseline="x"), "'x' is not a duration; write it with its unit, as "),
        (one("total", at_most_over_baseline="x %"), "at_most_over_baseline: 'x %' is not a ratio"),
        (one("total", at_most="1 s", beyond_spread=True), "beyond_spread is of the baseline's sessions"),
        (one("total", at_most="1 s", may_be_missing="no"), "1, may_be_missing: 'no': input should be"),
        (one("total", at_most="1 s", role=""), "[[total]] 1, role: '': string should have at least 1"),
        (
            one("total", at_most="1 s", baseline="main"),
            "[[total]] 1: baseline belongs at the top of the file, before the first [[table]]",
        ),
        (one("difference", at_most="1 s", cause="x"), "cause: 'x' is not a cause; there are double_counted"),
        (one("disagreement", at_most="1 s"), "[[disagreement]] 1: between is missing"),
        (
            one("disagreement", at_most="1 s", between=["log", "log"]),
            "between: ['log', 'log'] is not a pair of sources; write it as [\"monitor\", \"backend\"]",
        ),
        (
            one("finding", finding=["recompiles", "recompile"], at_most="0 s"),
            "[[finding]] 1, finding: 'recompile' is none of 'cache_key_changed', 'cache_load_failed', ",
        ),
        (one("finding", at_most="0 s", finding="x"), "'wrong_claim' or 'loaded_machine'"),
        (one("finding", at_most="0 s", finding=[]), "[] names no finding; write it as \"recompiles\" or "),
        (one("finding", at_most="0 s", finding=5), "[[finding]] 1, finding: 5 is not a list"),
        (one("finding", at_most="0 s"), "[[finding]] 1: finding is missing"),
        (one("anomalies", at_most="1 s"), "1, at_most: '1 s' is not a number of anomalies; write 0, 1, 2"),
        (one("anomalies", at_most=True), "[[anomalies]] 1, at_most: True is not a number of anomalies"),
        (one("anomalies", **{"at_most": 0, "except": "x"}), "[[anomalies]] 1, except: 'x' is not a list"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_says_where_and_what_is_allowed(
    written: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidBudget) as raised:
        Budget.from_mapping(written, "b.toml")
    assert str(raised.value).startswith("b.toml: ")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_mistake_has_its_line() -> None:
    written = {"total": [{"at_mst": "1 s", "at_most": "1"}, {"at_most": "2"}], "anomalies": [{"at_most": -1}]}
    with pytest.raises(InvalidBudget) as raised:
        Budget.from_mapping(written, "b.toml")
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert all(line.startswith("b.toml: [[") for line in lines)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[[total]\n", "invalid TOML: "),
        (b"\xff\xfe", "invalid TOML: "),
        (b"x = " + b"9" * 5_000, "invalid TOML: "),
        (b"[[total]]\nat_most = 0x" + b"f" * 5_000, "a very long number is not a duration"),
        (b"total = 1\n" * 2, "invalid TOML: "),
    ],
)
def test_a_file_that_is_none_is_one_line(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "budget.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidBudget) as raised:
        Budget.read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidBudget, match=r"nowhere.toml: the budget can't be read \(No such file"):
        Budget.read(tmp_path / "nowhere.toml")
    with pytest.raises(InvalidBudget, match=r"the budget can't be read \(Is a directory"):
        Budget.read(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "budget.toml"
    path.write_bytes(b'\xef\xbb\xbf[[total]]\nat_most = "1 s"\n')
    assert Budget.read(path).total == (Total(at_most="1 s"),)  # pyright: ignore[reportArgumentType]


# What a session measures


def test_a_total_is_the_union_in_the_process_that_took_longest() -> None:
    stages = [
        (0, 10, "torch_compile", ENCODER),
        (2, 5, "dynamo", ENCODER),
        (20, 30, "torch_compile", ENCODER),
    ]
    fast, slow = start_up(stages), SessionBuilder("s", "slow")
    slow.stop(40, slow.start(0, "torch_compile", role="encoder"))
    row = check(
        reduce([*fast.events, *slow.events]),
        total=[{"role": "encoder", "activity": "compile", "at_most": "30 ns"}],
    )  # fmt: skip
    assert (row.measured, row.allowed, row.over, row.is_broken) == (40, 30, 10, True)
    assert (row.process, [trace.interval for trace in row.trace]) == ("slow", [0])

    row = check(reduce(fast.events), total=[{"role": "encoder", "at_most": "20 ns"}])
    assert (row.measured, row.over, row.is_broken) == (20, None, False)
    assert sorted(trace.ns or 0 for trace in row.trace) == [10, 10]


@given(random_sessions())
def test_a_total_of_a_role_and_an_activity_is_the_ledgers_own(events: list[object]) -> None:
    timeline = reduce(events)  # type: ignore[arg-type]
    for total in timeline.session_totals:
        if total.role is None:
            continue
        limit = Total.model_validate({"role": total.role, "activity": total.activity, "at_most": "1 s"})
        measured = measure(limit, timeline)[()]
        assert (measured.value or 0) == total.max_ns
    for total in timeline.source_totals:
        if total.role is None:
            continue
        limit = Total.model_validate(
            {"role": total.role, "activity": total.activity, "source": total.source, "at_most": "1 s"}
        )
        assert (measure(limit, timeline)[()].value or 0) >= total.total_ns


@given(random_sessions())
def test_what_is_unattributed_is_what_its_slow_twin_counts(events: list[object]) -> None:
    timeline = reduce(events)  # type: ignore[arg-type]
    measured = measure(Unattributed.model_validate({"at_most": "1 s"}), timeline).get((), Measured())
    moments: dict[str, set[int]] = {}
    for interval in timeline.intervals:
        if interval.unattributed_ns is not None and interval.stop_ns is not None:
            own = set(range(interval.start_ns, interval.stop_ns))
            for other in timeline.intervals:
                if other.process == interval.process and encloses(interval, other):
                    own -= set(range(other.start_ns, other.stop_ns or 0))
            assert len(own) == interval.unattributed_ns
            moments.setdefault(interval.process, set()).update(own)
    assert measured.value == max(map(len, moments.values()), default=None)


def encloses(outer: Interval, inner: Interval) -> bool:
    if inner.stop_ns is None or outer.stop_ns is None or outer is inner:
        return False
    if (outer.start_ns, outer.stop_ns) == (inner.start_ns, inner.stop_ns):
        return outer.start_seq < inner.start_seq
    return outer.start_ns <= inner.start_ns and inner.stop_ns <= outer.stop_ns


def test_what_two_intervals_leave_unattributed_at_once_counts_once() -> None:
    stages = [(0, 100, "torch_compile", {"thread": "a"}), (40, 140, "torch_compile", {"thread": "b"})]
    inside = [(0, 20, "dynamo", {"thread": "a"}), (120, 140, "dynamo", {"thread": "b"})]
    timeline = reduce(start_up([*stages, *inside]).events)
    row = check(timeline, unattributed=[{"stage": "torch_compile", "at_most": "1 s"}])
    assert row.measured == union_ns([Span(20, 100), Span(40, 120)]) == 100
    assert [trace.ns for trace in row.trace] == [80, 80]


def test_each_component_is_held_by_itself() -> None:
    stages = [
        (0, 10, "torch_compile", {**ENCODER, "component": "Embed"}),
        (10, 40, "torch_compile", {**ENCODER, "component": "Block"}),
        (40, 45, "torch_compile", {"role": "drafter", "component": "Block"}),
        (45, 99, "torch_compile", {"role": "drafter"}),
    ]
    limit = {"each": "component", "activity": "compile", "at_most": "20 ns"}
    rows = evaluate(budget(total=[limit]), [reduce(start_up(stages).events)], None).rows[1:]
    assert [(row.name, row.measured, row.is_broken) for row in rows] == [
        ("total: compile [encoder, Embed]", 10, False),
        ("total: compile [encoder, Block]", 30, True),
        ("total: compile [drafter, Block]", 5, False),
    ]
    roles = evaluate(
        budget(total=[{"each": "role", "at_most": "1 s"}]), [reduce(start_up(stages).events)], None
    )
    assert [row.name for row in roles.rows[1:]] == ["total: all [encoder]", "total: all [drafter]"]


def claims(builder: SessionBuilder) -> None:
    builder.claim(100, 90, source="engine", role="encoder", interval=2, text="took 90 ns")
    builder.claim(101, 130, source="monitor", role="encoder", interval=2)
    builder.claim(102, 5, source="backend", role="drafter", stage="dynamo")


@pytest.mark.parametrize(
    ("limit", "measured"),
    [
        ({"source": "engine"}, 10),
        ({"role": "encoder"}, 30),
        ({"source": "monitor", "cause": "rounding"}, 30),
        ({"source": "monitor", "cause": "double_counted"}, 0),
        ({"counts": "total"}, None),
    ],
)
def test_a_difference_is_that_of_the_claim_that_is_farthest_off(
    limit: dict[str, object], measured: int | None
) -> None:
    timeline = reduce(start_up([(0, 100, "torch_compile", ENCODER)], more=claims).events)
    row = check(timeline, difference=[{**limit, "at_most": "20 ns"}])
    assert row.measured == measured
    assert row.is_broken == (measured is None or measured > 20)


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_of_the_vocabulary_can_be_limited(cause: str) -> None:
    example = next(make() for make in EXAMPLES if make.__name__ == cause)
    timeline = reduce(example.events)
    parts = Counter[tuple[str, int]]()
    for share in timeline.causes:
        if share.cause == cause:
            parts[share.process, share.claim] += share.ns
    row = check(timeline, difference=[{"cause": cause, "at_most": "0 s"}])
    assert row.is_broken
    assert row.measured == max(map(abs, parts.values()))


def test_a_claim_that_speaks_of_nothing_breaks_its_limit_unless_it_may() -> None:
    timeline = reduce(start_up([(0, 100, "torch_compile", ENCODER)], more=claims).events)
    row = check(timeline, difference=[{"source": "backend", "at_most": "1 s"}])
    assert row.is_broken
    assert "matches nothing that was recorded" in row.sentence
    # All of them are unmatched, so nothing was measured either.
    limit = {"source": "backend", "at_most": "1 s", "may_be_unmatched": True}
    assert check(timeline, difference=[limit]).is_broken
    assert not check(timeline, difference=[{**limit, "may_be_missing": True}]).is_broken
    assert not check(timeline, difference=[{"at_most": "1 s", "may_be_unmatched": True}]).is_broken


def test_a_disagreement_is_between_two_sources_totals() -> None:
    stages = [
        (0, 100, "torch_compile", ENCODER), (10, 60, "dynamo", {"role": "encoder", "source": "backend"}),
        (50, 90, "graph_compile", {"role": "encoder", "source": "backend"}),
    ]  # fmt: skip
    timeline = reduce(start_up(stages).events)
    row = check(timeline, disagreement=[{"between": ["backend", "monitor"], "at_most": "19 ns"}])
    assert (row.measured, row.is_broken) == (20, True)
    assert [(trace.what, trace.ns) for trace in row.trace] == [
        ("by the backend", 80),
        ("by the monitor", 100),
    ]
    limit = {"between": ["monitor", "engine"], "at_most": "1 s"}
    assert "nothing measured by the engine" in check(timeline, disagreement=[limit]).sentence
    assert not check(timeline, disagreement=[{**limit, "may_be_missing": True}]).is_broken


def test_anomalies_are_counted_but_not_those_that_are_excepted() -> None:
    def oddly(builder: SessionBuilder) -> None:
        builder.stop(5, 99)
        builder.stop(6, 98)

    timeline = reduce(start_up(more=oddly).events)
    row = check(timeline, anomalies=[{"at_most": 1}])
    assert (row.measured, row.over, row.is_broken) == (2, 1, True)
    assert {trace.what for trace in row.trace} == {"orphan_stop"}
    assert not check(timeline, anomalies=[{"at_most": 0, "except": ["orphan_stop"]}]).is_broken
    assert not check(timeline, anomalies=[{"at_most": 0, "what": "duplicate_stop"}]).is_broken


def test_every_kind_of_limit_can_be_held_against_a_recorded_start_of_vllm() -> None:
    events = [parse_event(line) for line in VLLM.read_bytes().splitlines()]
    tables = {
        "total": [{"role": "encoder", "activity": "compile", "at_most": "1 h"}],
        "difference": [{"source": "monitor", "at_most": "1 s"}],
        "disagreement": [{"between": ["monitor", "backend"], "activity": "compile", "at_most": "1 s"}],
        "unattributed": [{"stage": "torch_compile", "at_most": "1 s"}],
        "finding": [{"finding": "cache_empty", "at_most": "1 min"}],
        "anomalies": [{"at_most": 0, "except": ["repeated_load"]}],
    }
    assert tables.keys() == TABLES.keys()
    with MemoryLedger(events) as ledger:
        verdicts = check_budget(ledger, Budget.from_mapping(tables), session="vllm cold")
        total = ledger.sql(
            "SELECT max(total_ns) AS ns FROM role_totals JOIN sessions USING (session) "
            "WHERE label = 'vllm cold' AND role = 'encoder' AND activity = 'compile'"
        )
    assert verdicts.broken == ()
    assert verdicts.rows[1].measured == total[0]["ns"]


# What is not known


def test_a_limit_that_matches_nothing_is_broken_unless_it_may_be_missing() -> None:
    timeline = reduce(start_up([(0, 10, "torch_compile", ENCODER)]).events)
    for table, limit in (
        ("total", {"role": "drafter"}), ("unattributed", {"role": "encoder"}),
        ("difference", {"source": "log"}), ("disagreement", {"between": ["log", "user"]}),
    ):  # fmt: skip
        row = check(timeline, **{table: [{**limit, "at_most": "1 s"}]})
        assert (row.is_broken, row.measured) == (True, None)
        assert "nothing measured" in row.sentence
        assert not check(timeline, **{table: [{**limit, "at_most": "1 s", "may_be_missing": True}]}).is_broken


@pytest.mark.parametrize("table", ["total", "unattributed"])
def test_an_interval_that_is_still_open_breaks_the_limits_on_it(table: str) -> None:
    def open_one(builder: SessionBuilder) -> None:
        builder.start(20, "torch_compile", role="encoder")
        builder.milestone(25, "later")

    stages = [(0, 10, "torch_compile", ENCODER), (2, 5, "dynamo", ENCODER)]
    timeline = reduce(start_up(stages, more=open_one, is_ended=False).events)
    row = check(timeline, **{table: [{"stage": "torch_compile", "at_most": "1 s", "may_be_missing": True}]})
    assert row.is_broken
    assert "interval 6 (torch_compile) of process process is still open after 5 ns" in row.sentence
    assert not check(timeline, **{table: [{"source": "monitor", "at_most": "1 s"}]}).is_broken


def test_an_abandoned_interval_is_a_lower_bound_and_says_so() -> None:
    def abandon(builder: SessionBuilder) -> None:
        builder.start(20, "torch_compile", role="encoder")

    timeline = reduce(start_up([(0, 10, "torch_compile", ENCODER)], more=abandon).events)
    row = check(timeline, total=[{"role": "encoder", "at_most": "1 s"}])
    assert (row.measured, row.is_broken, row.is_lower_bound) == (10, False, True)
    assert row.cells[2] == "at least 10 ns"


def lost(builder: SessionBuilder) -> None:
    builder.events.append(
        parse_event(
            {
                "kind": "process_lost", "session": "s", "process": "process:lost", "seq": 0, "at_ns": 10,
                "lost": "process", "last_seq": len(builder.events) - 1,
            }
        )
    )  # fmt: skip


def failed(builder: SessionBuilder) -> None:
    builder.end(20, "failed")


def with_a_hole(builder: SessionBuilder) -> None:
    builder.milestone(15, "gone")
    builder.end(20)
    del builder.events[4]


def not_written(builder: SessionBuilder) -> None:
    gap = {"what": "events_not_written", "count": 3, "at_ns": 15, "seq": len(builder.events)}
    builder.events.append(parse_event({"kind": "gap_noted", "session": "s", "process": "process", **gap}))
    builder.end(20)


@pytest.mark.parametrize(
    ("end", "fault"),
    [
        (failed, "it failed, and has not become ready; process process (process) is failed"),
        (lost, "it is lost, and has not become ready; process process (process) is lost"),
        (lambda builder: None, "it is running, and has not become ready"),
        (with_a_hole, "1 of its events are missing"),
        (not_written, "3 of its events are missing"),
    ],
)
def test_a_session_that_did_not_complete_breaks_the_check_by_itself(
    end: Callable[[SessionBuilder], object], fault: str
) -> None:
    timeline = reduce(start_up([(0, 10, "torch_compile", ENCODER)], more=end, is_ended=False).events)
    verdicts = evaluate(budget(total=[{"role": "encoder", "at_most": "1 s"}]), [timeline], None)
    (row,) = verdicts.broken
    assert (row.kind, row.fault) == ("session", fault)
    may_run = evaluate(budget(total=[{"role": "encoder", "at_most": "1 s"}]), [timeline], None, may_run=True)
    assert bool(may_run.broken) == (fault != "it is running, and has not become ready")


# Baselines


def ledger_of(*builders: SessionBuilder) -> MemoryLedger:
    return MemoryLedger([event for builder in builders for event in builder.events])


def one_compile(session: str, label: str, ns: int, wall_ns: int = 0) -> SessionBuilder:
    return start_up([(0, ns, "torch_compile", ENCODER)], session=session, label=label, wall_ns=wall_ns)


RELATIVE = {"role": "encoder", "at_most_over_baseline": "10 %"}


def test_a_relative_limit_is_compared_with_the_median_of_the_sessions_that_count() -> None:
    main = [one_compile(f"m{number}", "main", ns) for number, ns in enumerate((90, 100, 110, 5_000))]
    cut = start_up(
        [(0, 9_000, "torch_compile", ENCODER)], session="m9", label="main", is_ended=False, more=failed
    )
    new = one_compile("new", "new", 115, wall_ns=10**18)
    with ledger_of(*main, cut, new) as ledger:
        row = only(check_budget(ledger, budget(baseline="main", total=[RELATIVE])).rows)
        assert (row.measured, row.allowed, row.is_broken) == (115, 115, False)
        assert "the baseline's median is 105 ns over 4 sessions, from 90 ns to 5.000 µs" in row.sentence
        limit = {**RELATIVE, "at_most_over_baseline": "9 ns"}
        row = only(check_budget(ledger, budget(baseline="main", total=[limit])).rows)
        assert (row.allowed, row.over, row.is_broken) == (114, 1, True)
        spread = {**limit, "beyond_spread": True}
        row = only(check_budget(ledger, budget(baseline="main", total=[spread])).rows)
        assert (row.allowed, row.is_broken) == (5_000, False)


def test_what_is_checked_is_no_baseline_of_itself() -> None:
    old, new = one_compile("a", "main", 100), one_compile("b", "main", 120, wall_ns=10**18)
    with ledger_of(old, new) as ledger:
        row = only(check_budget(ledger, budget(baseline="main", total=[RELATIVE])).rows)
        assert (row.measured, row.allowed, row.is_broken) == (120, 110, True)
        row = only(check_budget(ledger, budget(baseline="main", total=[RELATIVE]), session="main").rows)
        assert "the baseline has no comparable session besides those being checked" in row.sentence
        may = {**RELATIVE, "may_be_missing": True}
        assert only(check_budget(ledger, budget(baseline="main", total=[may]), session="main").rows).is_broken


def test_of_several_sessions_the_worst_is_held_absolutely_and_the_median_relatively() -> None:
    new = [one_compile(f"n{ns}", "new", ns) for ns in (100, 105, 140)]
    limits = budget(baseline="main", total=[{**RELATIVE, "at_most": "120 ns"}])
    with ledger_of(one_compile("m", "main", 100), *new) as ledger:
        verdicts = check_budget(ledger, limits, session="new")
    absolute, relative = verdicts.rows[3:]
    assert (absolute.measured, absolute.session, absolute.is_broken) == (140, "n140", True)
    assert (relative.measured, relative.session, relative.is_broken) == (105, "n105", False)
    assert verdicts.sessions == ("n100", "n105", "n140")


def test_one_of_several_sessions_that_measured_nothing_breaks_the_limit() -> None:
    new = [one_compile("n1", "new", 100), start_up(session="n2", label="new")]
    limits = budget(baseline="main", total=[{**RELATIVE, "at_most": "120 ns"}])
    with ledger_of(one_compile("m", "main", 100), *new) as ledger:
        rows = check_budget(ledger, limits, session="new").rows[2:]
        assert [(row.is_broken, row.session, row.fault) for row in rows] == [
            (True, "n2", "nothing measured")
        ] * 2
        may = budget(baseline="main", total=[{**RELATIVE, "at_most": "120 ns", "may_be_missing": True}])
        assert check_budget(ledger, may, session="new").broken == ()


def test_a_component_that_vanished_or_is_new_is_said() -> None:
    def of(session: str, *components: str) -> SessionBuilder:
        stages = [(0, 10, "torch_compile", {**ENCODER, "component": name}) for name in components]
        return start_up(stages, session=session, label=session)

    limit = {"each": "component", "at_most_over_baseline": "10 %"}
    with ledger_of(of("main", "Old", "Same"), of("new", "New", "Same")) as ledger:
        rows = check_budget(ledger, budget(baseline="main", total=[limit]), session="new").rows[1:]
        assert {row.name.partition("[")[2]: row.fault for row in rows} == {
            "encoder, Old]": "nothing measured",
            "encoder, New]": "nothing measured in the baseline",
            "encoder, Same]": None,
        }
        may = {**limit, "may_be_missing": True}
        assert check_budget(ledger, budget(baseline="main", total=[may]), session="new").broken == ()


def test_a_baseline_can_be_in_another_ledger(tmp_path: Path) -> None:
    other = tmp_path / "ma:in.db"
    write(other, "m", one_compile("m", "a: b", 100).events)
    Ledger.open(other).close()
    with ledger_of(one_compile("new", "new", 120)) as ledger:
        row = only(check_budget(ledger, budget(total=[RELATIVE]), baseline=f"{other}:a: b").rows)
        assert (row.allowed, row.is_broken) == (110, True)
        with pytest.raises(UnknownSession, match=r"baseline: .*no session 'none'"):
            check_budget(ledger, budget(total=[RELATIVE]), baseline=f"{other}:none")
        with pytest.raises(UnknownSession, match=r"baseline: .*no session 'no.db:main'"):
            check_budget(ledger, budget(total=[RELATIVE]), baseline="no.db:main")
        with pytest.raises(InvalidBudget, match='write baseline = "LABEL" at the top of the budget'):
            check_budget(ledger, budget(total=[RELATIVE]))
        # A budget without relative limits looks for no baseline.
        assert check_budget(ledger, budget(baseline="none", anomalies=[{"at_most": 0}])).broken == ()


COMPONENTS = {"Embed": 4.0, "Block": 12.0, "Merger": 2.5, "backbone": 9.0}
SPREAD = 0.02


def noisy(
    chance: random.Random, session: str, label: str, slowed: dict[str, float] | None = None
) -> SessionBuilder:
    """A start-up whose components take their time give or take, and some of them longer than that."""
    at_ns, stages = 0, list[tuple[int, int, str, dict[str, object]]]()
    for component, mean in COMPONENTS.items():
        took = chance.gauss(mean, mean * SPREAD) + (slowed or {}).get(component, 0.0)
        role = "language_model" if component == "backbone" else "encoder"
        stages.append(
            (at_ns, at_ns + round(took * S), "torch_compile", {"role": role, "component": component})
        )
        at_ns = stages[-1][1] + 50 * MS
    return start_up(stages, session=session, label=label)


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_slowdown_of_three_times_its_spread_in_one_component_is_stopped(component: str) -> None:
    """And nothing else is: not the other components, and not a start-up that is as before."""
    chance = random.Random(component)
    limit = {
        "each": "component",
        "activity": "compile",
        "at_most_over_baseline": "3 %",
        "beyond_spread": True,
    }
    before = [noisy(chance, f"m{number}", "main") for number in range(8)]
    spread = statistics.stdev(
        timeline.intervals[list(COMPONENTS).index(component)].duration_ns or 0
        for timeline in (reduce(builder.events) for builder in before)
    )
    slowed = {component: 3 * spread / S}
    same = [noisy(chance, f"s{number}", "same") for number in range(5)]
    slow = [noisy(chance, f"n{number}", "new", slowed) for number in range(5)]
    with ledger_of(*before, *same, *slow) as ledger:
        limits = budget(baseline="main", total=[limit])
        assert check_budget(ledger, limits, session="same").broken == ()
        (broken,) = check_budget(ledger, limits, session="new").broken
    assert component in broken.name
    assert {trace.what for trace in broken.trace} == {f"torch_compile {component}"}


@given(
    st.integers(0, 200), st.integers(0, 200), st.lists(st.integers(0, 200), min_size=1, max_size=5),
    st.lists(st.integers(0, 200), min_size=1, max_size=5), st.booleans(),
)  # fmt: skip
def test_a_limit_that_is_raised_breaks_nothing_that_held(
    limit_ns: int, raised_by: int, new: list[int], before: list[int], beyond: bool
) -> None:
    def timelines(label: str, lengths: list[int]) -> list[Timeline]:
        return [reduce(one_compile(f"{label}{n}", label, ns).events) for n, ns in enumerate(lengths)]

    def broken(ns: int, unit: str) -> list[bool]:
        limit = {"role": "encoder", "at_most": f"{ns} ns", "at_most_over_baseline": f"{ns} {unit}"}
        limits = budget(total=[{**limit, "beyond_spread": beyond}])
        baseline = Baseline("main", timelines("main", before))
        return [row.is_broken for row in evaluate(limits, timelines("new", new), baseline).rows]

    for unit in ("ns", "%"):
        for was, now in zip(broken(limit_ns, unit), broken(limit_ns + raised_by, unit), strict=True):
            assert was or not now


# What is printed


def test_the_text_has_every_row_and_explains_the_broken_ones() -> None:
    timeline = reduce(start_up([(0, 30 * S, "torch_compile", ENCODER)]).events)
    limits = [{"role": "encoder", "at_most": "20 s"}, {"name": "all of it", "at_most": "1 min"}]
    text = str(evaluate(budget(total=limits), [timeline], None))
    assert text.splitlines()[0] == "2 of 3 limits hold, 1 broken"
    assert "total: encoder: 30.000 s measured; at most 20 s allowed: 10.000 s over" in text
    assert "in process process (process) of session s" in text
    assert "interval 2: 30.000 s, torch_compile" in text
    assert "all of it" in text


def test_no_name_makes_a_second_line_or_an_escape_sequence() -> None:
    name = "a\n::error::b\x1b[31m\r\x00"
    stages = [(0, 30, "torch_compile", {"role": name, "component": name})]
    timeline = reduce(start_up(stages, label=name).events)
    limits = [{"role": name, "at_most": "1 ns"}, {"each": "role", "at_most": "1 ns"}]
    verdicts = evaluate(budget(total=limits), [timeline], None)
    for row in verdicts.rows:
        assert row.name.isprintable()
        assert row.sentence.isprintable()
        assert all(detail.isprintable() for detail in row.details)
    assert all(line.isprintable() for line in str(verdicts).splitlines())
    assert "\\n::error::b\\x1b[31m" in str(verdicts)
