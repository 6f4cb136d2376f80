"""How a compile's time divides into phases: each moment belongs to the deepest phase that is open then."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.timeline.compile_phases import PhaseSpans, PhaseTimes, begins
from ledger.timeline.records import Interval
from tests.support.random_sessions import Tape

PHASES = {
    "dynamo": 0,
    "entire_frame_compile": 0,
    "fullgraph_capture": 0,
    "backend_compile": 1,
    "entire_backward_compile": 1,
    "inductor_compile": 2,
    "_recursive_post_grad_passes": 2,
    "code_gen": 3,
    "compile_file": 3,
    "async_compile.precompile": 4,
    "triton_compile": 4,
    "mm_template_autotuning": 4,
}


def intervals(*spans: tuple[str, int, int], source: str = "torch") -> tuple[Interval, ...]:
    tape = Tape()
    for number, (stage, start, stop) in enumerate(spans):
        tape.span(number, start, stop, stage=stage, source=source)
    return tape.reduce().intervals


def times(*spans: tuple[str, int, int], has_triton: bool = False, source: str = "torch") -> PhaseTimes:
    phases = PhaseSpans()
    for interval in intervals(*spans, source=source):
        phases.add(interval)
    return phases.times(0, 100, has_triton)


def test_each_moment_belongs_to_the_deepest_phase() -> None:
    spans = (
        ("dynamo", 0, 100),
        ("backend_compile", 10, 90),
        ("inductor_compile", 20, 80),
        ("code_gen", 30, 70),
        ("async_compile.precompile", 40, 60),
        ("build_guards", 90, 95),
    )
    assert times(*spans) == PhaseTimes(20, 20, 20, 20, 20)


def test_what_several_threads_compile_at_once_is_counted_once() -> None:
    spans = (("dynamo", 0, 100), ("compile_file", 10, 50), ("compile_file", 20, 60))
    assert times(*spans) == PhaseTimes(50, 0, 0, 50, 0)


def test_the_wait_for_kernels_is_tritons_only_where_there_are_any() -> None:
    spans = (("dynamo", 0, 100), ("async_compile.wait", 10, 50), ("compile_file", 10, 50))
    assert times(*spans).codegen_ns == 40
    with_wait = (("dynamo", 0, 100), ("async_compile.wait", 10, 50))
    assert times(*with_wait) == PhaseTimes(60, 0, 0, 40, 0)
    assert times(*with_wait, has_triton=True) == PhaseTimes(60, 0, 0, 0, 40)
    assert times(*with_wait, ("async_compile.precompile", 60, 70)) == PhaseTimes(50, 0, 0, 0, 50)


def test_a_stage_of_an_engines_with_a_name_of_torchs_has_no_phase() -> None:
    assert times(("dynamo", 0, 9), ("backend_compile", 1, 5), source="backend") == PhaseTimes(0, 0, 0, 0, 0)
    assert times(("triton_compile", 1, 5), source="engine") == PhaseTimes(0, 0, 0, 0, 4)


def test_only_what_lies_in_the_compile_counts() -> None:
    phases = PhaseSpans()
    for interval in intervals(("dynamo", 10, 20), ("code_gen", 5, 12), ("code_gen", 30, 40)):
        phases.add(interval)
    assert phases.times(10, 20, has_triton=False) == PhaseTimes(8, 0, 0, 2, 0)


def test_what_is_open_has_no_length_yet() -> None:
    tape = Tape()
    tape.start(0, 5)
    phases = PhaseSpans()
    phases.add(tape.reduce().intervals[0])
    assert phases.times(0, 100, has_triton=False) == PhaseTimes(0, 0, 0, 0, 0)


SPANS = st.lists(
    st.tuples(st.sampled_from([*PHASES, "pass.other"]), st.integers(0, 30), st.integers(0, 30)).map(
        lambda span: (span[0], min(span[1:]), max(span[1:]))
    ),
    max_size=8,
)


@given(SPANS)
def test_phases_are_what_a_look_at_each_moment_finds(spans: list[tuple[str, int, int]]) -> None:
    expected = [0] * 5
    for moment in range(30):
        open_then = [
            PHASES[stage] for stage, start, stop in spans if start <= moment < stop and stage in PHASES
        ]
        if open_then:
            expected[max(open_then)] += 1
    assert list(times(*spans)) == expected


def test_a_frame_begins_a_compile_inside_another_and_a_graph_only_outside() -> None:
    (frame,) = intervals(("dynamo", 0, 1))
    (graph,) = intervals(("inductor_compile", 0, 1))
    (other,) = intervals(("dynamo", 0, 1), source="backend")
    assert begins(frame, is_inside=False)
    assert begins(frame, is_inside=True)
    assert begins(graph, is_inside=False)
    assert not begins(graph, is_inside=True)
    assert not begins(other, is_inside=False)
