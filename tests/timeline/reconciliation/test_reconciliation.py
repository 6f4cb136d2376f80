"""Claims against intervals: golden sessions, each with the causes that its construction put in.

Most are cases of vLLM's that were seen (the numbers in their names are those of the list in the comments of
the adapter's tests). A cause comes with its stage, its nanoseconds and the intervals that show it.
"""

from pathlib import Path
from typing import Any

import pytest

from ledger import Ledger, Recorder, reduce
from ledger.testing import FakeClock
from tests.support.reconciled import CENT, DRAFTER, ENCODER, LANGUAGE, S, Worker, merged, ns, parts_of


def compile_of(worker: Worker, part: dict[str, Any], *, adds: str, accumulator: str) -> dict[str, int]:
    """A cold compile: Dynamo, a split, one graph, a save; added up by the backend or the monitor."""
    known = {"source": "backend", **part}
    found = {"compile": worker.open("torch_compile", source="monitor", **part)}
    for name, stage, seconds in (
        ("dynamo", "dynamo", 2), ("split", "graph_split", 0.5),
        ("graph", "graph_compile", 7.18), ("save", "aot_save", 2.3),
    ):  # fmt: skip
        found[name] = worker.stage(stage, seconds, **known)
        if adds == "backend" and name in ("dynamo", "graph"):
            worker.add(seconds, found[name], accumulator, **known)
    worker.shut(found["compile"])
    if adds == "monitor":
        worker.add(11.98, found["compile"], accumulator, **part)
    return found


class TestTheSeedCase:
    """The monitor said 11.98 s where the engine said 9.18 s, and the encoder was added twice."""

    def engine(self, worker: Worker, seconds: float, role: str, accumulator: str) -> int:
        return worker.say(
            seconds, counts="ranks", source="engine", role=role, resolution_ns=CENT,
            data={"accumulator": accumulator}, text=f"init engine took … (compilation: {seconds} s)",
        )  # fmt: skip

    def test_what_the_backend_left_out_is_named_with_its_seconds(self) -> None:
        worker = Worker()
        found = compile_of(worker, LANGUAGE, adds="backend", accumulator="compilation_time")
        monitor = worker.say(11.98, source="monitor", interval=found["compile"], resolution_ns=CENT)
        engine = self.engine(worker, 9.18, "language_model", "compilation_time")
        timeline = reduce(worker.events)
        assert parts_of(timeline, monitor) == {}
        assert parts_of(timeline, engine) == {
            ("omitted_stage", "graph_split"): (ns(-0.5), [found["split"]]),
            ("omitted_stage", "aot_save"): (ns(-2.3), [found["save"]]),
        }

    def test_an_encoder_that_is_added_twice_is_counted_twice(self) -> None:
        worker = Worker()
        found = compile_of(worker, ENCODER, adds="monitor", accumulator="encoder_compilation_time")
        # Once more after the compile, by a backend that kept the old body.
        worker.add(11.98, found["compile"], "encoder_compilation_time", **{**ENCODER, "source": "backend"})
        engine = self.engine(worker, 23.96, "encoder", "encoder_compilation_time")
        assert parts_of(reduce(worker.events), engine) == {
            ("double_counted", "torch_compile"): (ns(11.98), [found["compile"]])
        }

    def test_after_the_fix_there_is_no_difference(self) -> None:
        worker = Worker()
        compile_of(worker, ENCODER, adds="monitor", accumulator="encoder_compilation_time")
        compile_of(worker, LANGUAGE, adds="monitor", accumulator="compilation_time")
        encoder = self.engine(worker, 11.98, "encoder", "encoder_compilation_time")
        language = self.engine(worker, 11.98, "language_model", "compilation_time")
        timeline = reduce(worker.events)
        assert parts_of(timeline, encoder) == {}
        assert parts_of(timeline, language) == {}


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
            11.98, source="monitor", interval=compiling.interval, resolution_ns=CENT,
            text="torch.compile took 11.98 s in total", **part,
        )  # fmt: skip
        recorder.claim(
            9.18, source="engine", counts="ranks", role="language_model", resolution_ns=CENT,
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
    @pytest.fixture
    def ranges(self) -> tuple[Worker, dict[str, list[int]], dict[str, int], int]:
        """Three graphs, each for two ranges, which vLLM has one clock for."""
        worker = Worker()
        backend = worker.open("backend_compile", source="backend", **LANGUAGE)
        graphs: dict[str, list[int]] = {"small": [], "large": []}
        lines: dict[str, int] = {}
        for index in range(3):
            for name in graphs:
                graphs[name].append(worker.stage("graph_compile", 4, source="backend", **LANGUAGE))
                if index == 2:
                    # The clock was set last at 4 s, for the first graph of the large range.
                    said: dict[str, Any] = {"data": {"range": name, "intervals": graphs[name]}, **LANGUAGE}
                    lines[name] = worker.say(worker.at - 4, source="backend", stage="graph_compile", **said)
                    worker.say(worker.at - 4, source="backend", counts="addition", **said)
        worker.shut(backend)
        total = worker.say(36, counts="total", source="backend", role="language_model")
        return worker, graphs, lines, total

    def test_i1_lines_of_ranges_overlap(
        self, ranges: tuple[Worker, dict[str, list[int]], dict[str, int], int]
    ) -> None:
        worker, graphs, lines, _ = ranges
        timeline = reduce(worker.events)
        # 16 s for 12, and 20 s for 12: 36 s of 24.
        assert parts_of(timeline, lines["small"]) == {
            ("omitted_stage", "graph_compile"): (-4 * S, graphs["small"][:1]),
            ("overlapping_ranges", "graph_compile"): (8 * S, graphs["large"][:2]),
        }
        assert parts_of(timeline, lines["large"]) == {
            ("overlapping_ranges", "graph_compile"): (8 * S, graphs["small"][1:])
        }

    def test_i1_and_so_does_what_is_added_up(
        self, ranges: tuple[Worker, dict[str, list[int]], dict[str, int], int]
    ) -> None:
        worker, graphs, _, total = ranges
        first, *others = sorted(graphs["small"] + graphs["large"])
        assert parts_of(reduce(worker.events), total) == {
            ("omitted_stage", "graph_compile"): (-4 * S, [first]),
            ("overlapping_ranges", "graph_compile"): (16 * S, others[:-1]),
        }

    def test_i1_the_clock_runs_on_between_the_graphs(self) -> None:
        worker = Worker()
        graphs: dict[str, list[int]] = {"small": [], "large": []}
        worker.at = 10
        for name in ("small", "large", "small"):
            graphs[name].append(worker.stage("graph_compile", 4, source="backend", **LANGUAGE))
            worker.at += 1
        known: dict[str, Any] = {"source": "backend", "stage": "graph_compile"}
        worker.say(4, data={"range": "large", "intervals": graphs["large"]}, **known)
        worker.at -= 1
        small = worker.say(14, data={"range": "small", "intervals": graphs["small"]}, **known)
        assert parts_of(reduce(worker.events), small) == {
            ("overlapping_ranges", "graph_compile"): (6 * S, graphs["large"])
        }

    def test_i2_dynamo_is_deserialisation_on_a_warm_load(self) -> None:
        worker = Worker()
        load = worker.stage("aot_load", 2, source="backend", **LANGUAGE)
        text = "Dynamo bytecode transform time: 2.00 s"
        known = worker.say(2, source="backend", stage="aot_load", interval=load, text=text)
        # Without a word of what it is, it is not held against what it is not.
        unknown = worker.say(2, source="backend", stage="dynamo", text=text)
        timeline = reduce(worker.events)
        assert parts_of(timeline, known) == parts_of(timeline, unknown) == {}
        found = {row.claim: (row.measured_ns, row.main_cause) for row in timeline.reconciliation}
        assert found == {known: (2 * S, None), unknown: (None, "unmatched")}

    def test_i3_a_load_that_failed_is_lost(self) -> None:
        worker = Worker()
        failed = worker.open("torch_compile", source="monitor", **LANGUAGE)
        worker.stage("aot_load", 3, outcome="failed", source="backend", **LANGUAGE)
        worker.shut(failed, "failed")
        worker.compile(10, **LANGUAGE)
        total = worker.say(10, counts="total", source="monitor", role="language_model")
        engine = worker.say(10, counts="ranks", source="engine", role="language_model", resolution_ns=CENT)
        timeline = reduce(worker.events)
        lost = {("lost_on_failure", "torch_compile"): (-3 * S, [failed])}
        assert parts_of(timeline, total) == parts_of(timeline, engine) == lost

    def test_i4_a_monitor_whose_clock_was_set_anew_leaves_its_beginning_out(self) -> None:
        worker = Worker()
        outer = worker.open("torch_compile", source="monitor", **LANGUAGE)
        worker.at = 3
        inner = worker.compile(2, **LANGUAGE)
        worker.at = 8
        worker.shut(outer)
        worker.add(5, outer, **LANGUAGE)
        line = worker.say(5, source="monitor", interval=outer, **LANGUAGE)
        total = worker.say(7, counts="total", source="monitor", role="language_model")
        timeline = reduce(worker.events)
        begun_anew = {("omitted_stage", "torch_compile"): (-3 * S, [outer])}
        assert parts_of(timeline, line) == begun_anew
        twice = {("double_counted", "torch_compile"): (2 * S, [inner])}
        assert parts_of(timeline, total) == {**begun_anew, **twice}

    def test_i5_what_includes_a_first_run_is_held_against_an_interval_that_does(self) -> None:
        worker = Worker()
        together = worker.open("torch_compile", source="monitor", **LANGUAGE)
        worker.stage("dynamo", 4, source="backend", **LANGUAGE)
        worker.stage("first_run", 2, source="monitor", **LANGUAGE)
        worker.shut(together)
        worker.add(6, together, **LANGUAGE)
        text = "torch.compile and initial profiling/warmup run together took 6.00 s in total"
        line = worker.say(6, source="monitor", interval=together, text=text, resolution_ns=CENT)
        total = worker.say(6, counts="total", source="monitor", role="language_model")
        timeline = reduce(worker.events)
        assert parts_of(timeline, line) == parts_of(timeline, total) == {}

    def test_i6_a_drafter_is_lumped_into_the_language_model(self) -> None:
        worker = Worker()
        backbone = worker.compile(10, added=False, **LANGUAGE)
        worker.add(10, backbone, "compilation_time", **LANGUAGE)
        eagle = worker.compile(3, added=False, **DRAFTER)
        worker.add(3, eagle, "compilation_time", **DRAFTER)
        total = worker.say(
            13,
            counts="total",
            source="monitor",
            role="language_model",
            data={"accumulator": "compilation_time"},
        )
        of_both = worker.say(13, counts="total", source="monitor")
        timeline = reduce(worker.events)
        assert parts_of(timeline, total) == {("role_lumping", "torch_compile"): (3 * S, [eagle])}
        assert parts_of(timeline, of_both) == {}

    def test_i7_two_equal_lines_are_of_two_captures(self) -> None:
        worker = Worker()
        claims: list[int] = []
        for seconds in (3, 3):
            worker.stage("graph_capture", seconds, source="engine")
            text = "Graph capturing finished in 3 secs, took 0.10 GiB"
            claims.append(worker.say(3, source="engine", stage="graph_capture", text=text, resolution_ns=S))
            worker.at += 5
        timeline = reduce(worker.events)
        assert [parts_of(timeline, claim) for claim in claims] == [{}, {}]
        assert [row.measured_ns for row in timeline.reconciliation] == [3 * S, 3 * S]

    def test_i9_and_i13_who_reports_nothing(self) -> None:
        worker = Worker()
        compiled = worker.open("torch_compile", source="monitor", **LANGUAGE)
        dynamo = worker.stage("dynamo", 10, source="backend", **LANGUAGE)
        worker.at += 20
        worker.shut(compiled)
        nothing = worker.add(0, compiled, **LANGUAGE)
        front_end = Worker("front end")
        front_end.at = worker.at
        held = front_end.say(0, counts="ranks", source="engine", role="language_model")
        timeline = reduce(merged(worker, front_end))
        assert parts_of(timeline, nothing) == {
            ("not_reported", "dynamo"): (-10 * S, [dynamo]),
            ("not_reported", "torch_compile"): (-20 * S, [compiled]),
        }
        assert parts_of(timeline, held, "front end") == {
            ("not_reported", "dynamo"): (-10 * S, [("worker", dynamo)]),
            ("not_reported", "torch_compile"): (-20 * S, [("worker", compiled)]),
        }

    @pytest.mark.parametrize("is_added", [False, True], ids=["and added by nobody", "and added too late"])
    def test_i10_a_compile_after_the_start_is_late(self, is_added: bool) -> None:
        worker, engine = Worker(), Worker("engine")
        worker.compile(10, **LANGUAGE)
        engine.at = 11
        line = engine.say(10, counts="ranks", source="engine", role="language_model")
        engine.milestone(ns(12), "engine_ready")
        worker.at = 60
        late = worker.open("torch_compile", source="monitor", **LANGUAGE)
        worker.stage("dynamo", 4, source="backend", **LANGUAGE)
        worker.shut(late)
        if is_added:
            worker.add(4, late, **LANGUAGE)
        timeline = reduce(merged(worker, engine))
        assert parts_of(timeline, line, "engine") == {("late", "torch_compile"): (-4 * S, [("worker", late)])}

    def test_i10_a_compile_that_goes_on_while_the_engine_gets_ready_is_late_from_then_on(self) -> None:
        worker = Worker()
        worker.compile(10, **LANGUAGE)
        line = worker.say(10, counts="ranks", source="engine", role="language_model")
        worker.milestone(ns(12), "engine_ready")
        worker.at = 11
        half = worker.compile(4, **LANGUAGE)
        assert parts_of(reduce(worker.events), line) == {
            ("omitted_stage", "torch_compile"): (-1 * S, [half]),
            ("late", "torch_compile"): (-3 * S, [half]),
        }

    @pytest.mark.parametrize("is_added", [False, True], ids=["of nothing", "only of what is late"])
    def test_i10_nobody_need_know_what_was_added_to_see_what_is_late(self, is_added: bool) -> None:
        worker = Worker()
        worker.compile(10, added=False, **LANGUAGE)
        line = worker.say(10, counts="ranks", source="engine", role="language_model")
        worker.milestone(ns(worker.at), "engine_ready")
        late = worker.compile(4, added=is_added, **LANGUAGE)
        assert parts_of(reduce(worker.events), line) == {("late", "torch_compile"): (-4 * S, [late])}

    def test_i10_each_engine_is_ready_in_its_own_time(self) -> None:
        worker, engine, other = Worker(), Worker("engine"), Worker("other")
        worker.compile(10, **LANGUAGE)
        engine.at = 10
        line = engine.say(10, counts="ranks", source="engine", role="language_model")
        other.milestone(ns(11), "engine_ready")
        engine.milestone(ns(20), "engine_ready")
        worker.at = 12
        omitted = worker.compile(4, **LANGUAGE)
        assert parts_of(reduce(merged(worker, engine, other)), line, "engine") == {
            ("omitted_stage", "torch_compile"): (-4 * S, [("worker", omitted)])
        }

    def test_i10_nobody_knows_what_is_late_on_another_host(self) -> None:
        worker, engine = Worker(host="far away"), Worker("engine")
        worker.compile(10, **LANGUAGE)
        line = engine.say(10, counts="ranks", source="engine", role="language_model")
        engine.milestone(ns(0.1), "engine_ready")
        late = worker.compile(4, added=False, **LANGUAGE)
        timeline = reduce(merged(worker, engine))
        assert parts_of(timeline, line, "engine") == {
            ("omitted_stage", "torch_compile"): (-4 * S, [("worker", late)])
        }

    def test_i11_a_part_that_is_not_inside_its_whole(self) -> None:
        worker = Worker()
        worker.compile(4, **ENCODER)
        engine = worker.open("engine_init", source="engine")
        worker.compile(6, **LANGUAGE)
        worker.at += 10
        worker.shut(engine)
        text = "init engine took 16.00 s (compilation: 10.00 s — language_model: 6.00 s, encoder: 4.00 s)"
        worker.say(16, source="engine", stage="engine_init", interval=engine, text=text)
        both, language, encoder = (
            worker.say(seconds, counts="ranks", source="engine", role=role, text=text, resolution_ns=CENT)
            for seconds, role in ((10, None), (6, "language_model"), (4, "encoder"))
        )
        timeline = reduce(worker.events)
        assert [parts_of(timeline, claim) for claim in (both, language, encoder)] == [{}, {}, {}]
        assert [(odd.what, odd.process, odd.claim, odd.ns) for odd in timeline.anomalies] == [
            ("outside_parent", "worker", both, 4 * S),
            ("outside_parent", "worker", encoder, 4 * S),
        ]

    @staticmethod
    def start_after_encoders(*ranks: tuple[float, float], claimed: float) -> list[tuple[str, int | None]]:
        """The anomalies of a start whose ranks compile their encoders before and within; in seconds."""
        workers = [Worker(f"rank{number}") for number in range(len(ranks))]
        for worker, (before, within) in zip(workers, ranks, strict=True):
            worker.at = 100 - before
            for seconds in (before, within):
                if seconds:
                    worker.compile(seconds, **ENCODER)
        engine = Worker("engine")
        engine.at = 100
        whole = engine.stage("engine_init", 20, source="engine")
        text = f"init engine took 20.00 s (compilation: {claimed:.2f} s)"
        engine.say(20, source="engine", stage="engine_init", interval=whole, text=text)
        engine.say(claimed, counts="ranks", source="engine", role="encoder", text=text, resolution_ns=CENT)
        return [(odd.what, odd.ns) for odd in reduce(merged(*workers, engine)).anomalies]

    def test_i11_of_the_ranks_it_is_one_that_has_as_much(self) -> None:
        found = self.start_after_encoders((4, 0), (0, 1), claimed=4)
        assert found == [("outside_parent", 4 * S)]

    def test_i11_what_is_outside_is_no_more_than_what_is_claimed(self) -> None:
        assert self.start_after_encoders((4, 3), claimed=5) == [("outside_parent", 2 * S)]

    def test_i11_a_part_that_is_counted_twice_is_outside_once(self) -> None:
        assert self.start_after_encoders((4, 0), claimed=8) == [("outside_parent", 4 * S)]

    def test_i11_what_is_within_the_rounding_is_inside(self) -> None:
        assert self.start_after_encoders((0.0051, 4), claimed=4.01) == []

    def test_i14_loads_are_added_to_a_compile(self) -> None:
        worker = Worker()
        last = 0
        for seconds, stage in ((10, "aot_compile"), (1, "aot_load"), (1, "aot_load")):
            interval = worker.open("torch_compile", source="monitor", **ENCODER)
            worker.stage(stage, seconds, source="backend", **ENCODER)
            worker.shut(interval)
            last = worker.add(seconds, interval, **ENCODER)
        total = worker.say(12, counts="total", source="monitor", role="encoder")
        timeline = reduce(worker.events)
        assert parts_of(timeline, total) == {}
        assert [(odd.what, odd.process, odd.claim, odd.ns) for odd in timeline.anomalies] == [
            ("repeated_load", "worker", last, 2 * S)
        ]


class TestTwoEngines:
    TEXT = "init engine took 20.00 s (compilation: 10.00 s)"

    def engine(self, worker: Worker, compiler: Worker, seconds: float) -> int:
        """One engine after the other, its line with the compile time that is inside."""
        worker.at = compiler.at = max(worker.at, compiler.at) + 1
        engine = worker.open("engine_init", source="engine")
        compiler.compile(seconds, **LANGUAGE)
        worker.at = compiler.at + 5
        worker.shut(engine)
        worker.say(seconds + 5, source="engine", stage="engine_init", interval=engine, text=self.TEXT)
        return worker.say(seconds, counts="ranks", source="engine", role="language_model", text=self.TEXT)

    def test_in_one_process_each_ones_compile_is_in_its_own_start(self) -> None:
        worker = Worker()
        self.engine(worker, worker, 14)
        self.engine(worker, worker, 10)
        assert reduce(worker.events).anomalies == ()

    def test_in_two_processes_as_well(self) -> None:
        workers = [Worker("rank0"), Worker("rank1")]
        engines = [Worker("engine0"), Worker("engine1")]
        for engine, worker, seconds in zip(engines, workers, (14, 10), strict=True):
            engine.at = 30.0 * engines.index(engine)
            self.engine(engine, worker, seconds)
        assert reduce(merged(*workers, *engines)).anomalies == ()

    def test_what_the_second_one_compiles_is_late_for_the_first(self) -> None:
        worker = Worker()
        first = self.engine(worker, worker, 14)
        worker.milestone(ns(worker.at), "engine_ready")
        self.engine(worker, worker, 10)
        worker.milestone(ns(worker.at), "engine_ready")
        second = max(i.interval for i in reduce(worker.events).intervals if i.stage == "torch_compile")
        assert parts_of(reduce(worker.events), first) == {("late", "torch_compile"): (-10 * S, [second])}

    def test_what_the_second_one_leaves_out_is_not_late(self) -> None:
        worker = Worker()
        worker.compile(14, **LANGUAGE)
        worker.milestone(ns(worker.at), "engine_ready")
        worker.compile(10, **LANGUAGE)
        omitted = worker.compile(2, added=False, **LANGUAGE)
        second = worker.say(24, counts="ranks", source="engine", role="language_model")
        worker.milestone(ns(worker.at), "engine_ready")
        assert parts_of(reduce(worker.events), second) == {
            ("omitted_stage", "torch_compile"): (-2 * S, [omitted])
        }
