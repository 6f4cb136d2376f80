"""From command to ready: windows and their pieces are what the definitions say, and cut no time twice."""

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import Event, MilestoneReached, SessionEnded, Timeline, reduce
from ledger.timeline.reducer import reduce_session
from tests.support import recordings
from tests.support.breakdown_twin import windows_and_pieces
from tests.support.gpu_starts import gpu_starts
from tests.support.growth import assert_linear
from tests.support.many_processes import chained, side_by_side
from tests.support.random_sessions import Tape
from tests.support.startup_sessions import UNIT, breakdown_sessions

HOST = {"host": "one", "boot_id": "b"}
Moments = list[tuple[object, ...]]


def thorough(max_examples: int) -> settings:
    return settings(max_examples=max_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class UnitTape(Tape):
    """A tape whose times are in units: two are a tick of the kernel's."""

    def add(self, kind: type[Any], at: int, **rest: Any) -> Any:
        return super().add(kind, at * UNIT, **rest)

    def reach(self, name: str, at: int, process: str = "p") -> None:
        self.add(MilestoneReached, at, process=process, name=name)


def windows(events: Sequence[Event]) -> Moments:
    """Return what begins and ends each window, and when, in units."""
    return [
        (window.began_by, window.ended_by, window.start_ns / UNIT, window.stop_ns / UNIT)
        for window in reduce(events).startup_windows
    ]


def pieces(events: Sequence[Event]) -> Moments:
    """Return where each piece lies, in units, what it is charged to, and what lies around it."""
    return [
        (
            piece.start_ns / UNIT,
            piece.stop_ns / UNIT,
            piece.process,
            piece.interval,
            piece.after_stage,
            piece.before_stage,
        )
        for piece in reduce(events).startup_breakdown
    ]


def paths(timeline: Timeline) -> list[str | None]:
    """Return each piece's path, from its interval outwards."""
    by_id = {(one.process, one.interval): one for one in timeline.intervals}
    found: list[str | None] = []
    for piece in timeline.startup_breakdown:
        around: list[str] = []
        interval = by_id.get((piece.process or "", -1 if piece.interval is None else piece.interval))
        while interval is not None:
            outer = by_id.get((interval.process, -1 if interval.enclosing is None else interval.enclosing))
            name = interval.stage
            if name == "import" and interval.component:
                name = f"import {interval.component.split('.')[0]}"
            elif interval.role is not None and (outer is None or outer.role != interval.role):
                name += f" [{interval.role}]"
            around.append(name)
            interval = outer
        outermost_first = [name for name, _ in groupby(reversed(around))]
        found.append(" > ".join(outermost_first[:5]) or None)
    return found


def check_partition(timeline: Timeline) -> None:
    """Windows follow one another, and the pieces of each neither overlap nor leave a hole."""
    by_window = {window: list(of) for window, of in groupby(timeline.startup_breakdown, attrgetter("window"))}
    assert by_window.keys() <= {window.window for window in timeline.startup_windows}
    for before, after in pairwise(timeline.startup_windows):
        assert before.stop_ns <= after.start_ns
    for window in timeline.startup_windows:
        of_window = by_window.get(window.window, [])
        bounds = [piece.start_ns for piece in of_window] + [window.stop_ns]
        assert bounds[0] == window.start_ns
        assert [piece.stop_ns for piece in of_window] == bounds[1:]
        assert all(piece.duration_ns == piece.stop_ns - piece.start_ns > 0 for piece in of_window)
        assert sum(piece.duration_ns for piece in of_window) == window.duration_ns
        unattributed = [piece.duration_ns for piece in of_window if piece.interval is None]
        assert sum(unattributed) == window.unattributed_ns


class TestExamples:
    def test_the_child_is_charged_before_its_parent_and_of_two_ranks_the_straggler(self) -> None:
        tape = UnitTape()
        tape.join(2, process="p", pid=10, pid_start=0, **HOST)
        tape.join(4, process="w0", pid=11, parent_pid=10, pid_start=2, rank=0, **HOST)
        tape.join(4, process="w1", pid=12, parent_pid=10, pid_start=2, rank=1, **HOST)
        tape.span(0, 2, 12, process="p", stage="engine_init", source="engine")
        tape.span(1, 3, 11, process="p", stage="waiting", source="engine")
        tape.span(0, 5, 8, process="w0", stage="weights_load", source="engine")
        tape.span(0, 5, 9, process="w1", stage="weights_load", source="engine")
        tape.span(1, 6, 7, process="w1", stage="dynamo", source="torch")
        tape.reach("server_ready", 14)
        (window,) = reduce(tape.events).startup_windows
        assert (window.began_by, window.ended_by) == ("creation", "server_ready")
        assert (window.uncertainty_ns, window.unattributed_ns) == (10_000_000, 4 * UNIT)
        assert pieces(tape.events) == [
            (0, 2, "p", None, None, "engine_init"),
            (2, 3, "p", 0, None, None),
            (3, 5, "p", 1, None, None),
            (5, 6, "w1", 0, None, None),
            (6, 7, "w1", 1, None, None),
            (7, 9, "w1", 0, None, None),
            (9, 11, "p", 1, None, None),
            (11, 12, "p", 0, None, None),
            (12, 14, "w0", None, "weights_load", None),
        ]

    def test_an_engine_that_is_ready_again_has_a_window_of_its_own(self) -> None:
        tape = UnitTape()
        for process, at in [("c", 1), ("p", 2), ("q", 3)]:
            tape.join(at, process=process, **HOST)
        tape.reach("command_started", 1, "c")
        tape.reach("engine_ready", 4, "p")
        tape.reach("engine_ready", 6, "q")
        tape.reach("engine_ready", 9, "p")
        tape.reach("command_started", 10, "c")
        tape.reach("engine_ready", 13, "q")
        assert windows(tape.events) == [
            ("command_started", "engine_ready", 1, 6),
            ("engine_ready", "engine_ready", 6, 9),
            ("command_started", "engine_ready", 10, 13),
        ]

    def test_a_server_that_is_ready_counts_before_its_engines(self) -> None:
        tape = UnitTape()
        tape.join(2, process="p", **HOST)
        tape.join(3, process="q", **HOST)
        tape.reach("engine_ready", 2)
        tape.reach("server_ready", 4)
        tape.reach("server_ready", 8, "q")
        tape.reach("engine_ready", 9)
        assert windows(tape.events) == [
            ("event", "server_ready", 2, 4),
            ("server_ready", "server_ready", 4, 8),
        ]

    def test_a_session_in_which_nothing_is_ready_ends_with_itself(self) -> None:
        tape = UnitTape()
        tape.join(3, process="p", pid=1, pid_start=9, **HOST)  # after its first event: that says nothing
        tape.span(0, 4, 6, stage="import", source="python")
        tape.leave(7)
        tape.join(9, process="z", **HOST)
        tape.add(SessionEnded, 9, process="z", outcome="completed")
        assert windows(tape.events) == [("event", "session_ended", 3, 9)]
        assert pieces(tape.events) == [
            (3, 4, "p", None, None, "import"),
            (4, 6, "p", 0, None, None),
            (6, 7, "p", None, "import", None),
            (7, 9, None, None, None, None),
        ]

    def test_two_hosts_are_laid_on_one_clock_and_the_window_says_how_well(self) -> None:
        tape = UnitTape()
        wall_ns = 10**18
        tape.join(0, process="p", pid=1, wall_ns=wall_ns, **HOST)
        tape.span(0, 1, 3, stage="import", source="python")
        tape.join(42, process="q", host="two", boot_id="c", wall_ns=wall_ns + 2 * UNIT)
        tape.join(44, process="q", host="two", boot_id="c", wall_ns=wall_ns + 5 * UNIT)
        tape.span(0, 42, 46, process="q", stage="weights_load", source="engine")
        tape.reach("server_ready", 47, "q")
        (window,) = reduce(tape.events).startup_windows
        assert window.uncertainty_ns == UNIT
        assert pieces(tape.events) == [
            (0, 1, "p", None, None, "import"),
            (1, 2, "p", 0, None, None),
            (2, 6, "q", 0, None, None),
            (6, 7, "q", None, "weights_load", None),
        ]


class TestProperties:
    @pytest.mark.slow
    @thorough(3000)
    @given(breakdown_sessions())
    def test_the_breakdown_agrees_with_its_twin(self, events: list[Event]) -> None:
        timeline = reduce(events)
        expected_windows, expected_pieces = windows_and_pieces(events)
        assert list(map(tuple, timeline.startup_windows)) == list(map(tuple, expected_windows))
        assert [piece[:-1] for piece in timeline.startup_breakdown] == list(map(tuple, expected_pieces))
        assert [piece.path for piece in timeline.startup_breakdown] == paths(timeline)

    @thorough(500)
    @given(breakdown_sessions(), st.data())
    def test_it_is_a_partition_in_whatever_order_the_events_come(
        self, events: list[Event], data: st.DataObject
    ) -> None:
        timeline = reduce(events)
        check_partition(timeline)
        shuffled = reduce(data.draw(st.permutations(events)))
        assert shuffled.startup_windows == timeline.startup_windows
        assert shuffled.startup_breakdown == timeline.startup_breakdown

    @pytest.mark.parametrize("name", recordings.RECORDINGS)
    def test_it_is_a_partition_of_every_recorded_start(self, name: str) -> None:
        ledger = recordings.recorded(name)
        for session in ledger.sessions():
            timeline = ledger.timeline(session)
            assert timeline.startup_windows
            check_partition(timeline)

    @pytest.mark.parametrize(
        ("name", "answers"),
        [("text-warm", {"hit"}), ("tp2-warm", {"hit"}), ("tp2-cold", {"hit", "miss"})],
    )
    def test_nearly_all_of_a_start_on_gpus_is_in_a_stage(self, name: str, answers: set[str]) -> None:
        [timeline] = gpu_starts(name).values()
        check_partition(timeline)
        (window,) = timeline.startup_windows
        assert (window.began_by, window.ended_by) == ("command_started", "server_ready")
        assert window.unattributed_ns < 0.05 * window.duration_ns
        kernels = [interval for interval in timeline.intervals if interval.stage == "triton_compile"]
        # Triton's cache was where the start before had left it; ranks share it within a start.
        assert {(kernel.data or {})["cache"] for kernel in kernels} == answers


@pytest.mark.parametrize("session", [side_by_side, chained], ids=lambda session: session.__name__)
def test_the_work_grows_as_the_number_of_processes_does(session: Callable[[int], list[Event]]) -> None:
    def work_on(number: int) -> Callable[[], object]:
        events = session(number)
        return lambda: reduce_session(events)

    assert_linear(work_on, 1_600)
