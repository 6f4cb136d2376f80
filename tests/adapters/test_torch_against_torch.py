"""torch against torch: each total that torch reports, held against what was measured, and why they differ.

First what is counted where a total says itself what it adds up, on sessions that are made up; then which
totals the adapter claims, with a stand-in for torch; then real compiles.
"""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Ledger, Timeline, reduce
from ledger.testing import SessionBuilder
from ledger.timeline.records import Interval
from ledger_torch.hook_targets import WALL
from ledger_torch.spans import Spans
from ledger_torch.totals import Totals
from tests.adapters.test_ledger_torch import PROGRAMS, Recorded
from tests.support.paths import ROOT

MS = 1_000_000
Parts = dict[tuple[str, str | None], int]
Span = tuple[int, int]


def parts_of(timeline: Timeline, claim: int, process: str = "process") -> Parts:
    """The parts of a claim's difference in ns; that they add up is checked on the way."""
    [row] = (row for row in timeline.reconciliation if (row.process, row.claim) == (process, claim))
    shares = [share for share in timeline.causes if (share.process, share.claim) == (process, claim)]
    assert sum(share.ns for share in shares) == row.difference_ns
    return {(share.cause, share.stage): share.ns for share in shares}


def by_cause(parts: Parts) -> Counter[str]:
    found: Counter[str] = Counter()
    for (cause, _), ns in parts.items():
        found[cause] += ns
    return found


def union_ns(spans: Iterable[Span]) -> int:
    total = reached = 0
    for start_ns, stop_ns in sorted(spans):
        total += max(0, stop_ns - max(start_ns, reached))
        reached = max(reached, stop_ns)
    return total


class Compiles(SessionBuilder):
    """A process that compiles, and what torch says of it; in milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.begin()

    def span(self, start: int, stop: int, stage: str, **known: Any) -> int:
        outcome = known.pop("outcome", "completed")
        interval = self.start(start * MS, stage, source="torch", **known)
        self.stop(stop * MS, interval, outcome)
        return interval

    def total(self, ms: float, adds_up: object, **data: object) -> int:
        return self.claim(
            1_000 * MS, round(ms * MS), source="torch", stage=None, counts="total", resolution_ns=1,
            data={"adds_up": adds_up, **data},
        )  # fmt: skip


def in_ms(parts: Parts) -> dict[tuple[str, str | None], float]:
    return {part: ns / MS for part, ns in parts.items()}


class TestWhatATotalSaysItAddsUp:
    def test_what_lies_within_one_another_or_in_other_threads_is_counted_again(self) -> None:
        process = Compiles()
        process.span(0, 10, "frame")
        process.span(2, 9, "backend")
        process.span(3, 8, "file", thread="pool")
        process.span(5, 8, "file", thread="another")
        all_of_it = process.total(25, {"frame": 1, "backend": 1, "file": 2})
        parts = parts_of(reduce(process.events), all_of_it)
        assert in_ms(parts) == {("double_counted", "backend"): 2, ("double_counted", "file"): 13}

    def test_stages_that_it_does_not_add_up_are_omitted_and_not_lost_or_late(self) -> None:
        process = Compiles()
        process.milestone(0, "engine_ready")
        process.span(0, 12, "dynamo", outcome="failed")
        frame = process.span(1, 11, "frame")
        claim = process.total(10, {"frame": 1})
        timeline = reduce(process.events)
        assert in_ms(parts_of(timeline, claim)) == {("omitted_stage", "dynamo"): -2}
        [share] = timeline.causes
        assert frame not in [shown.interval for shown in share.intervals]

    def test_the_last_ones_of_a_stage_are_what_it_still_adds_up(self) -> None:
        process = Compiles()
        process.span(0, 10, "frame")
        process.span(20, 24, "frame")
        process.span(30, 31, "frame")
        claim = process.total(5, {"frame": 2})
        assert in_ms(parts_of(reduce(process.events), claim)) == {("omitted_stage", "frame"): -10}

    def test_what_ended_after_it_was_said_or_is_another_s_is_not_counted(self) -> None:
        process = Compiles()
        process.span(0, 10, "frame")
        monitor = process.start(20 * MS, "frame", source="monitor", activity="compile")
        process.stop(25 * MS, monitor)
        claim = process.total(10, {"frame": 1})
        process.span(2_000, 2_007, "frame")
        assert in_ms(parts_of(reduce(process.events), claim)) == {("omitted_stage", "frame"): -12}

    def test_a_total_of_nothing_reports_nothing(self) -> None:
        process = Compiles()
        process.span(0, 10, "inductor")
        claim = process.total(0, {})
        assert in_ms(parts_of(reduce(process.events), claim)) == {("not_reported", "inductor"): -10}

    def test_lengths_of_time_inside_of_an_interval_are_counted_besides(self) -> None:
        process = Compiles()
        tracing = process.span(0, 10, "tracing")
        process.span(8, 10, "inner")
        claim = process.total(10 + 3 + 4, {"tracing": 1}, within=[[tracing, 3 * MS, 4 * MS]])
        assert in_ms(parts_of(reduce(process.events), claim)) == {("double_counted", "tracing"): 7}

    def test_a_length_that_is_longer_than_its_interval_is_not_explained(self) -> None:
        process = Compiles()
        tracing = process.span(0, 10, "tracing")
        claim = process.total(10 + 300, {"tracing": 1}, within=[[tracing, 300 * MS]])
        assert in_ms(parts_of(reduce(process.events), claim)) == {
            ("double_counted", "tracing"): 10, ("unexplained", None): 290,
        }  # fmt: skip

    def test_two_clocks_looks_at_each_of_many_spans_are_rounding(self) -> None:
        process = Compiles()
        process.span(0, 100, "frame")
        for at in range(50):
            process.span(2 * at, 2 * at + 1, "pass")
        process.span(200, 300, "frame")
        near, far = (process.total(250 + more, {"frame": 2, "pass": 50}) for more in (5, 50))
        timeline = reduce(process.events)
        assert in_ms(parts_of(timeline, near)) == {("double_counted", "pass"): 50, ("rounding", None): 5}
        assert in_ms(parts_of(timeline, far))["unexplained", None] == 50

    @pytest.mark.parametrize("adds_up", [None, 3, "frame", ["frame"]])
    def test_what_does_not_say_what_it_adds_up_is_a_total_like_any_other(self, adds_up: object) -> None:
        process = Compiles()
        process.span(0, 10, "frame")
        claim = process.total(17, adds_up)
        assert in_ms(parts_of(reduce(process.events), claim)) == {("unexplained", None): 7}


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["frame", "x"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["frame", "0", "4"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(adds_up=st.dictionaries(st.sampled_from(["frame", "", "x"]), ODD) | ODD, within=ODD)
def test_whatever_a_total_says_of_itself_its_parts_add_up(adds_up: object, within: object) -> None:
    process = Compiles()
    for start, stop in ((0, 10), (2, 5), (20, 21)):
        process.span(start, stop, "frame")
    claim = process.total(17, adds_up, within=within)
    parts_of(reduce(process.events), claim)


SPANS = st.lists(
    st.tuples(
        st.integers(0, 300), st.integers(0, 80), st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y"])
    ),
    min_size=1,
    max_size=20,
)


@given(SPANS, st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 20)))
def test_what_is_counted_twice_and_what_is_omitted_are_the_sum_the_union_and_the_rest(
    spans: Sequence[tuple[int, int, str, str]], adds_up: dict[str, int]
) -> None:
    process = Compiles()
    of_stage: defaultdict[str, list[Span]] = defaultdict(list)
    for start, length, stage, thread in sorted(spans, key=lambda span: span[0] + span[1]):
        process.span(start, start + length, stage, thread=thread)
        of_stage[stage].append((start * MS, (start + length) * MS))
    summed = [span for stage, number in adds_up.items() for span in of_stage[stage][-number:]]
    sum_ns = sum(stop_ns - start_ns for start_ns, stop_ns in summed)
    claim = process.total(sum_ns / MS, adds_up)
    found = by_cause(parts_of(reduce(process.events), claim))
    missing_ns = union_ns(span for spans in of_stage.values() for span in spans) - union_ns(summed)
    assert found["double_counted"] == sum_ns - union_ns(summed)
    assert found["omitted_stage"] + found["not_reported"] == -missing_ns
    assert found["unexplained"] == found["rounding"] == 0


class Torch(SimpleNamespace):
    """What of `torch._dynamo.utils` totals are read from."""

    def __init__(self) -> None:
        super().__init__(compilation_time_metrics={}, spent={})

    def calculate_time_spent(self) -> dict[str, float]:
        return {**self.spent, "total_wall_time": sum(self.spent.get(stage, 0) for stage in WALL)}

    def forget(self) -> None:
        self.compilation_time_metrics.clear()
        self.spent.clear()


class Adapter:
    """The adapter's part that claims totals, and a torch that calls it."""

    def __init__(self) -> None:
        self.recorded: Any = Recorded()
        self.torch: Any = Torch()
        self.spans = Spans(self.recorded, None)
        self.totals = Totals(self.recorded, self.torch, self.spans)

    def timed(self, key: str, seconds: float, *, stage: str | None = None, **ends_with: float) -> None:
        """A span of a function, with a column of its own where its stage is named."""
        args = {"fn_name": key} if stage else {}
        self.spans.observe({"name": stage or key, "ph": "B", "ts": 0, "args": args})
        self.torch.compilation_time_metrics.setdefault(key, []).append(seconds)
        for name, length in ends_with.items():
            lengths = self.torch.compilation_time_metrics.setdefault(name.removesuffix("_time_s"), [])
            lengths.append(length)
        self.spans.observe({"name": stage or key, "ph": "E", "ts": 0, "args": ends_with})
        if stage:
            self.torch.spent[stage] = self.torch.spent.get(stage, 0) + seconds

    def claims(self) -> dict[str, dict[str, Any]]:
        self.recorded.claims.clear()
        self.totals.claim()
        return {claim["data"]["report"]: claim for claim in self.recorded.claims}


WALL_TIME = 'calculate_time_spent()["total_wall_time"]'
OTHER_KEYS = 'calculate_time_spent(), all but "total_wall_time"'
ALL_SPANS = "compile_times(), all of it"


class TestWhatIsClaimed:
    def test_each_total_says_how_many_spans_of_which_stage_it_adds_up(self) -> None:
        adapter = Adapter()
        adapter.timed("_compile.compile_inner", 4.0, stage="entire_frame_compile")
        adapter.timed("_compile.compile_inner", 2.0, stage="entire_frame_compile")
        adapter.timed("call_user_compiler", 1.5, stage="backend_compile")
        adapter.timed("build_guards", 0.25)
        claims = adapter.claims()
        assert {report: claim["seconds"] for report, claim in claims.items()} == {
            WALL_TIME: 6.0, OTHER_KEYS: 7.5, ALL_SPANS: 7.75,
        }  # fmt: skip
        of_columns = {"entire_frame_compile": 2, "backend_compile": 1}
        assert claims[WALL_TIME]["data"]["adds_up"] == {"entire_frame_compile": 2}
        assert claims[OTHER_KEYS]["data"]["adds_up"] == of_columns
        assert claims[ALL_SPANS]["data"]["adds_up"] == {**of_columns, "build_guards": 1}
        assert claims[ALL_SPANS]["text"] == "compile_times(), all of it = 7.75"
        assert {claim["counts"] for claim in claims.values()} == {"total"}
        assert {(claim["source"], claim["stage"]) for claim in claims.values()} == {("torch", None)}

    def test_what_torch_measures_without_a_span_is_said_to_lie_within_one(self) -> None:
        adapter = Adapter()
        adapter.timed("bytecode_tracing", 1.0, get_fake_value_time_s=0.5)
        adapter.torch.forget()
        adapter.timed("bytecode_tracing", 2.0, get_fake_value_time_s=0.25, create_proxy_time_s=0.75)
        claim = adapter.claims()[ALL_SPANS]
        assert claim["seconds"] == 3.0
        assert claim["data"]["adds_up"] == {"bytecode_tracing": 1}
        [[interval, *lengths_ns]] = claim["data"]["within"]
        assert (interval, sorted(lengths_ns)) == (1, [250 * MS, 750 * MS])

    def test_where_nothing_was_compiled_nothing_is_claimed(self) -> None:
        adapter = Adapter()
        assert adapter.claims() == {}
        assert adapter.recorded.gaps == []

    def test_what_was_claimed_is_claimed_again_only_with_what_came_since(self) -> None:
        adapter = Adapter()
        adapter.timed("build_guards", 0.25)
        assert adapter.claims().keys() == {WALL_TIME, OTHER_KEYS, ALL_SPANS}
        assert adapter.claims() == {}
        adapter.timed("build_guards", 0.5)
        assert adapter.claims()[ALL_SPANS]["seconds"] == 0.75

    def test_totals_that_were_reset_are_claimed_as_nothing(self) -> None:
        adapter = Adapter()
        adapter.timed("_compile.compile_inner", 4.0, stage="entire_frame_compile")
        adapter.torch.forget()
        assert {claim["seconds"] for claim in adapter.claims().values()} == {0}

    def test_totals_that_hold_what_was_compiled_before_are_not_claimed(self) -> None:
        adapter = Adapter()
        adapter.timed("build_guards", 0.25)
        late = Totals(adapter.recorded, adapter.torch, adapter.spans)
        late.claim()
        assert adapter.recorded.claims == []
        assert [what for what, _ in adapter.recorded.gaps] == ["totals_not_claimed"]
        adapter.torch.forget()
        adapter.timed("build_guards", 0.5)
        late.claim()
        assert {claim["seconds"] for claim in adapter.recorded.claims} == {0, 0.5}

    def test_a_torch_without_one_of_them_is_a_gap(self) -> None:
        adapter = Adapter()
        adapter.timed("build_guards", 0.25)
        del adapter.torch.compilation_time_metrics
        assert adapter.claims() == {}
        [(what, detail)] = adapter.recorded.gaps
        assert what == "totals_not_claimed"
        assert "compilation_time_metrics" in detail


class Compiled:
    """What torch printed of its totals, and the ledger of the program that did."""

    def __init__(self, way: str, folder: Path) -> None:
        path = folder / "startup.db"
        ran = subprocess.run(
            [sys.executable, str(PROGRAMS / "totals.py"), way],
            env={**os.environ, "COMPILE_LEDGER": str(path), "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache")},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        self.said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        self.ledger = Ledger.open(path)
        self.timeline = self.ledger.timeline()
        assert self.ledger.sql("select * from gaps where what <> 'totals_not_claimed'") == []
        self.totals = {
            (claim.process, (claim.data or {})["report"]): claim
            for claim in self.timeline.claims
            if claim.counts == "total"
        }
        names = {process.name: process.process for process in self.timeline.processes}
        self.process = names["totals.py"]

    def parts(self, report: str) -> Parts:
        return parts_of(self.timeline, self.totals[self.process, report].claim, self.process)

    def measured_ns(self, report: str) -> int:
        claim = self.totals[self.process, report]
        [row] = (
            row
            for row in self.timeline.reconciliation
            if (row.process, row.claim) == (claim.process, claim.claim)
        )
        assert row.measured_ns is not None
        return row.measured_ns

    def added_up(self, report: str) -> list[Interval]:
        """The intervals that a total says it adds up."""
        adds_up = (self.totals[self.process, report].data or {})["adds_up"]
        found: list[Interval] = []
        for stage, number in adds_up.items():
            of_stage = [
                interval
                for interval in self.timeline.intervals
                if (interval.process, interval.stage) == (self.process, stage)
                and interval.stop_seq is not None
            ]
            assert len(of_stage) >= number > 0
            found += sorted(of_stage, key=lambda interval: interval.stop_seq or 0)[-number:]
        return found

    def check(self, report: str) -> Counter[str]:
        """Hold a total's parts against the spans that it adds up, and return them by cause."""
        claim, found = self.totals[self.process, report], by_cause(self.parts(report))
        spans = [(known.start_ns, known.stop_ns or 0) for known in self.added_up(report)]
        inside = [tuple(told) for told in (claim.data or {}).get("within", ())]
        besides_ns = sum(length for _, *lengths in inside for length in lengths)
        sum_ns = sum(stop_ns - start_ns for start_ns, stop_ns in spans)
        assert found["double_counted"] == sum_ns - union_ns(spans) + besides_ns
        omitted_ns = found["omitted_stage"] + found["not_reported"]
        assert omitted_ns == union_ns(spans) - self.measured_ns(report)
        # What remains is two clocks' looks at each span, between which a busy machine may do something else.
        remaining_ns = found["rounding"] + found["unexplained"]
        assert abs(remaining_ns) <= max(0.01 * claim.claimed_ns, 50 * MS)
        assert set(found) <= {"double_counted", "omitted_stage", "not_reported", "rounding", "unexplained"}
        return found

    def is_said(self) -> None:
        """The claims are what torch itself printed, to the nanosecond."""
        spent = dict(self.said["spent"])
        wall_s = spent.pop("total_wall_time")
        all_s = sum(length for lengths in self.said["lengths"].values() for length in lengths)
        said = {WALL_TIME: wall_s, OTHER_KEYS: sum(spent.values()), ALL_SPANS: all_s}
        for report, seconds in said.items():
            assert self.totals[self.process, report].claimed_s == pytest.approx(seconds, abs=1e-8)


def test_a_transformer_block_forward_and_backward(tmp_path: Path) -> None:
    compiled = Compiled("training", tmp_path)
    compiled.is_said()
    # The wall time leaves out what Dynamo does around its frames, and is what passed on the clock.
    assert {stage for cause, stage in compiled.parts(WALL_TIME) if cause == "omitted_stage"} == {"dynamo"}
    wall = compiled.check(WALL_TIME)
    assert wall["double_counted"] == 0
    assert abs(wall["omitted_stage"]) <= 0.01 * compiled.measured_ns(WALL_TIME)
    assert {interval.stage for interval in compiled.added_up(WALL_TIME)} == set(WALL)
    # The other two add up what lies within one another, and what runs in several threads.
    for report in (OTHER_KEYS, ALL_SPANS):
        assert compiled.check(report)["double_counted"] > compiled.measured_ns(report)
    # One of them has the C++ compiles on their threads, too.
    assert {"compile_file", "bytecode_tracing"} <= {known.stage for known in compiled.added_up(ALL_SPANS)}
    assert "compile_file" not in {known.stage for known in compiled.added_up(OTHER_KEYS)}
    shown = {
        named.interval
        for share in compiled.timeline.causes
        if (share.cause, share.stage) == ("double_counted", "compile_file")
        for named in share.intervals
    }
    stages = {interval.interval: interval.stage for interval in compiled.timeline.intervals}
    assert {stages[interval] for interval in shown} == {"compile_file"}

    # What no claim says is answered by SQL: the fields of a record, and the spans of one stage, added up.
    query = (ROOT / "ledger" / "storage" / "queries" / "torch_against_torch.sql").read_text()
    rows = {row["report"]: row for row in compiled.ledger.sql(query)}
    assert rows[ALL_SPANS]["cause"] in ("double_counted", "omitted_stage")
    for record in ("forward", "backward"):
        row = rows[f"fields of a {record} record, 0/0"]
        assert row["says"] > 2 * row["measured"]
    [files] = (row for report, row in rows.items() if report.endswith(" x compile_file"))
    assert files["says"] > files["measured"]
    told = compiled.ledger.sql(
        "select c.stage, json_extract(c.data, '$.means') as means from claims c"
        " join reconciliation r using (session, process, claim) where r.main_cause = 'unmatched'"
    )
    assert {row["stage"] for row in told} >= {"guard_latency_us", "structured_logging_overhead_us"}
    assert all(row["means"] for row in told)


def test_ahead_of_time_torch_reports_no_wall_time_at_all(tmp_path: Path) -> None:
    compiled = Compiled("ahead_of_time", tmp_path)
    compiled.is_said()
    nothing = compiled.check(WALL_TIME)
    assert set(nothing) == {"not_reported"}
    assert nothing["not_reported"] == -compiled.measured_ns(WALL_TIME)
    for report in (OTHER_KEYS, ALL_SPANS):
        assert compiled.check(report)["double_counted"] > 0


def test_with_the_backend_eager_tracing_is_counted_again_without_spans(tmp_path: Path) -> None:
    compiled = Compiled("eager", tmp_path)
    compiled.is_said()
    for report in (WALL_TIME, OTHER_KEYS, ALL_SPANS):
        compiled.check(report)
    # A part of a record is named after the backend, whichever it is.
    assert "backend_compile" in {interval.stage for interval in compiled.added_up(OTHER_KEYS)}
    assert compiled.parts(ALL_SPANS)["double_counted", "bytecode_tracing"] > 0


def test_after_a_reset_torch_reports_nothing_and_then_what_came_after_it(tmp_path: Path) -> None:
    nothing = Compiled("eager_then_reset", tmp_path / "nothing")
    nothing.is_said()
    around = Compiled("eager_around_a_reset", tmp_path / "around")
    around.is_said()
    for report in (WALL_TIME, OTHER_KEYS, ALL_SPANS):
        assert set(nothing.check(report)) == {"not_reported"}
        assert nothing.measured_ns(report) > 0
        around.check(report)
        first, second = sorted(
            interval.start_ns
            for interval in around.timeline.intervals
            if interval.stage == "entire_frame_compile"
        )
        assert {known.start_ns for known in around.added_up(report) if known.stage == WALL[0]} == {second}
        assert around.parts(report)["omitted_stage", "bytecode_tracing"] < 0
        assert first < second


def test_a_forked_child_claims_what_is_its_own_alone(tmp_path: Path) -> None:
    compiled = Compiled("in_forked_children", tmp_path)
    compiled.is_said()
    names = {process.process: process.name for process in compiled.timeline.processes}
    claimed = Counter(names[process] for process, _ in compiled.totals)
    # The second child compiled nothing and left nothing at all; the third one's totals hold its parent's.
    assert claimed == {"totals.py": 3, "ForkProcess-1": 3}
    gaps = [(names[gap.process], gap.what) for gap in compiled.timeline.gaps]
    assert gaps == [("ForkProcess-3", "totals_not_claimed")]
    for process, name in names.items():
        kinds = [event.kind for event in compiled.ledger.events() if event.process == process]
        assert kinds[-1] == "process_left", name
