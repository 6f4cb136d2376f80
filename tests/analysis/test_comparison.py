"""Two sets of start-ups held against each other: built ones, and real ones with and without a slowdown."""

import gzip
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Timeline, reduce
from ledger.analysis.comparison import (
    MAX_TESTED,
    MIN_DIFFERENCE_NS,
    Comparison,
    Difference,
    RoleDifference,
    StageDifference,
    compare,
)
from ledger.testing import SessionBuilder
from ledger.vocabulary import Source
from tests.support.starts import FOLDER, kept, slowed, spread_ns, warm

S = 1_000_000_000
MS = 1_000_000
OPPOSITE = {"new": "gone", "gone": "new", "slower": "faster", "faster": "slower", "same": "same"}
COMPONENTS = {"VisionEncoder": "encoder", "DecoderLM": "language_model"}


def start(times_ns: dict[str | None, int], source: Source = "monitor", processes: int = 1) -> Timeline:
    """A session in which each role's compile takes its time, in each process a nanosecond more."""
    return reduce(
        event
        for number in range(processes)
        for event in _process(f"p{number}", {role: ns + number for role, ns in times_ns.items()}, source)
    )


def _process(process: str, times_ns: dict[str | None, int], source: Source) -> list[object]:
    builder = SessionBuilder(process=process)
    builder.begin()
    at_ns = 0
    for role, ns in times_ns.items():
        interval = builder.start(at_ns, "torch_compile", role=role, component="Block", source=source)
        at_ns += ns
        builder.stop(at_ns, interval)
    builder.end(at_ns)
    return list(builder.events)


def starts(times_ns: Iterable[int], role: str = "encoder") -> list[Timeline]:
    return [start({role: ns}) for ns in times_ns]


def only(comparison: Comparison) -> Difference:
    [row] = comparison.roles
    return row.difference


def real(comparison: Comparison) -> list[RoleDifference | StageDifference]:
    return [row for row in (*comparison.roles, *comparison.stages) if row.difference.is_real]


def test_one_session_on_a_side_is_compared_but_not_tested() -> None:
    comparison = compare(starts([2 * S]), starts([3 * S]))
    found = only(comparison)
    assert (found.ns, found.ratio, found.verdict) == (S, 1.5, "slower")
    assert (found.p, found.is_real) == (None, None)
    assert (comparison.tests, comparison.needed) == (1, 4)
    [stage] = comparison.stages
    assert stage[:4] == ("encoder", "compile", "Block", "torch_compile")
    assert (stage.difference.verdict, stage.difference.is_real) == ("slower", None)


def test_the_median_of_several_is_shown_with_the_range() -> None:
    found = only(compare(starts([S, 9 * S, 3 * S, 2 * S]), starts([4 * S, 6 * S, 5 * S])))
    assert found.a == (2_500_000_000, S, 9 * S, 4, 4)
    assert found.b == (5 * S, 4 * S, 6 * S, 3, 3)


def test_sets_with_nothing_in_common_really_differ() -> None:
    found = only(compare(starts(range(S, S + 10)), starts(range(2 * S, 2 * S + 10))))
    assert (found.verdict, found.is_real) == ("slower", True)
    assert found.p == 2 / 10_000


def test_one_row_needs_four_sessions_on_each_side() -> None:
    for count, is_real in ((3, None), (4, True)):
        a, b = starts(range(S, S + count)), starts(range(2 * S, 2 * S + count))
        comparison = compare(a, b)
        assert only(comparison).is_real is is_real
        assert comparison.needed == (None if is_real else 4)


@pytest.mark.parametrize(
    ("a_ns", "b_ns", "is_worth_it"),
    [
        (S, S + 49 * MS, False),
        (S, S + 50 * MS, True),
        (10 * S, 10 * S + 499 * MS, False),
        (10 * S, 10 * S + 500 * MS, True),
        (10 * S + 500 * MS, 10 * S, True),
    ],
)
def test_what_is_less_than_50_ms_or_a_twentieth_is_the_same(a_ns: int, b_ns: int, is_worth_it: bool) -> None:
    one = only(compare(starts([a_ns]), starts([b_ns])))
    assert (one.verdict != "same") == is_worth_it
    assert one.is_real is (None if is_worth_it else False)
    several = only(compare(starts([a_ns] * 8), starts([b_ns] * 8)))
    assert several.is_real is is_worth_it


def test_new_is_what_all_sessions_of_the_second_have_and_gone_what_none_has() -> None:
    a = [start({"encoder": S, "drafter": S}) for _ in range(10)]
    b = [start({"encoder": S, "language_model": S}) for _ in range(10)]
    verdicts = {row.role: row.difference for row in compare(a, b).roles}
    assert {role: found.verdict for role, found in verdicts.items()} == {
        "encoder": "same", "drafter": "gone", "language_model": "new",
    }  # fmt: skip
    assert verdicts["language_model"].ratio is None
    assert verdicts["language_model"].is_real
    partly = {row.role: row.difference for row in compare(a, [*b[:9], a[0]]).roles}
    assert partly["language_model"].verdict == "slower"
    assert partly["language_model"].b.seen == 9


def test_only_the_largest_are_tested_and_what_can_not_matter_takes_no_place() -> None:
    roles = {f"role {number}": number * S for number in range(2, 9)}
    tiny = {f"tiny {number}": 1000 * S for number in range(3)}

    def side(factor: int) -> list[Timeline]:
        return [
            start({**{role: factor * ns + more for role, ns in roles.items()}, **tiny}) for more in range(8)
        ]

    comparison = compare(side(1), side(2))
    assert comparison.tests == MAX_TESTED
    untested = [row.role for row in comparison.roles if row.difference.is_real is None]
    assert untested == ["role 2"]
    same = [row.role for row in comparison.roles if row.difference.verdict == "same"]
    assert same == sorted(tiny)


def test_stages_are_tested_only_within_what_is_real() -> None:
    def side(encoder_ns: int, part_ns: int) -> list[Timeline]:
        sides: list[Timeline] = []
        for more in range(8):
            builder = SessionBuilder()
            builder.begin()
            for role, ns in (("encoder", encoder_ns), ("drafter", S)):
                whole = builder.start(0, "torch_compile", role=role, component="Block", source="monitor")
                part = builder.start(0, "dynamo", role=role, component="Block", source="backend")
                builder.stop(part_ns + more, part)
                builder.stop(ns + more, whole)
            sides.append(reduce(builder.events))
        return sides

    comparison = compare(side(2 * S, S // 2), side(3 * S, S))
    assert [(row.role, row.difference.is_real) for row in comparison.roles] == [
        ("encoder", True),
        ("drafter", False),
    ]
    stages = {(row.role, row.stage): row.difference for row in comparison.stages}
    assert stages["encoder", "dynamo"].is_real
    assert stages["encoder", "torch_compile"].is_real
    assert stages["drafter", "dynamo"].ns == S // 2
    assert (stages["drafter", "dynamo"].verdict, stages["drafter", "dynamo"].p) == ("same", None)


def test_a_stage_s_time_is_the_union_in_its_slowest_process_without_torch_s_own() -> None:
    events: list[object] = []
    for process, late in (("p0", 0), ("p1", 5)):
        builder = SessionBuilder(process=process)
        builder.begin()
        for begin, end in ((0, 10), (6, 16 + late)):
            builder.stop(end, builder.start(begin, "graph_compile", source="backend", thread=str(begin)))
        builder.stop(90, builder.start(50, "graph_compile", source="torch"))
        builder.start(95, "graph_compile", source="backend")
        events += builder.events
    timeline = reduce(events)
    times = {row.stage: row.difference.a.median_ns for row in compare([timeline], [timeline]).stages}
    assert times == {"graph_compile": 21}


def test_a_role_s_time_is_its_slowest_process_s() -> None:
    comparison = compare([start({"encoder": S}, processes=3)], [start({"encoder": S})])
    assert only(comparison).a.median_ns == S + 2


def test_where_the_medians_say_otherwise_than_the_faster_halves_nothing_is_real() -> None:
    quick_or_slow = [*range(S, S + 20), *range(5 * S, 5 * S + 21)]
    steady = range(2 * S, 2 * S + 41)
    found = only(compare(starts(quick_or_slow), starts(steady)))
    assert found.p is not None
    assert found.p < 0.05
    assert (found.verdict, found.is_real) == ("same", False)


def test_nothing_to_compare_with_is_refused() -> None:
    with pytest.raises(ValueError, match="both sets need"):
        compare([], starts([S]))


def test_sessions_without_intervals_are_the_same() -> None:
    empty = reduce(SessionBuilder().events)
    assert compare([empty], [empty]) == ((), (), 0, None)


ROLES = st.sampled_from(["encoder", "language_model", None])
SESSIONS = st.lists(
    st.dictionaries(ROLES, st.integers(0, 40).map(lambda tenths: tenths * S // 10)), min_size=1, max_size=7
)


@given(SESSIONS, SESSIONS, st.randoms())
def test_to_exchange_the_sides_turns_every_sign_and_order_within_them_is_nothing(
    a: list[dict[str | None, int]], b: list[dict[str | None, int]], random: Random
) -> None:
    of_a, of_b = [start(times) for times in a], [start(times) for times in b]
    there, back = compare(of_a, of_b), compare(of_b, of_a)
    assert there[2:] == back[2:]
    for rows, turned in ((there.roles, back.roles), (there.stages, back.stages)):
        assert [row[:-1] for row in rows] == [row[:-1] for row in turned]
        for row, other in zip(rows, turned, strict=True):
            found, opposite = row.difference, other.difference
            assert (found.a, found.b) == (opposite.b, opposite.a)
            assert found.ns == -opposite.ns
            assert found.verdict == OPPOSITE[opposite.verdict]
            assert (found.p, found.is_real) == (opposite.p, opposite.is_real)
    random.shuffle(of_a)
    random.shuffle(of_b)
    assert compare(of_a, of_b) == there


@given(SESSIONS)
def test_a_side_does_not_differ_from_itself(sessions: list[dict[str | None, int]]) -> None:
    side = [start(times) for times in sessions]
    comparison = compare(side, side)
    assert real(comparison) == []
    assert {row.difference.verdict for row in (*comparison.roles, *comparison.stages)} <= {"same"}


def test_enough_real_starts_are_kept_and_nothing_is_wrong_with_them() -> None:
    assert len(warm()) >= 24
    for timeline in warm():
        assert timeline.session is not None
        assert timeline.session.outcome == "completed"
        assert timeline.anomalies == ()


@pytest.mark.parametrize("label", ["cold", "warm"])
def test_the_kept_starts_say_nothing_of_the_machine_they_were_made_on(label: str) -> None:
    text = gzip.decompress((FOLDER / f"{label}.jsonl.gz").read_bytes()).decode()
    assert set(re.findall(r'"host":"(.*?)"', text)) == {"demo"}
    for path in (Path.home(), FOLDER.parents[2], sys.prefix):
        assert str(path) not in text


def test_ten_equal_real_starts_on_each_side_differ_in_at_most_one_resampling_of_twenty() -> None:
    called = 0
    for seed in range(100):
        drawn = Random(seed).sample(warm(), 20)
        called += bool(real(compare(drawn[:10], drawn[10:])))
    assert called <= 5


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_slowdown_of_three_times_its_spread_is_found_in_a_component_of_real_starts(component: str) -> None:
    more_ns = 3 * spread_ns(component)
    assert more_ns >= MIN_DIFFERENCE_NS
    slower = [reduce(slowed(events, component, more_ns)) for events in kept("warm")]
    role = COMPONENTS[component]
    found = called_elsewhere = 0
    for seed in range(100):
        drawn = Random(seed).sample(range(len(slower)), 20)
        comparison = compare([warm()[place] for place in drawn[:10]], [slower[place] for place in drawn[10:]])
        of_component = {(role, "compile"), (role, "compile", component, "torch_compile")}
        slow = {row[:-1] for row in real(comparison) if row.difference.verdict == "slower"}
        found += of_component <= slow
        # What encloses the compile is slower as well: the start-up of the whole process.
        called_elsewhere += any(row.role not in (role, None) for row in real(comparison))
    assert found >= 95
    assert called_elsewhere <= 5


def test_a_slowed_start_is_later_by_what_was_put_in_and_nothing_else_is_longer() -> None:
    events = kept("warm")[0]
    before, after = reduce(events), reduce(slowed(events, "DecoderLM", S))
    assert after.anomalies == ()
    longer = {
        (was.stage, was.component)
        for was, now in zip(before.intervals, after.intervals, strict=True)
        if (now.duration_ns or 0) - (was.duration_ns or 0) == S
    }
    same = [
        was.duration_ns == now.duration_ns
        for was, now in zip(before.intervals, after.intervals, strict=True)
        if (was.stage, was.component) not in longer
    ]
    assert longer == {("torch_compile", "DecoderLM"), ("engine_init", None)}
    assert all(same)
    assert after.milestones[-1].at_ns - before.milestones[-1].at_ns == S


def test_real_cold_starts_are_slower_than_warm_ones_in_what_they_compile_and_nowhere_else() -> None:
    comparison = compare(warm(), list(map(reduce, kept("cold"))))
    assert {row[:2] for row in real(comparison)} == {
        (None, "startup"), ("encoder", "compile"), ("language_model", "compile"),
    }  # fmt: skip
    stages = {row.stage: row.difference.verdict for row in comparison.stages}
    assert (stages["torch_compile"], stages["process_start"], stages["warmup"]) == ("slower", "same", "same")


def test_the_rows_are_by_the_size_of_their_difference() -> None:
    sizes = [abs(row.difference.ns) for row in compare(warm()[:10], warm()[10:]).roles]
    assert sizes == sorted(sizes, reverse=True)
