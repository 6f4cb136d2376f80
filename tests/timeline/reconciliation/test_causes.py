"""What a claim is held against, and each cause on its own: when it holds, and before which others."""

from typing import Any, get_args

import pytest

from ledger import reduce
from ledger.timeline.reconciliation.causes import OF_EXCESS, OF_REMAINDERS, OF_SHORTFALL
from ledger.vocabulary import CAUSES, CauseName
from tests.support.cause_examples import EXAMPLES
from tests.support.reconciled import CENT, DRAFTER, ENCODER, LANGUAGE, MS, S, Worker, merged, ns, parts_of


@pytest.mark.parametrize("cause", get_args(CauseName))
def test_each_cause_has_a_description_and_a_session_that_raises_it(
    cause: CauseName,
) -> None:
    [example] = (make() for make in EXAMPLES if make.__name__ == cause)
    timeline = reduce(example.events)
    [row] = (
        one for one in timeline.reconciliation if (one.process, one.claim) == (example.process, example.claim)
    )
    assert row.main_cause == cause
    assert CAUSES[cause].endswith(".")


def test_every_cause_is_in_order_and_every_rule_has_one() -> None:
    assert tuple(CAUSES) == get_args(CauseName)
    called_by_name = {"cumulative", "clock", "unexplained"}
    with_rule = [cause for cause, _ in (*OF_EXCESS, *OF_SHORTFALL, *OF_REMAINDERS)]
    assert with_rule == [cause for cause in CAUSES if cause not in called_by_name]


class TestCumulative:
    """The lines of older versions: 5.71 s for the backbone, and then 6.25 s for the drafter."""

    def test_the_second_number_includes_the_first(self) -> None:
        worker = Worker()
        backbone = worker.compile(5.71, added=False, **LANGUAGE)
        worker.say(5.71, source="monitor", interval=backbone, **LANGUAGE)
        worker.at += 30  # the first run, which is in no sum
        eagle = worker.compile(0.54, added=False, **DRAFTER)
        second = worker.say(6.25, source="monitor", interval=eagle, **DRAFTER)
        worker.at += 30
        third = worker.compile(1, added=False, **DRAFTER)
        last = worker.say(7.25, source="monitor", interval=third, **DRAFTER)
        timeline = reduce(worker.events)
        assert parts_of(timeline, second) == {("cumulative", "torch_compile"): (ns(5.71), [backbone])}
        assert parts_of(timeline, last) == {("cumulative", "torch_compile"): (ns(6.25), [eagle])}

    def test_each_role_may_have_a_sum_of_its_own(self) -> None:
        worker = Worker()
        said: dict[str, int] = {}
        for name, part, seconds, claimed in (
            ("first", LANGUAGE, 5, 5), ("encoder", ENCODER, 3, 3), ("second", LANGUAGE, 2, 7),
        ):  # fmt: skip
            said[f"{name} compile"] = worker.compile(seconds, added=False, **part)
            said[name] = worker.say(claimed, source="monitor", interval=said[f"{name} compile"], **part)
            worker.at += 1
        assert parts_of(reduce(worker.events), said["second"]) == {
            ("cumulative", "torch_compile"): (5 * S, [said["first compile"]])
        }

    def test_two_numbers_are_rounded(self) -> None:
        worker = Worker()
        backbone = worker.compile(5.7142, added=False, **LANGUAGE)
        worker.say(5.71, source="monitor", interval=backbone, resolution_ns=CENT)
        eagle = worker.compile(0.5439, added=False, **DRAFTER)
        second = worker.say(6.26, source="monitor", interval=eagle, resolution_ns=CENT)
        assert parts_of(reduce(worker.events), second) == {
            ("cumulative", "torch_compile"): (ns(5.71), [backbone]),
            ("rounding", "torch_compile"): (ns(6.26 - 0.5439 - 5.71), [eagle]),
        }

    def test_a_number_that_is_too_large_by_something_else_includes_nothing(self) -> None:
        worker = Worker()
        backbone = worker.compile(5, added=False, **LANGUAGE)
        worker.say(5, source="monitor", interval=backbone, **LANGUAGE)
        eagle = worker.compile(1, added=False, **DRAFTER)
        second = worker.say(5, source="monitor", interval=eagle, **DRAFTER)
        assert parts_of(reduce(worker.events), second) == {("unexplained", "torch_compile"): (4 * S, [eagle])}

    def test_what_is_said_twice_of_one_compile_is_no_sum(self) -> None:
        worker = Worker()
        backbone = worker.compile(5, added=False, **LANGUAGE)
        eagle = worker.stage("torch_compile", 1, source="monitor", **DRAFTER)
        worker.say(5, source="monitor", interval=backbone)
        again = worker.say(10, source="monitor", interval=backbone)
        worker.say(1, source="monitor", interval=eagle)
        timeline = reduce(worker.events)
        assert parts_of(timeline, again) == {("unexplained", "torch_compile"): (5 * S, [backbone])}

    def test_a_line_that_is_printed_twice_does_not_hide_the_number_before(self) -> None:
        worker = Worker()
        backbone = worker.compile(5, added=False, **LANGUAGE)
        worker.say(5, source="monitor", interval=backbone)
        eagle = worker.stage("torch_compile", 1, source="monitor", **DRAFTER)
        claims = [worker.say(6, source="monitor", interval=eagle) for _ in range(2)]
        timeline = reduce(worker.events)
        for claim in claims:
            assert parts_of(timeline, claim) == {("cumulative", "torch_compile"): (5 * S, [backbone])}

    def test_a_sum_of_several_accumulators_finds_it_in_each(self) -> None:
        worker = Worker()
        first = worker.compile(5, **LANGUAGE)
        worker.compile(3, **ENCODER)
        second = worker.compile(2, added=False, **LANGUAGE)
        worker.add(7, second, **LANGUAGE)
        total = worker.say(15, counts="total", source="monitor")
        assert parts_of(reduce(worker.events), total) == {("cumulative", "torch_compile"): (5 * S, [first])}

    def test_a_clock_that_was_not_set_anew_counts_the_number_before_once_more(self) -> None:
        worker = Worker()
        compiling = worker.open("torch_compile", source="monitor", **LANGUAGE)
        dynamo = worker.stage("dynamo", 2, source="backend", **LANGUAGE)
        worker.add(2, dynamo, **LANGUAGE)
        worker.at += 0.5
        graph = worker.stage("graph_compile", 3, source="backend", **LANGUAGE)
        worker.shut(compiling)
        worker.add(5.5, graph, **LANGUAGE)
        total = worker.say(7.5, counts="total", source="backend", role="language_model")
        assert parts_of(reduce(worker.events), total) == {("cumulative", "dynamo"): (2 * S, [dynamo])}

    def test_twice_as_much_of_one_compile_is_no_sum(self) -> None:
        worker = Worker()
        backbone = worker.compile(5, **LANGUAGE)
        worker.add(10, backbone, **LANGUAGE)
        total = worker.say(15, counts="total", source="monitor", role="language_model")
        assert parts_of(reduce(worker.events), total) == {
            ("double_counted", "torch_compile"): (5 * S, [backbone]),
            ("unexplained", "torch_compile"): (5 * S, [backbone]),
        }

    def test_hundreds_of_numbers_in_one_sum(self) -> None:
        worker = Worker()
        compiles = []
        for number in range(300):
            compiles.append(worker.compile(1, added=False, **LANGUAGE))
            last = worker.say(number + 1, source="monitor", interval=compiles[-1])
        assert parts_of(reduce(worker.events), last) == {
            ("cumulative", "torch_compile"): (299 * S, [compiles[-2]])
        }


class TestRanks:
    """I8: the engine takes the maximum over its ranks for each role apart; their sum may be no rank's."""

    @staticmethod
    def start(
        *ranks: tuple[float, float], said: float, adds: bool = True, **known: Any
    ) -> tuple[list[Worker], int, dict[tuple[int, str], int]]:
        """A start of some ranks, each with the seconds of its encoder and of its language model."""
        workers = [Worker(f"rank{number}") for number in range(len(ranks))]
        intervals: dict[tuple[int, str], int] = {}
        for number, (encoder, language) in enumerate(ranks):
            intervals[number, "encoder"] = workers[number].compile(encoder, added=adds, **ENCODER)
            intervals[number, "language"] = workers[number].compile(language, added=adds, **LANGUAGE)
        workers[0].at = max(worker.at for worker in workers)
        return workers, workers[0].say(said, counts="ranks", source="engine", **known), intervals

    @pytest.mark.parametrize("adds", [True, False], ids=["added up", "of which nothing else is known"])
    def test_two_maxima_are_of_two_ranks(self, adds: bool) -> None:
        workers, engine, ids = self.start((5, 10), (3, 14), said=19, adds=adds)
        # The slowest rank has 17 s.
        assert parts_of(reduce(merged(*workers)), engine, "rank0") == {
            ("mixed_ranks", "torch_compile"): (2 * S, [ids[0, "encoder"], ("rank1", ids[1, "language"])])
        }

    def test_two_maxima_of_one_rank_are_its_sum(self) -> None:
        workers, engine, _ = self.start((3, 10), (5, 14), said=19)
        assert parts_of(reduce(merged(*workers)), engine, "rank0") == {}

    def test_of_two_ranks_with_equal_maxima_one_is_enough(self) -> None:
        workers, engine, _ = self.start((5, 10), (5, 14), said=19)
        assert parts_of(reduce(merged(*workers)), engine, "rank0") == {}

    def test_of_three_ranks_the_slowest_may_have_no_maximum(self) -> None:
        workers, engine, ids = self.start((9, 1), (1, 9), (7, 7), said=18)
        assert parts_of(reduce(merged(*workers)), engine, "rank0") == {
            ("mixed_ranks", "torch_compile"): (4 * S, [ids[0, "encoder"], ("rank1", ids[1, "language"])])
        }

    def test_the_rest_is_rounding(self) -> None:
        workers, engine, ids = self.start((5.0042, 10), (3, 14), said=19, resolution_ns=CENT)
        assert parts_of(reduce(merged(*workers)), engine, "rank0") == {
            ("mixed_ranks", "torch_compile"): (
                ns(2.0042), [ids[0, "encoder"], ("rank1", ids[1, "language"])],
            ),
            ("rounding", "torch_compile"): (
                ns(-0.0042), [("rank1", ids[1, "encoder"]), ("rank1", ids[1, "language"])],
            ),
        }  # fmt: skip

    def test_who_takes_the_slowest_rank_mixes_nothing(self) -> None:
        workers, engine, _ = self.start((5, 10), (3, 14), said=17)
        assert parts_of(reduce(merged(*workers)), engine, "rank0") == {}

    def test_what_is_within_the_rounding_is_one_ranks(self) -> None:
        workers, engine, ids = self.start((3.002, 10), (3, 14), said=17.002, resolution_ns=CENT)
        assert parts_of(reduce(merged(*workers)), engine, "rank0") == {
            ("rounding", "torch_compile"): (
                2 * MS, [("rank1", ids[1, "encoder"]), ("rank1", ids[1, "language"])],
            )
        }  # fmt: skip

    def test_more_than_the_maxima_is_unexplained(self) -> None:
        workers, engine, _ = self.start((5, 10), (3, 14), said=20)
        parts = parts_of(reduce(merged(*workers)), engine, "rank0")
        assert {cause: share for (cause, _), (share, _) in parts.items()} == {
            "mixed_ranks": 2 * S, "unexplained": 1 * S,
        }  # fmt: skip

    def test_a_drafter_is_in_the_language_models_accumulator(self) -> None:
        workers = [Worker("rank0"), Worker("rank1")]
        for worker, language, drafter in zip(workers, (10, 12), (5, 4), strict=True):
            for seconds, part in ((language, LANGUAGE), (drafter, DRAFTER)):
                interval = worker.compile(seconds, added=False, **part)
                worker.add(seconds, interval, "compilation_time", **part)
        workers[0].at = workers[1].at
        engine = workers[0].say(16, counts="ranks", source="engine")
        # 12 + 5 would be of two ranks, but the two were never taken apart.
        assert parts_of(reduce(merged(*workers)), engine, "rank0") == {}

    def test_of_equal_maxima_the_slowest_ranks_shows_it(self) -> None:
        workers = [Worker("rank0"), Worker("rank1")]
        encoders = [worker.compile(3, **ENCODER) for worker in workers]
        fastest = workers[0].compile(10, **LANGUAGE)
        workers[1].compile(8, **LANGUAGE)
        workers[1].compile(5, added=False, **LANGUAGE)
        engine = Worker("engine")
        engine.at = 20
        line = engine.say(13, counts="ranks", source="engine")
        parts = parts_of(reduce(merged(*workers, engine)), line, "engine")
        assert parts["mixed_ranks", "torch_compile"] == (2 * S, [("rank1", encoders[1]), ("rank0", fastest)])

    def test_the_rank_that_added_most_need_not_be_the_slowest(self) -> None:
        workers = [Worker("rank0"), Worker("rank1")]
        added = [
            worker.compile(seconds, **LANGUAGE) for worker, seconds in zip(workers, (10, 8), strict=True)
        ]
        omitted = workers[1].compile(5, added=False, **LANGUAGE)
        workers[0].at = workers[1].at
        engine = workers[0].say(10, counts="ranks", source="engine", role="language_model")
        assert parts_of(reduce(merged(*workers)), engine, "rank0") == {
            ("omitted_stage", "torch_compile"): (-5 * S, [("rank1", omitted)]),
            ("mixed_ranks", "torch_compile"): (2 * S, [added[0]]),
        }


class TestTheWallClock:
    """I12: the engine's own line is timed by `time.time()`, which may be set while it runs."""

    @staticmethod
    def start(claimed: float, *steps: tuple[float, str | None], **known: Any) -> tuple[Worker, int, int]:
        """An engine's start from 10 s to 30 s; `steps` are moments at which the recorder noted a gap."""
        worker = Worker()
        worker.at = 10
        engine = worker.stage("engine_init", 20, source="engine")
        for at, detail in steps:
            worker.gap(ns(at), "clock_stepped", detail=detail)
        worker.at = 31
        known = {"data": {"clock": "wall"}, "resolution_ns": CENT, **known}
        return (
            worker,
            engine,
            worker.say(claimed, source="engine", stage="engine_init", interval=engine, **known),
        )

    @pytest.mark.parametrize(("claimed", "step"), [(3_620, 3_600), (-3_580, -3_600), (18, -2)])
    def test_a_step_of_it_is_in_the_number(self, claimed: float, step: int) -> None:
        worker, engine, claim = self.start(claimed, (20, f"{step * S:+} ns"))
        assert parts_of(reduce(worker.events), claim) == {("clock", "engine_init"): (step * S, [engine])}

    def test_steps_add_up_and_the_rest_is_rounding(self) -> None:
        steps = ((15, "+5002000000 ns, seen by the monitor"), (30.5, "-1000000000 ns"))
        worker, engine, claim = self.start(24, *steps)
        assert parts_of(reduce(worker.events), claim) == {
            ("clock", "engine_init"): (ns(4.002), [engine]),
            ("rounding", "engine_init"): (ns(-0.002), [engine]),
        }

    def test_what_goes_beyond_the_step_is_unexplained(self) -> None:
        worker, engine, claim = self.start(30, (20, "+4000000000 ns"))
        assert parts_of(reduce(worker.events), claim) == {
            ("clock", "engine_init"): (4 * S, [engine]),
            ("unexplained", "engine_init"): (6 * S, [engine]),
        }

    @pytest.mark.parametrize(
        "steps",
        [(), ((10, "+4000000000 ns"),), ((40, "+4000000000 ns"),), ((20, None),), ((20, "some seconds"),)],
        ids=["no step", "before", "afterwards", "unknown", "not said in ns"],
    )
    def test_a_wall_clock_alone_proves_no_step(self, steps: tuple[tuple[float, str | None], ...]) -> None:
        worker, engine, claim = self.start(24, *steps)
        assert parts_of(reduce(worker.events), claim) == {("unexplained", "engine_init"): (4 * S, [engine])}

    def test_a_step_does_not_matter_to_a_monotonic_clock(self) -> None:
        worker, engine, claim = self.start(24, (20, "+4000000000 ns"), data=None)
        assert parts_of(reduce(worker.events), claim) == {("unexplained", "engine_init"): (4 * S, [engine])}

    def test_a_step_that_is_not_in_the_number_explains_nothing(self) -> None:
        worker, engine, claim = self.start(24, (20, "-4000000000 ns"))
        assert parts_of(reduce(worker.events), claim) == {("unexplained", "engine_init"): (4 * S, [engine])}

    def test_what_no_number_covers_leaves_no_trace(self) -> None:
        # Weights, the spawn and the imports come before the engine's clock, and are no part of its stage.
        worker = Worker()
        worker.stage("weights_load", 8, source="engine")
        engine = worker.stage("engine_init", 20, source="engine")
        claim = worker.say(20, source="engine", stage="engine_init", interval=engine, data={"clock": "wall"})
        assert parts_of(reduce(worker.events), claim) == {}


class TestTheOrderOfCauses:
    """Where two causes could name the same time, the first of the list does."""

    def test_a_range_that_is_added_twice_is_double_counted(self) -> None:
        worker = Worker()
        small, large = (worker.stage("graph_compile", 4, source="backend", **LANGUAGE) for _ in range(2))
        known: dict[str, Any] = {
            "source": "backend",
            "counts": "addition",
            "stage": "graph_compile",
            **LANGUAGE,
        }
        worker.say(4, interval=small, data={"range": "small"}, **known)
        for _ in range(2):
            worker.say(8, interval=large, data={"range": "large"}, **known)
        total = worker.say(20, counts="total", source="backend", role="language_model")
        assert parts_of(reduce(worker.events), total) == {
            ("double_counted", "graph_compile"): (12 * S, [large])
        }

    def test_a_drafter_that_is_added_twice_is_double_counted(self) -> None:
        worker = Worker()
        worker.add(10, worker.compile(10, added=False, **LANGUAGE), "compilation_time", **LANGUAGE)
        eagle = worker.compile(3, added=False, **DRAFTER)
        for _ in range(2):
            worker.add(3, eagle, "compilation_time", **DRAFTER)
        data = {"accumulator": "compilation_time"}
        total = worker.say(16, counts="total", source="monitor", role="language_model", data=data)
        assert parts_of(reduce(worker.events), total) == {
            ("double_counted", "torch_compile"): (6 * S, [eagle])
        }

    def test_ranges_of_a_drafter_overlap(self) -> None:
        worker = Worker()
        data: dict[str, Any] = {"accumulator": "compilation_time"}
        worker.add(10, worker.compile(10, added=False, **LANGUAGE), "compilation_time", **LANGUAGE)
        graphs = [worker.stage("graph_compile", 4, source="backend", **DRAFTER) for _ in range(3)]
        known: dict[str, Any] = {
            "source": "backend",
            "counts": "addition",
            "stage": "graph_compile",
            **DRAFTER,
        }
        worker.say(4, interval=graphs[1], data={"range": "large", **data}, **known)
        worker.say(12, data={"range": "small", "intervals": [graphs[0], graphs[2]], **data}, **known)
        total = worker.say(26, counts="total", source="monitor", role="language_model", data=data)
        assert parts_of(reduce(worker.events), total) == {
            ("role_lumping", "graph_compile"): (8 * S, [graphs[0], graphs[2]]),
            ("overlapping_ranges", "graph_compile"): (8 * S, [graphs[1]]),
        }

    def test_graphs_before_the_clock_began_show_nothing_though_another_thread_crosses(self) -> None:
        worker = Worker()

        def stage(start: float, stop: float, stage: str, source: Any, **known: Any) -> int:
            interval = worker.start(ns(start), stage, source=source, **known)
            worker.stop(ns(stop), interval)
            return interval

        # The encoder's last graph encloses most of the backbone's, and has the same depth as they have.
        stage(0, 14, "torch_compile", "monitor", thread="encoder", **ENCODER)
        for start, stop in [(0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1), (1, 12)]:
            stage(start, stop, "graph_compile", "backend", thread="encoder", **ENCODER)
        stage(2, 20, "torch_compile", "monitor", **LANGUAGE)
        times = [(2, 3), (3, 5), (6, 8), (8, 11), (11, 13)]
        graphs = [stage(start, stop, "graph_compile", "backend", **LANGUAGE) for start, stop in times]
        worker.at = 13
        claim = worker.say(
            10, source="backend", counts="addition", stage="graph_compile", **LANGUAGE,
            data={"range": "large", "intervals": [graphs[1], graphs[4]]},
        )  # fmt: skip
        worker.say(
            9, source="backend", counts="addition", stage="graph_compile", **LANGUAGE,
            data={"range": "small", "intervals": [graphs[0], *graphs[2:4]]},
        )  # fmt: skip
        assert parts_of(reduce(worker.events), claim) == {
            ("overlapping_ranges", "graph_compile"): (6 * S, [graphs[2], graphs[3]])
        }

    def test_a_drafters_number_may_have_the_backbones_inside(self) -> None:
        worker = Worker()
        backbone = worker.compile(5.71, added=False, **LANGUAGE)
        worker.add(5.71, backbone, "compilation_time", **LANGUAGE)
        worker.at += 3
        eagle = worker.compile(0.54, added=False, **DRAFTER)
        worker.add(6.25, eagle, "compilation_time", **DRAFTER)
        data = {"accumulator": "compilation_time"}
        total = worker.say(11.96, counts="total", source="monitor", role="language_model", data=data)
        assert parts_of(reduce(worker.events), total) == {
            ("role_lumping", "torch_compile"): (ns(0.54), [eagle]),
            ("cumulative", "torch_compile"): (ns(5.71), [backbone]),
        }

    def test_a_failed_try_is_lost_whoever_reports_nothing_and_however_late_it_is(self) -> None:
        worker = Worker()
        worker.milestone(0, "engine_ready")
        failed = worker.compile(3, added=False, outcome="failed", **LANGUAGE)
        nothing = worker.say(0, counts="total", source="monitor", role="language_model")
        worker.compile(1, **LANGUAGE)
        something = worker.say(1, counts="total", source="monitor", role="language_model")
        timeline = reduce(worker.events)
        lost = {("lost_on_failure", "torch_compile"): (-3 * S, [failed])}
        assert parts_of(timeline, something) == lost
        assert {part: share for part, share in parts_of(timeline, nothing).items() if part in lost} == lost

    def test_who_reports_nothing_does_so_before_and_after_the_start(self) -> None:
        worker = Worker()
        before = worker.compile(3, **LANGUAGE)
        worker.milestone(ns(worker.at), "engine_ready")
        after = worker.compile(3, **LANGUAGE)
        nothing = worker.say(0, counts="total", source="monitor", role="language_model")
        assert parts_of(reduce(worker.events), nothing) == {
            ("not_reported", "torch_compile"): (-6 * S, [before, after])
        }

    def test_a_failure_inside_of_a_compile_is_no_lost_try(self) -> None:
        worker = Worker()
        compiling = worker.open("torch_compile", source="monitor", **LANGUAGE)
        load = worker.stage("aot_load", 2, outcome="failed", source="backend", **LANGUAGE)
        worker.add(5, worker.stage("aot_compile", 5, source="backend", **LANGUAGE), **LANGUAGE)
        worker.shut(compiling)
        total = worker.say(5, counts="total", source="monitor", role="language_model")
        assert parts_of(reduce(worker.events), total) == {("omitted_stage", "aot_load"): (-2 * S, [load])}

    def test_what_is_said_of_one_try_that_failed_after_the_start_is_neither_lost_nor_late(self) -> None:
        worker = Worker()
        worker.milestone(0, "engine_ready")
        failed = worker.compile(8, added=False, outcome="failed", **LANGUAGE)
        line = worker.say(5, source="monitor", interval=failed)
        assert parts_of(reduce(worker.events), line) == {
            ("omitted_stage", "torch_compile"): (-3 * S, [failed])
        }

    def test_what_fails_for_another_role_meanwhile_is_not_this_ones(self) -> None:
        worker = Worker()
        encoder = worker.open("torch_compile", source="monitor", thread="other", **ENCODER)
        worker.stage("dynamo", 1, source="backend", thread="other", **ENCODER)
        language = worker.compile(5, added=False, **LANGUAGE)
        worker.at += 1
        worker.shut(encoder, "failed")
        worker.compile(1, **LANGUAGE)
        total = worker.say(1, counts="total", source="monitor", role="language_model")
        assert parts_of(reduce(worker.events), total) == {
            ("omitted_stage", "torch_compile"): (-5 * S, [language])
        }


class TestMatching:
    def test_without_a_name_it_is_the_last_that_nobody_took(self) -> None:
        worker = Worker()
        known: dict[str, Any] = {"source": "monitor", "role": "encoder"}
        worker.stage("torch_compile", 1, **known)
        worker.stage("torch_compile", 2, **known)
        claims = [worker.say(seconds, **known) for seconds in (2, 1, 1)]
        found = {row.claim: row.measured_ns for row in reduce(worker.events).reconciliation}
        assert [found[claim] for claim in claims] == [2 * S, 1 * S, None]

    def test_what_was_named_is_taken(self) -> None:
        worker = Worker()
        first, second = (worker.stage("torch_compile", seconds, source="monitor") for seconds in (1, 2))
        named = worker.say(2, source="monitor", interval=second)
        unnamed = worker.say(1, source="monitor")
        of_another = worker.say(2, source="torch")
        found = {row.claim: row.measured_ns for row in reduce(worker.events).reconciliation}
        assert found == {named: 2 * S, unnamed: 1 * S, of_another: 2 * S}
        assert first < second

    def test_it_is_one_that_had_stopped_by_then(self) -> None:
        worker = Worker()
        too_early = worker.say(1, source="monitor")
        worker.stage("torch_compile", 1, source="monitor")
        claim = worker.say(1, source="monitor")
        worker.at += 1
        worker.stage("torch_compile", 2, source="monitor")
        found = {row.claim: row.measured_ns for row in reduce(worker.events).reconciliation}
        assert found == {too_early: None, claim: 1 * S}

    def test_what_was_added_may_be_added_again(self) -> None:
        worker = Worker()
        worker.stage("torch_compile", 2, source="monitor")
        worker.say(2, source="monitor")
        claims = [worker.say(2, source="monitor", counts="addition") for _ in range(2)]
        found = {row.claim: row.measured_ns for row in reduce(worker.events).reconciliation}
        assert [found[claim] for claim in claims] == [2 * S, 2 * S]

    def test_what_a_claim_does_not_say_is_left_open(self) -> None:
        worker = Worker()
        for role, component in (("encoder", "a"), ("encoder", "b"), ("language_model", "c")):
            worker.stage(
                "dynamo", 1 + ord(component) - ord("a"), source="backend", role=role, component=component
            )
        said: list[dict[str, Any]] = [{"component": "a"}, {"role": "encoder"}, {}, {"role": "drafter"}]
        claims = [worker.say(1, source="torch", stage="dynamo", **known) for known in said]
        found = {row.claim: row.measured_ns for row in reduce(worker.events).reconciliation}
        assert [found[claim] for claim in claims] == [1 * S, 2 * S, 3 * S, None]

    @pytest.mark.parametrize("named", ["open", "unknown", "of another process"])
    def test_what_it_names_and_is_not_known_is_not_replaced(self, named: str) -> None:
        worker, other = Worker(), Worker("other")
        for _ in range(9):
            of_other = other.stage("torch_compile", 1, source="monitor")
        worker.stage("torch_compile", 1, source="monitor")
        ids = {"open": worker.open("torch_compile", source="monitor"), "unknown": 99}
        number = ids.get(named, of_other)
        claims = [
            worker.say(1, source="monitor", interval=number),
            worker.say(1, source="monitor", data={"intervals": [number]}),
        ]
        rows = reduce(merged(worker, other)).reconciliation
        assert {row.claim: row.main_cause for row in rows} == dict.fromkeys(claims, "unmatched")

    @pytest.mark.parametrize("said", [5, "a", None, [[1]], ["a"], [True], [1.0], {"1": 1}, []])
    def test_what_is_no_list_of_ids_names_nothing(self, said: object) -> None:
        worker = Worker()
        worker.stage("torch_compile", 1, source="monitor")
        claim = worker.say(1, source="monitor", data={"intervals": said})
        timeline = reduce(worker.events)
        assert parts_of(timeline, claim) == {}
        assert [row.measured_ns for row in timeline.reconciliation] == [1 * S]

    def test_an_id_that_is_said_twice_is_one_interval(self) -> None:
        worker = Worker()
        interval = worker.stage("compile_file", 1, source="torch")
        data = {"intervals": [interval, interval]}
        claim = worker.say(1, source="torch", stage="compile_file", data=data)
        assert parts_of(reduce(worker.events), claim) == {}

    def test_what_matches_nothing_is_unmatched(self) -> None:
        worker = Worker()
        claim = worker.say(1, source="log", stage="kernel_warmup")
        timeline = reduce(worker.events)
        [row] = timeline.reconciliation
        assert (row.measured_ns, row.difference_ns, row.main_cause) == (None, None, "unmatched")
        assert parts_of(timeline, claim) == {}

    def test_nothing_is_claimed_of_a_role_that_is_not_there(self) -> None:
        worker = Worker()
        claims = [
            worker.say(0, counts=counts, source="engine", role="encoder") for counts in ("total", "ranks")
        ]
        something = worker.say(1, counts="total", source="engine", role="encoder")
        found = {row.claim: (row.measured_ns, row.main_cause) for row in reduce(worker.events).reconciliation}
        assert [found[claim] for claim in claims] == [(0, None), (0, None)]
        assert found[something] == (None, "unmatched")


class TestTotalsThatAreReadEarly:
    def test_what_torch_compiles_later_is_late_and_not_left_out(self) -> None:
        worker = Worker()
        worker.stage("entire_frame_compile", 4, source="torch")
        data = {"adds_up": {"entire_frame_compile": 1}}
        early = worker.say(4, source="torch", counts="total", data=data)
        worker.milestone(ns(worker.at), "engine_ready")
        worker.at += 1
        later = worker.stage("entire_frame_compile", 2, source="torch")
        data = {"adds_up": {"entire_frame_compile": 2}}
        at_the_end = worker.say(6, source="torch", counts="total", data=data)
        timeline = reduce(worker.events)
        assert parts_of(timeline, early) == {("late", "entire_frame_compile"): (-2 * S, [later])}
        assert parts_of(timeline, at_the_end) == {}


class TestWhatRemains:
    def test_a_printed_number_differs_by_its_rounding(self) -> None:
        worker = Worker()
        interval = worker.stage("torch_compile", 16.7731, source="monitor")
        claim = worker.say(16.77, source="monitor", interval=interval, resolution_ns=CENT)
        assert parts_of(reduce(worker.events), claim) == {
            ("rounding", "torch_compile"): (ns(-0.0031), [interval])
        }

    @pytest.mark.parametrize(
        ("resolution_ns", "off_ns", "cause"),
        [
            (CENT, 5_500_000, "rounding"), (CENT, 5_500_001, "unexplained"),
            (None, 500_000, "rounding"), (None, 500_001, "unexplained"),
            (1, 500_000, "rounding"), (1, 500_001, "unexplained"),
        ],
    )  # fmt: skip
    def test_rounding_is_half_a_unit_and_two_looks_at_a_clock(
        self, resolution_ns: int | None, off_ns: int, cause: str
    ) -> None:
        worker = Worker()
        interval = worker.stage("torch_compile", 5, source="monitor")
        claim = worker.claim(
            ns(worker.at), 5 * S + off_ns, source="monitor", interval=interval, resolution_ns=resolution_ns
        )
        assert parts_of(reduce(worker.events), claim) == {(cause, "torch_compile"): (off_ns, [interval])}

    def test_each_number_in_a_sum_is_rounded(self) -> None:
        worker = Worker()
        compiles = [worker.compile(5, **LANGUAGE) for _ in range(3)]
        total = worker.say(
            15.0165, counts="total", source="monitor", role="language_model", resolution_ns=CENT
        )
        assert parts_of(reduce(worker.events), total) == {
            ("rounding", "torch_compile"): (ns(0.0165), compiles)
        }

    def test_what_nothing_explains_is_said(self) -> None:
        worker = Worker()
        interval = worker.stage("torch_compile", 5, source="monitor")
        claim = worker.say(7, source="monitor", interval=interval)
        assert parts_of(reduce(worker.events), claim) == {
            ("unexplained", "torch_compile"): (2 * S, [interval])
        }

    def test_torch_adds_up_what_lies_within_one_another(self) -> None:
        worker = Worker()
        outer = worker.open("compile_file", source="torch")
        inner = worker.stage("compile_file", 3, source="torch")
        worker.at += 1
        worker.shut(outer)
        claim = worker.say(7, source="torch", stage="compile_file", data={"intervals": [outer, inner]})
        assert parts_of(reduce(worker.events), claim) == {
            ("double_counted", "compile_file"): (3 * S, [inner])
        }

    def test_two_roles_that_compile_at_once_are_both_in_a_sum(self) -> None:
        worker = Worker()
        encoder = worker.open("torch_compile", source="monitor", thread="other", **ENCODER)
        worker.at = 4
        worker.compile(8, **LANGUAGE)
        worker.stop(ns(10), encoder)
        worker.add(10, encoder, **ENCODER)
        total = worker.say(18, counts="total", source="monitor")
        parts = parts_of(reduce(worker.events), total)
        assert {cause: share for (cause, _), (share, _) in parts.items()} == {"double_counted": 6 * S}

    @pytest.mark.parametrize("more", [0.5, 0.2, 0.5003], ids=["as it began", "later", "a moment before"])
    def test_a_clock_may_begin_to_run_before_the_interval_that_it_times(self, more: float) -> None:
        worker = Worker()
        before = worker.compile(1, **LANGUAGE)
        worker.at += 5
        compiling = worker.open("torch_compile", source="monitor", **LANGUAGE)
        worker.at += 0.5  # vLLM's own clock for Dynamo is the monitor's
        dynamo = worker.stage("dynamo", 2, source="backend", **LANGUAGE)
        worker.shut(compiling)
        worker.add(2 + more, dynamo, **LANGUAGE)
        total = worker.say(3 + more, counts="total", source="backend", role="language_model")
        left_out = {("omitted_stage", "torch_compile"): (ns(more - 0.5), [compiling])}
        rounded = {("rounding", "torch_compile"): (ns(more - 0.5), [before, compiling])}
        found = parts_of(reduce(worker.events), total)
        assert found == (left_out if more < 0.5 else rounded if more > 0.5 else {})

    def test_a_number_that_is_made_up_has_no_time_of_its_own(self) -> None:
        worker = Worker()
        before = worker.compile(1, **LANGUAGE)
        compiling = worker.open("torch_compile", source="monitor", **LANGUAGE)
        worker.at += 0.5
        dynamo = worker.stage("dynamo", 2, source="backend", **LANGUAGE)
        worker.shut(compiling)
        worker.add(99, dynamo, **LANGUAGE)
        total = worker.say(100, counts="total", source="backend", role="language_model")
        assert parts_of(reduce(worker.events), total) == {
            ("omitted_stage", "torch_compile"): (ns(-0.5), [compiling]),
            ("unexplained", "torch_compile"): (97 * S, [before, compiling]),
        }

    def test_what_is_no_compile_and_was_added_to_one_is_unexplained(self) -> None:
        worker = Worker()
        compiled = worker.compile(5, **LANGUAGE)
        first_run = worker.stage("first_run", 2, source="monitor", **LANGUAGE)
        worker.add(2, first_run, stage="first_run", **LANGUAGE)
        total = worker.say(7, counts="total", source="monitor", role="language_model")
        assert parts_of(reduce(worker.events), total) == {
            ("unexplained", "torch_compile"): (2 * S, [compiled])
        }

    def test_a_short_stage_is_named_however_many_compiles_there_are(self) -> None:
        worker = Worker()
        for _ in range(20):
            worker.compile(1, **LANGUAGE)
        omitted = worker.compile(0.003, added=False, **LANGUAGE)
        total = worker.say(20, counts="total", source="monitor", role="language_model")
        assert parts_of(reduce(worker.events), total) == {
            ("omitted_stage", "torch_compile"): (-3 * MS, [omitted])
        }


class TestOutOfALog:
    """Where stamps are all there is, cut to whole seconds, a line is held against what the stamps span."""

    @staticmethod
    def line(worker: Worker, stage: str, seconds: float) -> int:
        """A line as it is read: the interval before it that it states, and the claim."""
        interval = worker.start(ns(worker.at - seconds), stage, source="log")
        worker.shut(interval)
        return worker.say(seconds, source="monitor", stage=stage, interval=interval, resolution_ns=CENT)

    def test_it_began_with_the_first_sign_of_a_compile_since_the_line_before(self) -> None:
        worker = Worker()
        worker.at = 30
        first = self.line(worker, "torch_compile", 20)
        worker.at = 130
        self.line(worker, "dynamo", 10)
        worker.at = 639
        second = self.line(worker, "torch_compile", 47.72)
        worker.at = 700
        self.line(worker, "dynamo", 3)
        rows = {row.claim: row for row in reduce(worker.events).reconciliation}
        assert (rows[first].measured_ns, rows[first].measured_uncertainty_ns) == (20 * S, CENT // 2)
        assert (rows[second].measured_ns, rows[second].measured_uncertainty_ns) == (519 * S, 2 * S)
        assert rows[second].main_cause == "omitted_stage"

    def test_a_length_is_as_certain_as_the_line_that_states_it(self) -> None:
        worker = Worker()
        worker.at = 10
        graph = self.line(worker, "graph_compile", 5)
        [row] = reduce(worker.events).reconciliation
        assert (row.claim, row.measured_ns, row.measured_uncertainty_ns) == (graph, 5 * S, CENT // 2)
