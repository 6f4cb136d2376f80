"""The reducer: rules 1 to 10 of the design by example, and its agreement with its slow, obvious twin."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import ConflictingEvents
from ledger.events.models import (
    Event,
    GapNoted,
    MilestoneReached,
    SessionEnded,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
)
from ledger.timeline.records import Interval, Process, RoleTotal, SessionTotal, SourceTotal
from ledger.timeline.reducer import Reduced, reduce_session
from tests.support.random_sessions import SECOND, Tape, sessions
from tests.support.reducer_twin import AnomalyKey, sorted_anomalies, twin

HOUR = 3600 * SECOND


@pytest.fixture
def tape() -> Tape:
    return Tape()


def intervals(reduced: Reduced) -> dict[int, Interval]:
    """Return a result's intervals by id, where one process has them all."""
    return {interval.interval: interval for interval in reduced.intervals}


def enclosing(reduced: Reduced) -> dict[int, int | None]:
    return {interval.interval: interval.enclosing for interval in reduced.intervals}


def anomalies(reduced: Reduced) -> list[AnomalyKey]:
    return sorted_anomalies((a.process, a.what, a.interval, a.ns) for a in reduced.anomalies)


def role_total(
    reduced: Reduced, role: str | None, activity: str = "compile", process: str = "p"
) -> RoleTotal:
    return one(t for t in reduced.role_totals if (t.process, t.role, t.activity) == (process, role, activity))


def source_total(reduced: Reduced, role: str | None, source: str) -> SourceTotal:
    return one(t for t in reduced.source_totals if (t.role, t.source) == (role, source))


def session_total(reduced: Reduced, role: str | None, activity: str = "compile") -> SessionTotal:
    return one(t for t in reduced.session_totals if (t.role, t.activity) == (role, activity))


def process_row(reduced: Reduced, process: str = "p") -> Process:
    return one(p for p in reduced.processes if p.process == process)


Row = TypeVar("Row")


def one(rows: Iterable[Row]) -> Row:
    (row,) = rows
    return row


class TestPairing:
    """Rule 1."""

    def test_an_interval_lasts_from_its_start_to_its_stop(self, tape: Tape) -> None:
        tape.start(
            7, 100, stage="aot_load", source="backend", role="encoder", component="layer", thread="main"
        )
        tape.stop(7, 350)
        assert tape.reduce().intervals == (
            Interval(
                session="s",
                process="p",
                interval=7,
                enclosing=None,
                parent=None,
                depth=0,
                is_top_level=True,
                activity="compile",
                stage="aot_load",
                role="encoder",
                component="layer",
                source="backend",
                thread="main",
                start_ns=100,
                stop_ns=350,
                duration_ns=250,
                self_ns=250,
                unattributed_ns=None,
                open_ns=None,
                outcome="completed",
                start_seq=0,
                stop_seq=1,
                error=None,
                data_json=None,
            ),
        )
        assert tape.reduce().anomalies == ()

    def test_of_several_stops_the_first_counts_and_the_others_are_reported(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.stop(1, 30)
        tape.stop(1, 20, outcome="failed")  # written later, happened earlier
        tape.stop(1, 40)
        reduced = tape.reduce()
        assert (intervals(reduced)[1].stop_ns, intervals(reduced)[1].outcome) == (20, "failed")
        assert intervals(reduced)[1].stop_seq == 2
        assert anomalies(reduced) == [("p", "duplicate_stop", 1, None)] * 2

    def test_of_stops_at_one_moment_the_smaller_seq_counts(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.stop(1, 20, outcome="failed")
        tape.stop(1, 20)
        reduced = tape.reduce()
        assert (intervals(reduced)[1].stop_seq, intervals(reduced)[1].outcome) == (1, "failed")

    def test_of_several_starts_the_first_counts_and_the_others_are_reported(self, tape: Tape) -> None:
        tape.start(1, 15, role="drafter")
        tape.start(1, 10, role="encoder")  # written later, happened earlier
        tape.stop(1, 20)
        reduced = tape.reduce()
        assert len(reduced.intervals) == 1
        assert (intervals(reduced)[1].role, intervals(reduced)[1].duration_ns) == ("encoder", 10)
        assert anomalies(reduced) == [("p", "duplicate_start", 1, None)]

    def test_a_stop_of_what_never_started_is_an_orphan(self, tape: Tape) -> None:
        tape.stop(1, 20)
        reduced = tape.reduce()
        assert reduced.intervals == ()
        assert anomalies(reduced) == [("p", "orphan_stop", 1, None)]

    def test_a_stop_earlier_than_its_start_does_not_end_it(self, tape: Tape) -> None:
        tape.stop(1, 20)
        tape.start(1, 30)
        reduced = tape.reduce()
        assert intervals(reduced)[1].outcome == "open"
        assert anomalies(reduced) == [("p", "stop_before_start", 1, None)]

    def test_at_one_moment_seq_says_whether_a_stop_came_before_its_start(self, tape: Tape) -> None:
        tape.stop(1, 20)
        tape.start(1, 20)
        tape.stop(1, 20)
        reduced = tape.reduce()
        assert (intervals(reduced)[1].duration_ns, intervals(reduced)[1].stop_seq) == (0, 2)
        assert anomalies(reduced) == [("p", "stop_before_start", 1, None)]

    def test_every_stray_event_is_reported_once(self, tape: Tape) -> None:
        tape.stop(1, 5)
        tape.start(1, 10)
        tape.start(1, 12)
        tape.stop(1, 20)
        tape.stop(1, 25)
        tape.stop(2, 30)
        assert anomalies(tape.reduce()) == [
            ("p", "duplicate_start", 1, None),
            ("p", "duplicate_stop", 1, None),
            ("p", "orphan_stop", 2, None),
            ("p", "stop_before_start", 1, None),
        ]

    def test_ids_are_unique_in_their_process_only(self, tape: Tape) -> None:
        tape.span(1, 10, 20, process="p")
        tape.span(1, 11, 25, process="q")
        reduced = tape.reduce()
        assert [(i.process, i.interval, i.duration_ns) for i in reduced.intervals] == [
            ("p", 1, 10),
            ("q", 1, 14),
        ]
        assert reduced.anomalies == ()

    def test_the_same_event_twice_is_one_event(self, tape: Tape) -> None:
        tape.span(1, 10, 20)
        assert reduce_session(tape.events * 2) == tape.reduce()
        assert process_row(reduce_session(tape.events * 2)).event_count == 2

    def test_two_events_under_one_key_are_refused(self, tape: Tape) -> None:
        tape.start(1, 10, seq=0)
        tape.start(1, 11, seq=0)
        with pytest.raises(ConflictingEvents):
            tape.reduce()


class TestWithoutStop:
    """Rule 2."""

    def test_an_open_interval_encloses_nothing_and_counts_in_no_total(self, tape: Tape) -> None:
        tape.start(1, 10, role="encoder")
        tape.span(2, 20, 50, role="encoder")
        tape.add(MilestoneReached, 90, name="engine_ready")
        reduced = tape.reduce()
        assert intervals(reduced)[1]._asdict() == intervals(reduced)[1]._asdict() | {
            "outcome": "open",
            "stop_ns": None,
            "stop_seq": None,
            "duration_ns": None,
            "self_ns": None,
            "unattributed_ns": None,
            "enclosing": None,
            "depth": 0,
            "is_top_level": False,
            "open_ns": 80,
        }
        assert enclosing(reduced) == {1: None, 2: None}
        total = role_total(reduced, "encoder")
        assert (total.total_ns, total.open_ns, total.top_level_count) == (30, 80, 1)
        assert (total.interval_count, total.open_count) == (2, 1)
        assert source_total(reduced, "encoder", "torch").naive_sum_ns == 30

    def test_nothing_encloses_an_open_interval(self, tape: Tape) -> None:
        tape.start(2, 20)
        tape.span(1, 10, 50)
        assert enclosing(tape.reduce()) == {1: None, 2: None}

    def test_open_time_is_counted_from_the_earliest_open_start_to_the_process_own_last_event(
        self, tape: Tape
    ) -> None:
        tape.start(1, 10)
        tape.start(2, 30)
        tape.add(MilestoneReached, 45, name="engine_ready")
        tape.add(MilestoneReached, 99, name="engine_ready", process="another")
        reduced = tape.reduce()
        assert {i.interval: i.open_ns for i in reduced.intervals} == {1: 35, 2: 15}
        assert role_total(reduced, "model").open_ns == 35

    def test_a_group_of_open_intervals_alone_has_totals_of_nothing(self, tape: Tape) -> None:
        tape.start(1, 10)
        reduced = tape.reduce()
        assert role_total(reduced, "model").total_ns == 0
        assert source_total(reduced, "model", "torch") == SourceTotal(
            "s", "p", "model", "compile", "torch", 0, 0, 0
        )
        assert session_total(reduced, "model").max_ns == 0

    def test_when_its_process_left_it_is_abandoned_at_its_descendants_last_event(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.start(2, 20, parent=1)
        tape.start(3, 25, parent=2)
        tape.stop(3, 60)
        tape.span(4, 70, 80)  # inside by no link
        tape.leave(100)
        reduced = tape.reduce()
        assert {i.interval: (i.outcome, i.stop_ns) for i in reduced.intervals} == {
            1: ("abandoned", 60),
            2: ("abandoned", 60),
            3: ("completed", 60),
            4: ("completed", 80),
        }
        assert intervals(reduced)[1].open_ns is None
        assert role_total(reduced, "model").total_ns == 60

    def test_without_descendants_it_is_abandoned_where_it_began(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.leave(100)
        reduced = tape.reduce()
        assert (intervals(reduced)[1].stop_ns, intervals(reduced)[1].duration_ns) == (10, 0)
        assert intervals(reduced)[1].outcome == "abandoned"

    def test_when_its_process_was_lost_it_is_abandoned(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.start(2, 20, parent=1)
        tape.lose(20, last_seq=1)
        reduced = tape.reduce()
        assert {i.interval: (i.outcome, i.stop_ns) for i in reduced.intervals} == {
            1: ("abandoned", 20),
            2: ("abandoned", 20),
        }

    def test_the_loss_of_another_process_leaves_it_open(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.lose(20, lost="another")
        assert intervals(tape.reduce())[1].outcome == "open"

    def test_when_the_session_ended_it_is_abandoned_in_every_process(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.start(2, 10, process="another")
        tape.add(SessionEnded, 50, outcome="completed", process="another")
        assert [i.outcome for i in tape.reduce().intervals] == ["abandoned", "abandoned"]

    def test_when_its_parent_stopped_it_is_abandoned_though_its_process_runs(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.start(2, 20, parent=1)
        tape.span(3, 25, 30, parent=2)
        tape.stop(1, 50)
        reduced = tape.reduce()
        assert (intervals(reduced)[2].outcome, intervals(reduced)[2].stop_ns) == ("abandoned", 30)
        assert enclosing(reduced) == {1: None, 2: 1, 3: 2}

    def test_a_parents_end_reaches_through_what_it_abandoned(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.start(2, 20, parent=1)
        tape.start(3, 30, parent=2)
        tape.stop(1, 50)
        reduced = tape.reduce()
        assert {i.interval: (i.outcome, i.stop_ns) for i in reduced.intervals} == {
            1: ("completed", 50),
            2: ("abandoned", 30),
            3: ("abandoned", 30),
        }

    def test_it_ends_no_later_than_its_parent(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.start(2, 20, parent=1)
        tape.start(3, 30, parent=2)
        tape.stop(1, 50)
        tape.stop(3, 70)
        assert intervals(tape.reduce())[2].stop_ns == 50

    def test_it_ends_no_earlier_than_it_began(self, tape: Tape) -> None:
        tape.span(1, 10, 15)
        tape.start(2, 20, parent=1)
        reduced = tape.reduce()
        assert (intervals(reduced)[2].outcome, intervals(reduced)[2].stop_ns) == ("abandoned", 20)
        assert anomalies(reduced) == [("p", "parent_does_not_enclose", 2, 5)]

    def test_an_open_parent_leaves_it_open(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.start(2, 20, parent=1)
        tape.add(MilestoneReached, 90, name="engine_ready")
        assert [i.outcome for i in tape.reduce().intervals] == ["open", "open"]

    def test_what_torch_never_ended_does_not_swallow_what_came_after(self, tape: Tape) -> None:
        tape.start(1, 0)
        tape.span(2, 10, 40, parent=1)
        tape.span(3, 100, 400, stage="graph_capture", source="engine")
        tape.leave(1000)
        reduced = tape.reduce()
        assert enclosing(reduced) == {1: None, 2: 1, 3: None}
        assert role_total(reduced, "model").total_ns == 40


class TestEnclosure:
    """Rule 3."""

    def test_what_lies_within_is_enclosed_whatever_its_thread_source_role_and_activity(
        self, tape: Tape
    ) -> None:
        tape.span(1, 0, 100, stage="model_load", source="engine", role="encoder", thread="main")
        tape.span(2, 10, 90, thread="other", role="drafter")
        tape.span(3, 20, 30, thread="main", source="backend")
        reduced = tape.reduce()
        assert enclosing(reduced) == {1: None, 2: 1, 3: 2}
        assert {i.interval: i.depth for i in reduced.intervals} == {1: 0, 2: 1, 3: 2}

    def test_both_ends_may_coincide_with_those_of_what_encloses(self, tape: Tape) -> None:
        tape.span(1, 10, 20)
        tape.span(2, 10, 15)
        tape.span(3, 15, 20)
        assert enclosing(tape.reduce()) == {1: None, 2: 1, 3: 1}

    def test_what_crosses_is_not_enclosed(self, tape: Tape) -> None:
        tape.span(1, 10, 20)
        tape.span(2, 19, 21)
        tape.span(3, 20, 25)
        assert enclosing(tape.reduce()) == {1: None, 2: None, 3: None}

    def test_of_identical_intervals_the_one_that_started_first_by_seq_encloses_the_others(
        self, tape: Tape
    ) -> None:
        tape.start(2, 10)
        tape.start(3, 10)
        tape.start(1, 10)
        for interval in (1, 2, 3):
            tape.stop(interval, 20)
        reduced = tape.reduce()
        assert enclosing(reduced) == {2: None, 3: 2, 1: 3}
        assert {i.interval: i.depth for i in reduced.intervals} == {2: 0, 3: 1, 1: 2}

    def test_an_interval_without_length_is_enclosed_by_what_it_touches(self, tape: Tape) -> None:
        tape.span(1, 10, 20)
        tape.span(2, 20, 20)
        tape.span(3, 10, 10)
        tape.span(4, 10, 10)
        assert enclosing(tape.reduce()) == {1: None, 2: 1, 3: 1, 4: 3}

    def test_between_two_that_touch_the_later_start_is_the_innermost(self, tape: Tape) -> None:
        tape.span(1, 10, 20)
        tape.span(2, 20, 30)
        tape.span(3, 20, 20)
        assert enclosing(tape.reduce())[3] == 2

    def test_the_innermost_of_crossing_enclosers_is_the_one_that_started_last(self, tape: Tape) -> None:
        tape.span(1, 0, 50, thread="a")
        tape.span(2, 10, 90, thread="b")
        tape.span(3, 20, 30, thread="c")
        reduced = tape.reduce()
        assert enclosing(reduced) == {1: None, 2: None, 3: 2}
        assert intervals(reduced)[3].depth == 1

    def test_of_enclosers_that_started_together_the_earliest_stop_is_the_innermost(self, tape: Tape) -> None:
        tape.span(1, 10, 40)
        tape.span(2, 10, 60)
        tape.span(3, 15, 20)
        assert enclosing(tape.reduce()) == {1: 2, 2: None, 3: 1}

    def test_processes_do_not_enclose_each_other(self, tape: Tape) -> None:
        tape.span(1, 0, 100, process="p")
        tape.span(2, 10, 20, process="q")
        assert enclosing(tape.reduce()) == {1: None, 2: None}

    def test_the_parent_that_the_emitter_gave_stands_beside_it(self, tape: Tape) -> None:
        tape.start(1, 0)
        tape.start(2, 10, parent=1)
        tape.start(3, 20, parent=1)
        for interval, at in ((3, 30), (2, 40), (1, 50)):
            tape.stop(interval, at)
        reduced = tape.reduce()
        assert {i.interval: (i.parent, i.enclosing) for i in reduced.intervals} == {
            1: (None, None),
            2: (1, 1),
            3: (1, 2),
        }
        assert reduced.anomalies == ()

    @pytest.mark.parametrize(
        ("start", "stop", "outside_ns"), [(5, 15, 5), (15, 27, 7), (5, 27, 12), (21, 25, 5), (2, 3, 8)]
    )
    def test_a_parent_that_does_not_enclose_its_child_is_reported_with_what_sticks_out(
        self, tape: Tape, start: int, stop: int, outside_ns: int
    ) -> None:
        tape.span(1, 10, 20)
        tape.span(2, start, stop, parent=1)
        reduced = tape.reduce()
        assert anomalies(reduced) == [("p", "parent_does_not_enclose", 2, outside_ns)]
        assert intervals(reduced)[2].parent == 1

    def test_a_parent_that_never_started_is_reported_and_kept(self, tape: Tape) -> None:
        tape.span(1, 10, 20, process="another")
        tape.span(2, 10, 20, parent=1)
        reduced = tape.reduce()
        assert anomalies(reduced) == [("p", "unknown_parent", 2, None)]
        assert intervals(Tape(events=tape.events[2:]).reduce())[2].parent == 1

    def test_an_interval_that_names_itself_its_parent_is_reported(self, tape: Tape) -> None:
        tape.span(1, 10, 20, parent=1)
        reduced = tape.reduce()
        assert anomalies(reduced) == [("p", "parent_does_not_enclose", 1, 0)]
        assert (intervals(reduced)[1].parent, intervals(reduced)[1].self_ns) == (1, 10)

    def test_a_parent_that_is_open_is_not_reported(self, tape: Tape) -> None:
        tape.start(1, 10)
        tape.span(2, 15, 20, parent=1)
        assert tape.reduce().anomalies == ()


class TestRoles:
    """Rule 3: the role of an interval that was given none."""

    def test_it_is_that_of_the_first_ancestor_with_one(self, tape: Tape) -> None:
        tape.span(1, 0, 90, role="encoder", stage="model_load", source="engine")
        tape.span(2, 5, 80, role="drafter", parent=1)
        tape.span(3, 10, 70, parent=2)
        tape.span(4, 20, 60, parent=3)
        assert {i.interval: i.role for i in tape.reduce().intervals} == {
            1: "encoder",
            2: "drafter",
            3: "drafter",
            4: "drafter",
        }

    def test_an_ancestor_goes_before_what_encloses(self, tape: Tape) -> None:
        tape.span(1, 0, 90, role="encoder")
        tape.span(2, 5, 80, role="drafter")
        tape.span(3, 10, 70, parent=1)
        assert intervals(tape.reduce())[3].role == "encoder"

    def test_else_it_is_that_of_the_innermost_encloser_of_its_activity_with_one(self, tape: Tape) -> None:
        tape.span(1, 0, 90, role="encoder")
        tape.span(2, 5, 80, role="drafter")
        tape.span(3, 8, 75, role="elsewhere", stage="model_load", source="engine")
        tape.span(4, 10, 70)
        tape.span(5, 10, 60, source="backend")
        reduced = tape.reduce()
        assert [intervals(reduced)[i].role for i in (4, 5)] == ["drafter", "drafter"]

    def test_else_torch_has_the_role_model_and_others_have_none(self, tape: Tape) -> None:
        tape.span(1, 0, 10, source="torch")
        tape.span(2, 20, 30, source="backend")
        tape.span(3, 22, 25, source="torch")
        assert {i.interval: i.role for i in tape.reduce().intervals} == {1: "model", 2: None, 3: "model"}

    def test_a_role_that_was_itself_taken_over_is_not_handed_on_by_time(self, tape: Tape) -> None:
        # 2 is torch's own and becomes `model`; 3, inside it, is the backend's and was given nothing.
        tape.span(2, 5, 80)
        tape.span(3, 10, 70, source="backend")
        assert {i.interval: i.role for i in tape.reduce().intervals} == {2: "model", 3: None}

    def test_an_open_interval_takes_its_role_from_its_ancestors_alone(self, tape: Tape) -> None:
        tape.start(1, 0, role="encoder")
        tape.span(2, 5, 100, role="drafter")
        tape.start(3, 10, parent=1)
        tape.start(4, 20)
        reduced = tape.reduce()
        assert [intervals(reduced)[i].role for i in (3, 4)] == ["encoder", "model"]

    def test_a_parent_that_starts_later_gives_no_role(self, tape: Tape) -> None:
        tape.span(2, 5, 20, parent=1, source="backend")
        tape.span(1, 10, 30, role="encoder")
        reduced = tape.reduce()
        assert intervals(reduced)[2].role is None
        assert anomalies(reduced) == [("p", "parent_does_not_enclose", 2, 5)]


class TestTopLevel:
    """Rule 4."""

    def test_the_same_role_and_activity_around_it_makes_an_interval_not_top_level(self, tape: Tape) -> None:
        tape.span(1, 0, 100, role="encoder", thread="main", source="monitor", stage="torch_compile")
        tape.span(2, 10, 90, role="encoder", thread="other", source="backend")
        tape.span(3, 20, 80, role="drafter")
        tape.span(4, 30, 70, role="encoder", stage="warmup", source="engine")
        tape.span(5, 40, 60, role="encoder")
        assert {i.interval: i.is_top_level for i in tape.reduce().intervals} == {
            1: True,
            2: False,
            3: True,
            4: True,
            5: False,
        }

    def test_intervals_without_a_role_are_a_group_like_any_other(self, tape: Tape) -> None:
        tape.span(1, 0, 100, stage="engine_init", source="engine")
        tape.span(2, 10, 90, stage="profile_run", source="engine")
        reduced = tape.reduce()
        assert [i.is_top_level for i in reduced.intervals] == [True, False]
        assert role_total(reduced, None, "startup").total_ns == 100

    def test_threads_roots_are_not_added_up(self, tape: Tape) -> None:
        """73.0 s in the roots of two threads are 38.3 s on the clock."""
        tape.span(1, 0, 38_300_000_000, thread="main")
        tape.span(2, 1_000_000_000, 35_700_000_000, thread="pool")
        reduced = tape.reduce()
        total = role_total(reduced, "model")
        assert (total.total_ns, total.crossing_ns, total.top_level_count) == (38_300_000_000, 0, 1)
        assert source_total(reduced, "model", "torch").naive_sum_ns == 73_000_000_000


class TestTotals:
    """Rules 5 and 6."""

    def test_where_top_levels_do_not_cross_the_total_is_their_sum(self, tape: Tape) -> None:
        tape.span(1, 0, 10, role="encoder")
        tape.span(2, 10, 30, role="encoder")
        tape.span(3, 50, 55, role="encoder")
        tape.span(4, 51, 52, role="encoder")
        assert tape.reduce().role_totals == (
            RoleTotal(
                "s", "p", "encoder", "compile", 35, 0, 0, top_level_count=3, interval_count=4, open_count=0
            ),
        )

    def test_where_they_cross_it_is_their_union_and_crossing_ns_says_by_how_much(self, tape: Tape) -> None:
        tape.span(1, 0, 10, role="encoder", thread="a")
        tape.span(2, 6, 14, role="encoder", thread="b")
        tape.span(3, 9, 20, role="encoder", thread="c")
        total = role_total(tape.reduce(), "encoder")
        assert (total.total_ns, total.crossing_ns, total.top_level_count) == (20, 9, 3)

    def test_totals_of_two_roles_may_overlap(self, tape: Tape) -> None:
        tape.span(1, 0, 100, role="language_model")
        tape.span(2, 40, 70, role="drafter")
        reduced = tape.reduce()
        assert [t.total_ns for t in reduced.role_totals] == [30, 100]

    def test_a_source_has_its_own_total_and_what_adding_up_would_double(self, tape: Tape) -> None:
        tape.span(1, 0, 100, role="encoder", source="monitor", stage="torch_compile")
        tape.span(2, 10, 40, role="encoder", source="backend", stage="graph_compile")
        tape.span(3, 30, 60, role="encoder", source="backend", stage="graph_compile")
        tape.span(4, 30, 40, role="encoder", source="backend", stage="graph_compile")
        reduced = tape.reduce()
        assert reduced.source_totals == (
            SourceTotal("s", "p", "encoder", "compile", "backend", 50, 70, 20),
            SourceTotal("s", "p", "encoder", "compile", "monitor", 100, 100, 0),
        )
        assert role_total(reduced, "encoder").total_ns == 100

    def test_hours_are_kept_to_the_nanosecond(self, tape: Tape) -> None:
        # Past 2**53 ns, a float no longer tells neighbours apart.
        boot = 400 * 24 * HOUR
        tape.span(1, boot + 1, boot + HOUR + 2, role="encoder")
        tape.span(2, boot + HOUR + 1, boot + 2 * HOUR + 4, role="encoder")
        total = role_total(tape.reduce(), "encoder")
        assert (total.total_ns, total.crossing_ns) == (2 * HOUR + 3, 1)


class TestSelfTime:
    """Rule 7."""

    def test_self_time_leaves_out_what_ran_inside_in_the_same_thread(self, tape: Tape) -> None:
        tape.span(1, 0, 100, thread="main")
        tape.span(2, 10, 40, thread="main")
        tape.span(3, 20, 50, thread="main")
        tape.span(4, 60, 90, thread="other")
        one_ = intervals(tape.reduce())[1]
        assert (one_.duration_ns, one_.self_ns, one_.unattributed_ns) == (100, 60, 30)

    def test_self_time_leaves_out_descendants_in_other_threads_cut_to_the_interval(self, tape: Tape) -> None:
        tape.start(1, 0, thread="main")
        tape.start(2, 50, thread="other", parent=1)
        tape.start(3, 60, thread="third", parent=2)
        tape.stop(2, 70)
        tape.stop(1, 100)
        tape.stop(3, 130)
        reduced = tape.reduce()
        one_ = intervals(reduced)[1]
        assert (one_.self_ns, one_.unattributed_ns) == (50, 80)
        assert anomalies(reduced) == [("p", "parent_does_not_enclose", 3, 60)]

    def test_what_encloses_nothing_has_nothing_unattributed(self, tape: Tape) -> None:
        tape.span(1, 0, 100)
        one_ = intervals(tape.reduce())[1]
        assert (one_.self_ns, one_.unattributed_ns) == (100, None)

    def test_what_encloses_something_without_length_is_all_unattributed(self, tape: Tape) -> None:
        tape.span(1, 0, 100)
        tape.span(2, 50, 50)
        assert intervals(tape.reduce())[1].unattributed_ns == 100

    def test_an_open_interval_inside_takes_nothing_away(self, tape: Tape) -> None:
        tape.start(2, 50, parent=9)
        tape.span(1, 0, 100)
        one_ = intervals(tape.reduce())[1]
        assert (one_.self_ns, one_.unattributed_ns) == (100, None)

    def test_of_identical_intervals_the_outer_has_no_self_time(self, tape: Tape) -> None:
        tape.start(1, 0)
        tape.start(2, 0)
        tape.stop(2, 100)
        tape.stop(1, 100)
        assert [i.self_ns for i in tape.reduce().intervals] == [0, 100]


CLOCK = {"host": "node", "boot_id": "b00t", "time_namespace": "time:[1]"}


class TestAcrossProcesses:
    """Rules 8 and 9."""

    def test_maximum_union_and_sum_each_have_their_own_name(self, tape: Tape) -> None:
        for process, start, stop in (("w0", 10, 50), ("w1", 30, 90), ("w2", 200, 205)):
            tape.join(process=process, **CLOCK)
            tape.span(1, start, stop, role="encoder", process=process)
        assert tape.reduce().session_totals == (
            SessionTotal(
                "s",
                "encoder",
                "compile",
                max_ns=60,
                union_ns=85,
                sum_ns=105,
                slowest_process="w1",
                process_count=3,
            ),
        )

    def test_processes_without_the_role_do_not_count(self, tape: Tape) -> None:
        tape.join(process="w0", **CLOCK)
        tape.span(1, 0, 10, role="encoder", process="w0")
        tape.span(1, 0, 90, role="drafter", process="on_an_unknown_clock")
        total = session_total(tape.reduce(), "encoder")
        assert (total.process_count, total.union_ns, total.slowest_process) == (1, 10, "w0")

    def test_of_equally_slow_processes_the_first_by_name_is_named(self, tape: Tape) -> None:
        tape.span(1, 0, 10, process="w2")
        tape.span(1, 5, 15, process="w1")
        assert session_total(tape.reduce(), "model").slowest_process == "w1"

    @pytest.mark.parametrize("part", ["host", "boot_id", "time_namespace"])
    def test_two_clocks_have_no_union(self, tape: Tape, part: str) -> None:
        tape.join(process="w0", **CLOCK)
        tape.join(process="w1", **(CLOCK | {part: "another"}))
        tape.span(1, 0, 10, process="w0")
        tape.span(1, 5, 15, process="w1")
        total = session_total(tape.reduce(), "model")
        assert (total.max_ns, total.union_ns, total.sum_ns) == (10, None, 20)

    def test_a_clock_that_nobody_named_is_common_with_no_other(self, tape: Tape) -> None:
        tape.join(process="w0")
        tape.join(process="w1")
        tape.span(1, 0, 10, process="w0")
        tape.span(1, 5, 15, process="w1")
        assert session_total(tape.reduce(), "model").union_ns is None

    def test_a_single_process_needs_no_common_clock(self, tape: Tape) -> None:
        tape.span(1, 0, 10)
        tape.span(2, 8, 15)
        assert session_total(tape.reduce(), "model").union_ns == 15


class TestOutcomes:
    """Rule 10, and the rows of processes and sessions."""

    def test_an_intervals_outcome_is_what_its_stop_says(self, tape: Tape) -> None:
        tape.start(1, 0)
        tape.stop(1, 10, outcome="failed", error="RuntimeError")
        tape.start(2, 20)
        tape.stop(2, 30, outcome="completed", error="RestartAnalysis", data={"control": "RestartAnalysis"})
        reduced = tape.reduce()
        assert [i.outcome for i in reduced.intervals] == ["failed", "completed"]
        assert role_total(reduced, "model").total_ns == 20

    @pytest.mark.parametrize("outcome", ["completed", "failed"])
    def test_a_process_that_left_has_the_outcome_that_it_left_with(self, tape: Tape, outcome: str) -> None:
        tape.join()
        tape.leave(10, outcome, event_count=2)
        tape.lose(10, last_seq=1)
        assert process_row(tape.reduce()).outcome == outcome

    def test_a_process_that_is_gone_without_leaving_was_lost(self, tape: Tape) -> None:
        tape.join()
        tape.lose(0)
        reduced = tape.reduce()
        assert [(p.process, p.outcome) for p in reduced.processes] == [("p", "lost")]

    def test_a_process_runs_until_something_else_is_known(self, tape: Tape) -> None:
        tape.join()
        assert process_row(tape.reduce()).outcome == "running"

    def test_events_that_were_numbered_and_are_not_here_are_lost(self, tape: Tape) -> None:
        tape.add(MilestoneReached, 0, process="running", seq=1, name="engine_ready")
        tape.add(MilestoneReached, 0, process="running", seq=4, name="engine_ready")
        tape.add(MilestoneReached, 0, process="left", seq=0, name="engine_ready")
        tape.leave(0, process="left", seq=5, event_count=6)
        tape.add(MilestoneReached, 0, process="lost", seq=0, name="engine_ready")
        tape.lose(0, lost="lost", last_seq=2)
        tape.leave(0, process="wrong", event_count=0)
        assert {p.process: (p.event_count, p.lost_events) for p in tape.reduce().processes} == {
            "running": (2, 3),
            "left": (2, 4),
            "lost": (1, 2),
            "wrong": (1, 0),
        }

    def test_a_process_says_who_it_is(self, tape: Tape) -> None:
        tape.join(
            name="Worker_TP0",
            rank=3,
            pid=41,
            parent_pid=40,
            host="node",
            wall_ns=1_700_000_000_123_456_789,
            hooks=["torch.dynamo"],
            missing_hooks=["torch.aot"],
        )
        assert tape.reduce().processes == (
            Process(
                session="s",
                process="p",
                name="Worker_TP0",
                rank=3,
                pid=41,
                parent_pid=40,
                host="node",
                started_at="2023-11-14T22:13:20.123456Z",
                outcome="running",
                event_count=1,
                lost_events=0,
                hooks=("torch.dynamo",),
                missing_hooks=("torch.aot",),
            ),
        )

    def test_a_process_that_never_joined_has_a_row_without_a_name(self, tape: Tape) -> None:
        tape.span(1, 0, 10)
        row = process_row(tape.reduce())
        assert (row.name, row.started_at, row.hooks) == (None, None, ())

    def test_of_several_joins_the_first_identifies_and_the_last_names(self, tape: Tape) -> None:
        tape.join(9, name="python", pid=7, host="h", wall_ns=5, hooks=["a"])
        tape.join(1, name="Worker_TP1", rank=1, hooks=["a", "b"], missing_hooks=["c: gone"])
        row = process_row(tape.reduce())
        assert (row.name, row.rank, row.hooks, row.missing_hooks) == (
            "Worker_TP1", 1, ("a", "b"), ("c: gone",)
        )  # fmt: skip
        assert (row.pid, row.host) == (7, "h")
        assert row.started_at is not None

    def test_a_session_is_described_by_who_said_first_that_it_started(self, tape: Tape) -> None:
        wall_ns = 1_700_000_000 * SECOND
        tape.add(
            SessionStarted, 0, process="a", wall_ns=wall_ns + SECOND, label="late", versions={"torch": "2.9"}
        )
        tape.add(
            SessionStarted,
            0,
            process="b",
            wall_ns=wall_ns,
            command=["vllm", "serve"],
            versions={"python": "3.12", "torch": "2.8", "vllm": "0.11"},
        )
        tape.add(SessionStarted, 0, process="c", label="without a time")
        session = tape.reduce().session
        assert session is not None
        assert (session.session, session.label, session.command) == ("s", "late", ("vllm", "serve"))
        assert session.versions == {"python": "3.12", "torch": "2.8", "vllm": "0.11"}
        assert session.started_at == "2023-11-14T22:13:20.000000Z"
        assert (session.process_count, session.event_count) == (3, 3)
        assert (session.outcome, session.ended_at) == ("running", None)

    def test_without_session_started_a_session_starts_with_its_first_process(self, tape: Tape) -> None:
        tape.join(process="p", wall_ns=1_700_000_002 * SECOND)
        tape.join(process="q", wall_ns=1_700_000_001 * SECOND)
        session = tape.reduce().session
        assert session is not None
        assert (session.started_at, session.command, session.label) == (
            "2023-11-14T22:13:21.000000Z",
            None,
            None,
        )

    @pytest.mark.parametrize(
        ("outcomes", "expected"),
        [
            (["completed", "failed", "lost", "running"], "running"),
            (["completed", "failed", "lost"], "lost"),
            (["completed", "failed"], "failed"),
            (["completed", "completed"], "completed"),
        ],
    )
    def test_a_session_that_nobody_ended_has_the_gravest_outcome_of_its_processes(
        self, tape: Tape, outcomes: list[str], expected: str
    ) -> None:
        for outcome in outcomes:
            tape.join(5, process=outcome + str(len(tape.events)), wall_ns=1_700_000_000 * SECOND)
            process = tape.events[-1].process
            if outcome == "lost":
                tape.lose(5, lost=process)
            elif outcome != "running":
                tape.leave(5 + SECOND, outcome, event_count=2, process=process)
        session = tape.reduce().session
        assert session is not None
        assert session.outcome == expected
        assert session.ended_at == (None if expected == "running" else "2023-11-14T22:13:21.000000Z")

    def test_a_session_that_was_ended_has_the_outcome_and_the_time_of_its_end(self, tape: Tape) -> None:
        tape.join(100, wall_ns=1_700_000_000 * SECOND)
        tape.add(SessionEnded, 100 + 3 * SECOND, outcome="failed")
        tape.join(0, process="q", wall_ns=1_700_000_000 * SECOND)
        tape.add(MilestoneReached, 9 * SECOND, process="q", name="engine_ready")
        session = tape.reduce().session
        assert session is not None
        assert (session.outcome, session.ended_at) == ("failed", "2023-11-14T22:13:23.000000Z")

    def test_without_a_wall_clock_a_session_has_no_end_time(self, tape: Tape) -> None:
        tape.leave(10, event_count=1)
        session = tape.reduce().session
        assert session is not None
        assert (session.outcome, session.started_at, session.ended_at) == ("completed", None, None)

    def test_no_events_are_no_session(self) -> None:
        reduced = reduce_session([])
        assert reduced.session is None
        assert not any(reduced[1:])

    def test_claims_milestones_and_gaps_are_kept_as_they_came(self, tape: Tape) -> None:
        tape.add(GapNoted, 5, what="missing_hook", count=2, detail="torch.aot")
        tape.add(MilestoneReached, 4, name="engine_ready")
        tape.add(
            TotalClaimed,
            3,
            claim=8,
            counts="total",
            source="monitor",
            role="encoder",
            component="layer",
            stage="torch_compile",
            claimed_ns=16_770_000_000,
            resolution_ns=10_000_000,
            text="torch.compile took 16.77 s in total",
            interval=1,
            data={"intervals": [1, 2]},
        )
        reduced = tape.reduce()
        assert one(reduced.gaps) == ("s", "p", 5, "missing_hook", 2, "torch.aot")
        assert one(reduced.milestones) == ("s", "p", 4, "engine_ready")
        assert one(reduced.claims)._asdict() == {
            "session": "s",
            "process": "p",
            "claim": 8,
            "counts": "total",
            "source": "monitor",
            "role": "encoder",
            "component": "layer",
            "stage": "torch_compile",
            "claimed_ns": 16_770_000_000,
            "resolution_ns": 10_000_000,
            "text": "torch.compile took 16.77 s in total",
            "at_ns": 3,
            "interval": 1,
            "data_json": '{"intervals":[1,2]}',
        }
        # A claim is never an interval, and never in a total.
        assert (reduced.intervals, reduced.role_totals, reduced.session_totals) == ((), (), ())


def agrees(events: list[Event]) -> None:
    """Assert, table by table, that the reducer and its twin give the same."""
    reduced, expected = reduce_session(events), twin(events)
    assert reduced.processes == expected.processes
    assert reduced.intervals == expected.intervals
    assert reduced.role_totals == expected.role_totals
    assert reduced.source_totals == expected.source_totals
    assert reduced.session_totals == expected.session_totals
    assert reduced.claims == expected.claims
    assert reduced.milestones == expected.milestones
    assert reduced.gaps == expected.gaps
    assert anomalies(reduced) == expected.anomalies


def thorough(max_examples: int) -> settings:
    return settings(max_examples=max_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class TestProperties:
    @thorough(2500)
    @given(sessions())
    def test_the_reducer_agrees_with_its_twin(self, events: list[Event]) -> None:
        agrees(events)

    @thorough(500)
    @given(sessions(), st.data())
    def test_neither_order_nor_repetition_changes_anything(
        self, events: list[Event], data: st.DataObject
    ) -> None:
        again = data.draw(st.lists(st.sampled_from(events), max_size=3)) if events else []
        copies = [event.model_copy() for event in again]
        shuffled = data.draw(st.permutations(events + copies))
        # The texts too, since True == 1.
        assert repr(reduce_session(iter(shuffled))) == repr(reduce_session(events))

    @thorough(300)
    @given(sessions(), st.integers(1, 2**40 + 1), st.integers(0, 2**60))
    def test_a_finer_clock_that_began_earlier_shows_the_same_to_the_nanosecond(
        self, events: list[Event], scale: int, origin: int
    ) -> None:
        elsewhere = [
            event.model_copy(
                update={
                    name: ns * scale + origin
                    for name in ("at_ns", "alive_ns")
                    if (ns := getattr(event, name, None)) is not None
                }
            )
            for event in events
        ]
        before, after = reduce_session(events), reduce_session(elsewhere)
        assert [on_another_clock(i, scale, origin) for i in before.intervals] == list(after.intervals)
        assert [on_another_clock(t, scale, origin) for t in before.role_totals] == list(after.role_totals)
        assert [on_another_clock(t, scale, origin) for t in before.source_totals] == list(after.source_totals)
        assert [on_another_clock(t, scale, origin) for t in before.session_totals] == list(
            after.session_totals
        )

    @thorough(300)
    @given(sessions())
    def test_totals_are_what_their_definitions_allow(self, events: list[Event]) -> None:
        reduced = reduce_session(events)
        closed = [i for i in reduced.intervals if i.duration_ns is not None]
        for i in closed:
            assert 0 <= i.self_ns <= i.duration_ns
            assert i.unattributed_ns is None or i.unattributed_ns <= i.duration_ns
        assert sum(i.is_top_level for i in closed) == sum(t.top_level_count for t in reduced.role_totals)
        assert sum(t.naive_sum_ns for t in reduced.source_totals) == sum(i.duration_ns for i in closed)
        for total in reduced.role_totals:
            sources = [s.total_ns for s in reduced.source_totals if s[:4] == total[:4]]
            assert max(sources) <= total.total_ns <= sum(sources)
            assert total.crossing_ns >= 0
        for across in reduced.session_totals:
            assert across.max_ns <= across.sum_ns
            assert across.union_ns is None or across.max_ns <= across.union_ns <= across.sum_ns

    def test_ten_thousand_nested_intervals_need_no_deep_recursion(self, tape: Tape) -> None:
        """One chain by parent id, the inner half never stopped."""
        depth = 10_000
        tape.events = list(chain_of(depth))
        reduced = tape.reduce()
        last = intervals(reduced)[depth - 1]
        assert (last.outcome, last.depth, last.role) == ("abandoned", depth - 1, "encoder")
        assert role_total(reduced, "encoder").total_ns == 3 * depth


def chain_of(depth: int) -> Iterator[Event]:
    """Yield the starts of intervals inside each other, then the stops of the outer half."""
    common = {"session": "s", "process": "p"}
    for i in range(depth):
        yield StageStarted(
            **common,
            seq=i,
            at_ns=i,
            interval=i,
            stage="dynamo",
            source="torch",
            parent=i - 1 if i else None,
            role=None if i else "encoder",
        )
    for step, i in enumerate(reversed(range(depth // 2))):
        yield StageStopped(**common, seq=depth + step, at_ns=2 * depth + 2 * step + 2, interval=i)


TimedRow = TypeVar("TimedRow", Interval, RoleTotal, SourceTotal, SessionTotal)


def on_another_clock(row: TimedRow, scale: int, origin: int) -> TimedRow:
    """Return a row as a clock would show it that counts `scale` times as fast and reads `origin` at 0."""
    times = {
        name: value for name, value in row._asdict().items() if name.endswith("_ns") and value is not None
    }
    moments = ("start_ns", "stop_ns")
    return row._replace(
        **{name: value * scale + (origin if name in moments else 0) for name, value in times.items()}
    )
