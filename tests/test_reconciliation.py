"""Claims against intervals: golden sessions, each with the causes that its construction put in.

Most are cases of vLLM's that were seen (the numbers in their names are those of the list in the comments of
the adapter's tests). Times are in seconds for the eye, and exact in nanoseconds.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Event, Ledger, Recorder, Timeline, reduce
from ledger.testing import FakeClock, SessionBuilder

S = 1_000_000_000
LANGUAGE: dict[str, Any] = {"role": "language_model", "component": "backbone"}
ENCODER: dict[str, Any] = {"role": "encoder", "component": "VisionBlock"}


def ns(seconds: float) -> int:
    return round(seconds * S)


class Worker(SessionBuilder):
    """A worker of vLLM's, whose clock is moved on by what happens."""

    def __init__(self, process: str = "worker") -> None:
        super().__init__(process=process)
        self.begin()
        self.at = 0.0

    def stage(self, stage: str, seconds: float, outcome: Any = "completed", **known: Any) -> int:
        """An interval from now on."""
        interval = self.start(ns(self.at), stage, **known)
        self.at += seconds
        self.stop(ns(self.at), interval, outcome)
        return interval

    def open(self, stage: str, **known: Any) -> int:
        return self.start(ns(self.at), stage, **known)

    def shut(self, interval: int, outcome: Any = "completed") -> None:
        self.stop(ns(self.at), interval, outcome)

    def say(self, seconds: float, **known: Any) -> int:
        return self.claim(ns(self.at), ns(seconds), **known)


def causes_of(timeline: Timeline, claim: int, process: str = "worker") -> dict[tuple[str, str | None], float]:
    """The parts of a claim's difference, in seconds; that they add up is checked on the way."""
    [row] = (row for row in timeline.reconciliation if (row.process, row.claim) == (process, claim))
    shares = [share for share in timeline.causes if (share.process, share.claim) == (process, claim)]
    if row.difference_ns is not None:
        assert sum(share.ns for share in shares) == row.difference_ns
        assert row.difference_ns == row.claimed_ns - (row.measured_ns or 0)
    if shares:
        assert row.main_cause in {share.cause for share in shares}
    return {(share.cause, share.stage): share.ns / S for share in shares}


def shown_by(timeline: Timeline, claim: int, cause: str) -> list[int]:
    """The intervals that show a cause."""
    return [
        named["interval"]
        for share in timeline.causes
        if (share.claim, share.cause) == (claim, cause)
        for named in json.loads(share.intervals)
    ]


def compile_of(worker: Worker, part: dict[str, Any], *, adds: str, accumulator: str) -> dict[str, int]:
    """A cold compile: Dynamo, a split, one graph, a save; added up by the backend or the monitor."""
    found = {"compile": worker.open("torch_compile", source="monitor", **part)}
    known = {"source": "backend", **part}
    found["dynamo"] = worker.stage("dynamo", 2, **known)
    if adds == "backend":
        worker.say(2, counts="addition", interval=found["dynamo"], data={"accumulator": accumulator}, **known)
    found["split"] = worker.stage("graph_split", 0.5, **known)
    found["graph"] = worker.stage("graph_compile", 7.18, **known)
    if adds == "backend":
        worker.say(
            7.18, counts="addition", interval=found["graph"], data={"accumulator": accumulator}, **known
        )
    found["save"] = worker.stage("aot_save", 2.3, **known)
    worker.shut(found["compile"])
    if adds == "monitor":
        worker.say(
            11.98, counts="addition", interval=found["compile"], source="monitor",
            data={"accumulator": accumulator}, **part,
        )  # fmt: skip
    return found


class TestTheSeedCase:
    """The monitor said 11.98 s where the engine said 9.18 s, and the encoder was added twice."""

    def engine(self, worker: Worker, seconds: float, role: str, accumulator: str) -> int:
        return worker.say(
            seconds, counts="ranks", source="engine", role=role, resolution_ns=S // 100,
            data={"accumulator": accumulator}, text=f"init engine took … (compilation: {seconds} s)",
        )  # fmt: skip

    def test_what_the_backend_left_out_is_named_with_its_seconds(self) -> None:
        worker = Worker()
        found = compile_of(worker, LANGUAGE, adds="backend", accumulator="compilation_time")
        monitor = worker.say(11.98, source="monitor", interval=found["compile"], resolution_ns=S // 100)
        engine = self.engine(worker, 9.18, "language_model", "compilation_time")
        timeline = reduce(worker.events)
        assert causes_of(timeline, monitor) == {}
        assert causes_of(timeline, engine) == {
            ("omitted_stage", "graph_split"): -0.5,
            ("omitted_stage", "aot_save"): -2.3,
        }
        assert shown_by(timeline, engine, "omitted_stage") == [found["split"], found["save"]]

    def test_an_encoder_that_is_added_twice_is_counted_twice(self) -> None:
        worker = Worker()
        found = compile_of(worker, ENCODER, adds="monitor", accumulator="encoder_compilation_time")
        # Once more after the compile, by a backend that kept the old body.
        worker.say(
            11.98, counts="addition", interval=found["compile"], source="backend",
            data={"accumulator": "encoder_compilation_time"}, **ENCODER,
        )  # fmt: skip
        engine = self.engine(worker, 23.96, "encoder", "encoder_compilation_time")
        timeline = reduce(worker.events)
        parts = causes_of(timeline, engine)
        assert {cause for cause, _ in parts} == {"double_counted"}
        assert sum(parts.values()) == pytest.approx(11.98)

    def test_after_the_fix_there_is_no_difference(self) -> None:
        worker = Worker()
        compile_of(worker, ENCODER, adds="monitor", accumulator="encoder_compilation_time")
        compile_of(worker, LANGUAGE, adds="monitor", accumulator="compilation_time")
        encoder = self.engine(worker, 11.98, "encoder", "encoder_compilation_time")
        language = self.engine(worker, 11.98, "language_model", "compilation_time")
        timeline = reduce(worker.events)
        assert causes_of(timeline, encoder) == {}
        assert causes_of(timeline, language) == {}


def test_the_seed_case_through_the_recorder_into_sql(tmp_path: Path) -> None:
    path, clock = tmp_path / "startup.db", FakeClock()
    part: dict[str, Any] = {"role": "language_model", "component": "backbone"}
    with Recorder.open(path, label="before the fix", clock=clock) as recorder:

        def stage(name: str, seconds: float) -> int:
            with recorder.stage(name, source="backend", **part) as running:
                clock.advance(ns(seconds))
            return running.interval

        def add(seconds: float, interval: int) -> None:
            recorder.claim(seconds, source="backend", counts="addition", interval=interval, **part)

        with recorder.stage("torch_compile", source="monitor", **part) as compiling:
            add(2, stage("dynamo", 2))
            stage("graph_split", 0.5)
            add(7.18, stage("graph_compile", 7.18))
            stage("aot_save", 2.3)
        recorder.claim(
            11.98, source="monitor", interval=compiling.interval, resolution_ns=S // 100,
            text="torch.compile took 11.98 s in total", **part,
        )  # fmt: skip
        recorder.claim(
            9.18, source="engine", counts="ranks", role="language_model", resolution_ns=S // 100,
            text="init engine … (compilation: 9.18 s)",
        )  # fmt: skip
    with Ledger.open(path) as ledger:
        rows = ledger.sql("SELECT source, difference_s, main_cause FROM reconciliation ORDER BY claim")
        assert [row for row in rows if row["difference_s"]] == [
            {"source": "engine", "difference_s": -2.8, "main_cause": "omitted_stage"}
        ]
        assert ledger.sql("SELECT cause, stage, ns FROM causes ORDER BY ns DESC") == [
            {"cause": "omitted_stage", "stage": "graph_split", "ns": ns(-0.5)},
            {"cause": "omitted_stage", "stage": "aot_save", "ns": ns(-2.3)},
        ]


class TestCasesOfVllm:
    def test_i1_lines_of_ranges_overlap(self) -> None:
        worker = Worker()
        backend = worker.open("backend_compile", source="backend", **LANGUAGE)
        graphs: dict[str, list[int]] = {"small": [], "large": []}
        claims: dict[str, int] = {}
        began: float = 0
        for index in range(3):
            for name in graphs:
                if index == 0:
                    began = worker.at  # vLLM has one clock for all ranges, and sets it at the first graph
                graphs[name].append(worker.stage("graph_compile", 4, source="backend", **LANGUAGE))
                if index == 2:
                    claims[name] = worker.say(
                        worker.at - began, source="backend", stage="graph_compile",
                        data={"range": name, "intervals": graphs[name]}, **LANGUAGE,
                    )  # fmt: skip
        worker.shut(backend)
        timeline = reduce(worker.events)
        # 16 s for 12, and 20 s for 12: 36 s of 24.
        assert causes_of(timeline, claims["small"]) == {
            ("overlapping_ranges", "graph_compile"): 8,
            ("omitted_stage", "graph_compile"): -4,
        }
        assert shown_by(timeline, claims["small"], "overlapping_ranges") == graphs["large"][:2]
        assert causes_of(timeline, claims["large"]) == {("overlapping_ranges", "graph_compile"): 8}

    def test_i3_a_load_that_failed_is_lost(self) -> None:
        worker = Worker()
        failed = worker.stage("torch_compile", 3, outcome="failed", source="monitor", **LANGUAGE)
        compiled = worker.stage("torch_compile", 10, source="monitor", **LANGUAGE)
        worker.say(10, counts="addition", interval=compiled, source="monitor", **LANGUAGE)
        total = worker.say(10, counts="total", source="monitor", role="language_model")
        timeline = reduce(worker.events)
        assert causes_of(timeline, total) == {("lost_on_failure", "torch_compile"): -3}
        assert shown_by(timeline, total, "lost_on_failure") == [failed]

    def test_i6_a_drafter_is_lumped_into_the_language_model(self) -> None:
        worker = Worker()
        backbone = worker.stage("torch_compile", 10, source="monitor", **LANGUAGE)
        worker.say(
            10,
            counts="addition",
            interval=backbone,
            source="monitor",
            data={"accumulator": "all"},
            **LANGUAGE,
        )
        drafter = {"role": "drafter", "component": "eagle_head"}
        eagle = worker.stage("torch_compile", 3, source="monitor", **drafter)
        worker.say(
            3, counts="addition", interval=eagle, source="monitor", data={"accumulator": "all"}, **drafter
        )
        total = worker.say(
            13, counts="total", source="monitor", role="language_model", data={"accumulator": "all"}
        )
        timeline = reduce(worker.events)
        assert causes_of(timeline, total) == {("role_lumping", "torch_compile"): 3}
        assert shown_by(timeline, total, "role_lumping") == [eagle]

    def test_i8_two_maxima_are_of_two_ranks(self) -> None:
        workers = [Worker("rank0"), Worker("rank1")]
        for worker, encoder, language in zip(workers, (5, 3), (10, 14), strict=True):
            for role, seconds in (("encoder", encoder), ("language_model", language)):
                interval = worker.stage("torch_compile", seconds, source="monitor", role=role)
                worker.say(seconds, counts="addition", interval=interval, source="monitor", role=role)
        engine = workers[0].say(19, counts="ranks", source="engine")
        timeline = reduce([event for worker in workers for event in worker.events])
        # The slowest rank has 17 s.
        assert causes_of(timeline, engine, "rank0") == {("mixed_ranks", "torch_compile"): 2}

    def test_i9_and_i13_who_reports_nothing(self) -> None:
        worker = Worker()
        compiled = worker.stage("torch_compile", 30, source="monitor", **LANGUAGE)
        nothing = worker.say(0, counts="addition", interval=compiled, source="monitor", **LANGUAGE)
        front_end = Worker("front end")
        front_end.at = worker.at
        held = front_end.say(0, counts="ranks", source="engine", role="language_model")
        timeline = reduce([*worker.events, *front_end.events])
        assert causes_of(timeline, nothing) == {("not_reported", "torch_compile"): -30}
        assert causes_of(timeline, held, "front end") == {("not_reported", "torch_compile"): -30}

    def test_i10_a_compile_after_the_start_is_late(self) -> None:
        worker = Worker()
        first = worker.stage("torch_compile", 10, source="monitor", **LANGUAGE)
        worker.say(10, counts="addition", interval=first, source="monitor", **LANGUAGE)
        engine = worker.say(10, counts="ranks", source="engine", role="language_model")
        worker.milestone(ns(worker.at), "engine_ready")
        worker.at += 60
        late = worker.stage("torch_compile", 4, source="monitor", **LANGUAGE)
        timeline = reduce(worker.events)
        assert causes_of(timeline, engine) == {("late", "torch_compile"): -4}
        assert shown_by(timeline, engine, "late") == [late]

    def test_i11_a_part_that_is_not_inside_its_whole(self) -> None:
        worker = Worker()
        role = {"role": "encoder"}
        before = worker.stage("torch_compile", 4, source="monitor", **role)
        worker.say(4, counts="addition", interval=before, source="monitor", **role)
        engine = worker.stage("engine_init", 20, source="engine")
        text = "init engine took 20.00 s (compilation: 4.00 s)"
        worker.say(20, source="engine", stage="engine_init", interval=engine, text=text)
        part = worker.say(4, counts="ranks", source="engine", role="encoder", text=text)
        timeline = reduce(worker.events)
        assert causes_of(timeline, part) == {}
        [odd] = timeline.anomalies
        assert (odd.what, odd.claim, odd.ns) == ("outside_parent", part, 4 * S)

    def test_i14_loads_are_added_to_a_compile(self) -> None:
        worker = Worker()
        block = {"role": "encoder", "component": "VisionBlock"}
        for seconds, is_load in ((10, False), (1, True), (1, True)):
            interval = worker.open("torch_compile", source="monitor", **block)
            worker.stage("aot_load" if is_load else "aot_compile", seconds, source="backend", **block)
            worker.shut(interval)
            last = worker.say(seconds, counts="addition", interval=interval, source="monitor", **block)
        timeline = reduce(worker.events)
        [odd] = timeline.anomalies
        assert (odd.what, odd.claim, odd.ns) == ("repeated_load", last, 2 * S)

    def test_older_lines_in_total_were_cumulative(self) -> None:
        worker = Worker()
        backbone = worker.stage("torch_compile", 5.71, source="monitor", **LANGUAGE)
        worker.say(5.71, source="monitor", interval=backbone, **LANGUAGE)
        drafter = {"role": "drafter", "component": "eagle_head"}
        eagle = worker.stage("torch_compile", 0.54, source="monitor", **drafter)
        second = worker.say(6.25, source="monitor", interval=eagle, **drafter)
        timeline = reduce(worker.events)
        parts = causes_of(timeline, second)
        assert {cause for cause, _ in parts} == {"cumulative"}
        assert sum(parts.values()) == pytest.approx(5.71)

    def test_i4_a_monitor_whose_clock_was_set_anew_leaves_its_beginning_out(self) -> None:
        worker = Worker()
        interval = worker.stage("torch_compile", 8, source="monitor", **LANGUAGE)
        claim = worker.say(5, source="monitor", interval=interval, **LANGUAGE)
        assert causes_of(reduce(worker.events), claim) == {("omitted_stage", "torch_compile"): -3}


class TestMatching:
    def test_without_a_name_it_is_the_last_that_nobody_took(self) -> None:
        worker = Worker()
        known: dict[str, Any] = {"source": "monitor", "role": "encoder"}
        worker.stage("torch_compile", 1, **known)
        worker.stage("torch_compile", 2, **known)
        claims = [worker.say(seconds, **known) for seconds in (2, 1, 1)]
        found = {row.claim: row.measured_ns for row in reduce(worker.events).reconciliation}
        assert [found[claim] for claim in claims] == [2 * S, 1 * S, None]

    def test_what_matches_nothing_is_unmatched(self) -> None:
        worker = Worker()
        claim = worker.say(1, source="log", stage="kernel_warmup")
        timeline = reduce(worker.events)
        [row] = timeline.reconciliation
        assert (row.measured_ns, row.difference_ns, row.main_cause) == (None, None, "unmatched")
        assert causes_of(timeline, claim) == {}

    def test_nothing_is_claimed_of_a_role_that_is_not_there(self) -> None:
        worker = Worker()
        claims = [
            worker.say(0, counts=counts, source="engine", role="encoder") for counts in ("total", "ranks")
        ]
        something = worker.say(1, counts="total", source="engine", role="encoder")
        found = {row.claim: (row.measured_ns, row.main_cause) for row in reduce(worker.events).reconciliation}
        assert [found[claim] for claim in claims] == [(0, None), (0, None)]
        assert found[something] == (None, "unmatched")

    def test_a_printed_number_differs_by_its_rounding(self) -> None:
        worker = Worker()
        interval = worker.stage("torch_compile", 16.7731, source="monitor")
        claim = worker.say(16.77, source="monitor", interval=interval, resolution_ns=S // 100)
        assert causes_of(reduce(worker.events), claim) == {("rounding", "torch_compile"): -0.0031}

    def test_what_nothing_explains_is_said(self) -> None:
        worker = Worker()
        interval = worker.stage("torch_compile", 5, source="monitor")
        claim = worker.say(7, source="monitor", interval=interval)
        assert causes_of(reduce(worker.events), claim) == {("unexplained", "torch_compile"): 2}

    def test_torch_adds_up_what_lies_within_one_another(self) -> None:
        worker = Worker()
        outer = worker.open("compile_file", source="torch")
        inner = worker.stage("compile_file", 3, source="torch")
        worker.at += 1
        worker.shut(outer)
        claim = worker.say(7, source="torch", stage="compile_file", data={"intervals": [outer, inner]})
        assert causes_of(reduce(worker.events), claim) == {("double_counted", "compile_file"): 3}


PLANTED = ("omitted", "twice", "failed", "drafter", "late")


@given(st.lists(st.tuples(st.sampled_from(["plain", *PLANTED]), st.integers(1, 50)), max_size=12))
def test_causes_that_are_planted_are_found_again(plan: Sequence[tuple[str, int]]) -> None:
    worker = Worker()
    part = {"role": "language_model"}
    expected: dict[str, int] = {}
    added = 0

    def add(interval: int, seconds: int, **known: Any) -> None:
        nonlocal added
        added += seconds
        worker.say(seconds, counts="addition", interval=interval, source="monitor", **{**part, **known})

    # What is late comes last: the engine is ready only once.
    for what, seconds in sorted(plan, key=lambda planted: planted[0] == "late"):
        worker.at += 1
        if what == "late" and "late" not in expected:
            worker.milestone(ns(worker.at), "engine_ready")
        if what == "drafter":
            drafter = worker.stage("torch_compile", seconds, source="monitor", role="drafter")
            add(drafter, seconds, data={"accumulator": "all"})
        elif what == "failed":
            worker.stage("torch_compile", seconds, "failed", source="monitor", **part)
        else:
            interval = worker.stage("torch_compile", seconds, source="monitor", **part)
            if what in ("plain", "twice"):
                add(interval, seconds)
            if what == "twice":
                add(interval, seconds)
        cause = {
            "omitted": ("omitted_stage", -seconds), "twice": ("double_counted", seconds),
            "failed": ("lost_on_failure", -seconds), "drafter": ("role_lumping", seconds),
            "late": ("late", -seconds),
        }.get(what)  # fmt: skip
        if cause is not None:
            expected[cause[0]] = expected.get(cause[0], 0) + cause[1]
    total = worker.say(added, counts="total", source="monitor", role="language_model")
    if not any(what not in ("drafter",) for what, _ in plan):
        return
    timeline = reduce(worker.events)
    found = {cause: seconds for (cause, _), seconds in causes_of(timeline, total).items()}
    if added == 0:
        # One who adds nothing reports nothing, whatever else there was.
        failed = {"lost_on_failure": expected["lost_on_failure"]} if "lost_on_failure" in expected else {}
        rest = sum(expected.values()) - sum(failed.values())
        expected = {**failed, **({"not_reported": rest} if rest else {})}
    assert found == pytest.approx(expected)


@given(st.data())
def test_the_parts_add_up_and_do_not_depend_on_the_order_of_events(data: st.DataObject) -> None:
    worker = Worker()
    ids = []
    for _ in range(data.draw(st.integers(1, 6))):
        ids.append(worker.stage("torch_compile", data.draw(st.integers(1, 9)), source="monitor"))
    claims = [
        worker.say(
            data.draw(st.integers(0, 30)),
            counts=data.draw(st.sampled_from(["interval", "addition", "total", "ranks"])),
            source=data.draw(st.sampled_from(["monitor", "torch", "engine"])),
            interval=data.draw(st.sampled_from([None, *ids])),
        )
        for _ in range(data.draw(st.integers(0, 6)))
    ]
    timeline = reduce(worker.events)
    for claim in claims:
        causes_of(timeline, claim)
    shuffled: list[Event] = data.draw(st.permutations(worker.events))
    assert reduce(shuffled) == timeline
