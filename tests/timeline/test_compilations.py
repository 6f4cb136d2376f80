"""One record for each thing that torch compiled, whatever its events say, in whatever order they come."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Compilation, Event, GraphBreak, TotalClaimed, reduce
from tests.support import recordings
from tests.support.random_sessions import Tape


def a_frame(tape: Tape, interval: int, at: int, compile_id: str | None, **facts: Any) -> None:
    """Add the compile of a frame from `at` to `at` + 10; `facts` are what its end says."""
    started = {} if compile_id is None else {"compile_id": compile_id}
    tape.start(interval, at, "dynamo", data=started)
    tape.stop(interval, at + 10, data=facts or None)


def compiled(tape: Tape) -> tuple[Compilation, ...]:
    return reduce(tape.events).compilations


def broken(tape: Tape) -> tuple[GraphBreak, ...]:
    return reduce(tape.events).graph_breaks


def a_record(tape: Tape, interval: int | None, at: int, record: dict[str, Any], **data: Any) -> None:
    """Add the claim of a compile's duration, which carries torch's record of it."""
    tape.add(
        TotalClaimed, at, claim=at, counts="interval", source="torch", claimed_ns=1, interval=interval,
        text="duration_us=1", data={"record": record, **data},
    )  # fmt: skip


def test_a_session_without_torch_has_none() -> None:
    tape = Tape()
    tape.span(0, 0, 9, stage="torch_compile", source="monitor")
    tape.span(1, 1, 8, stage="dynamo", source="backend")
    assert compiled(tape) == ()
    assert broken(tape) == ()


def test_a_frame_is_one_with_what_torchs_record_says() -> None:
    tape = Tape()
    tape.start(0, 0, "dynamo", data={"compile_id": "0/0"})
    tape.start(1, 1, "entire_frame_compile", data={"compile_id": "0/0"}, parent=0)
    tape.stop(1, 8)
    record = {
        "co_name": "forward", "co_filename": "/model.py", "co_firstlineno": 12, "guard_count": 7,
        "accumulated_cache_size": 0, "has_guarded_code": True,
    }  # fmt: skip
    a_record(tape, 1, 9, record)
    tape.stop(0, 10, data={"graph_breaks": []})
    (found,) = compiled(tape)
    assert found == Compilation(
        "s", "p", "0/0", 0, "first", None, "model", "forward", "/model.py", 12, "completed", None, 0, 10,
        10, 0, 0, 0, 0, None, None, None, None, None, 0, 7, 0, None, None, True,
    )  # fmt: skip


def test_what_the_end_of_the_interval_says_is_enough_where_there_is_no_record() -> None:
    tape = Tape()
    a_frame(tape, 0, 0, "0/0", co_name="f", co_filename="a.py", co_firstlineno=3, guard_count=2)
    (found,) = compiled(tape)
    assert (found.function, found.file, found.line, found.guards) == ("f", "a.py", 3, 2)
    assert (found.graph_breaks, found.has_code) == (None, None)


def test_compiles_of_one_id_are_told_apart_by_their_order() -> None:
    tape = Tape()
    a_frame(tape, 0, 0, "0/0", co_name="f")
    tape.start(1, 20, "entire_backward_compile", data={"compile_id": "0/0"})
    tape.stop(1, 25)
    a_frame(tape, 2, 40, "0/0", co_name="after a reset")
    found = [(each.compile_id, each.ordinal, each.kind, each.function) for each in compiled(tape)]
    assert found == [
        ("0/0", 0, "first", "f"),
        ("0/0", 1, "backward", "f"),
        ("0/0", 2, "first", "after a reset"),
    ]


def test_a_recompile_is_one_that_found_other_versions_in_the_cache() -> None:
    tape = Tape()
    a_frame(tape, 0, 0, "0/0", accumulated_cache_size=0)
    # The first attempt raised: the second one has another id, and is the first all the same.
    a_frame(tape, 1, 20, "0/1", accumulated_cache_size=0)
    a_frame(tape, 2, 40, "0/2", accumulated_cache_size=1)
    a_record(tape, 2, 51, {"recompile_reason": "0/1: n == 2\nUser stack trace:\n  line 3"})
    a_frame(tape, 3, 60, "0/3")
    assert [(each.kind, each.reason) for each in compiled(tape)] == [
        ("first", None),
        ("first", None),
        ("recompile", "0/1: n == 2\nUser stack trace:\n  line 3"),
        ("recompile", None),
    ]


def test_of_a_recompile_that_is_refused_the_function_is_its_frames() -> None:
    tape = Tape()
    a_frame(tape, 0, 0, "4/0", co_name="f", co_filename="a.py", co_firstlineno=3)
    refused = {"fail_type": "Unsupported", "fail_reason": "limit exceeded", "fallback": "eager"}
    a_frame(tape, 1, 20, "4/1", **refused)
    a_frame(tape, 2, 40, "5/0")
    _, found, other = compiled(tape)
    assert (found.function, found.outcome, found.has_code) == ("f", "completed", False)
    assert (found.error, found.error_text, found.graph_breaks) == (None, "limit exceeded", 1)
    assert broken(tape) == (GraphBreak("s", "p", "4/1", "limit exceeded", "a.py", 3, 1, 0),)
    assert other.function is None


def test_breaks_of_one_place_are_counted_together() -> None:
    tape = Tape()
    printed = {"reason": "print\nHint: don't", "file": "a.py", "line": 4}
    a_frame(tape, 0, 0, "0/0", graph_breaks=[printed, {"reason": "no place"}, printed])
    a_frame(tape, 1, 20, "1/0", graph_breaks=[])
    assert broken(tape) == (
        GraphBreak("s", "p", "0/0", "print\nHint: don't", "a.py", 4, 2, 0),
        GraphBreak("s", "p", "0/0", "no place", None, None, 1, 0),
    )
    assert [each.graph_breaks for each in compiled(tape)] == [3, 0]


def test_a_break_that_fails_the_frame_is_where_the_user_was() -> None:
    tape = Tape()
    tape.start(0, 0, "dynamo", data={"compile_id": "0/0"})
    a_record(
        tape,
        0,
        5,
        {"fail_reason": "no print", "fail_user_frame_filename": "b.py", "fail_user_frame_lineno": 9},
        fail_type="Unsupported",
    )
    tape.stop(0, 10, outcome="failed", error="Unsupported", data={"graph_breaks": []})
    (found,) = compiled(tape)
    assert (found.outcome, found.error, found.error_text) == ("failed", "Unsupported", "no print")
    assert broken(tape) == (GraphBreak("s", "p", "0/0", "no print", "b.py", 9, 1, 0),)


def test_an_error_of_a_backends_is_no_break() -> None:
    tape = Tape()
    a_frame(tape, 0, 0, "0/0", fail_type="BackendCompilerFailed", fail_reason="boom")
    assert broken(tape) == ()
    assert compiled(tape)[0].error_text == "boom"


def answers(*graphs: str, **facts: Any) -> Compilation:
    """Return the compile of a frame whose graphs were answered so by Inductor's cache."""
    tape = Tape()
    tape.start(0, 0, "dynamo")
    for number, answer in enumerate(graphs, 1):
        tape.start(number, number, "inductor_compile", parent=0)
        data = {"cache_state": answer}
        if answer in ("bypass", "disabled"):
            data["cache_bypass_reason"] = f"why {answer}"
        tape.stop(number, number, data=data)
    tape.stop(0, 100, data=facts or None)
    (found,) = compiled(tape)
    return found


@pytest.mark.parametrize(
    ("graphs", "answer", "reason"),
    [
        ((), None, None),
        (("hit",), "hit", None),
        (("hit", "miss", "hit"), "miss", None),
        (("hit", "bypass"), "bypass", "why bypass"),
        (("bypass", "disabled", "bypass"), "bypass", "why bypass; why disabled"),
    ],
)
def test_of_several_graphs_the_answer_that_cost_most_counts(
    graphs: tuple[str, ...], answer: str | None, reason: str | None
) -> None:
    found = answers(*graphs)
    assert (found.fx_graph_cache, found.cache_bypass_reason) == (answer, reason)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"inductor_fx_local_cache_hit_count": 2}, ("hit", None, None)),
        ({"inductor_fx_local_cache_miss_count": 1}, ("miss", None, None)),
        (
            {"inductor_fx_local_cache_miss_count": 1, "inductor_fx_remote_cache_hit_count": 1},
            ("hit", None, "hit"),
        ),
        (
            {"inductor_fx_local_cache_miss_count": 1, "inductor_fx_remote_cache_miss_count": 1},
            ("miss", None, "miss"),
        ),
        ({"aotautograd_local_cache_hit_count": 1}, (None, "hit", None)),
        ({"aotautograd_remote_cache_miss_count": 1}, (None, None, "miss")),
    ],
)
def test_torchs_counts_answer_where_no_graph_does(
    facts: dict[str, int], expected: tuple[str | None, ...]
) -> None:
    found = answers(**facts)
    assert (found.fx_graph_cache, found.aot_cache, found.remote_cache) == expected


def test_the_autotune_caches_answers_come_with_the_kernels() -> None:
    tape = Tape()
    tape.start(0, 0, "dynamo")
    tape.start(1, 1, "async_compile.wait", parent=0)
    tape.stop(1, 2, data={"autotune_cache": {"hit": 3, "only 1 config": 2}})
    tape.stop(0, 9)
    assert compiled(tape)[0].autotune_cache == "hit"
    tape.start(2, 20, "dynamo")
    tape.start(3, 21, "async_compile.precompile", parent=2)
    tape.stop(3, 22, data={"autotune_cache": {"only 1 config": 2}})
    tape.stop(2, 29)
    assert compiled(tape)[1].autotune_cache is None


def test_a_whole_capture_and_a_graph_alone_are_compiles_and_so_is_a_load() -> None:
    tape = Tape()
    tape.start(0, 0, "torch_compile", "monitor", component="backbone", role="language_model")
    tape.span(1, 1, 20, stage="fullgraph_capture", parent=0)
    tape.start(2, 2, "compile_attempt_0", data={"compile_id": "3/0"}, parent=1)
    tape.stop(2, 8)
    tape.span(3, 10, 19, stage="inductor_compile", parent=1)
    tape.stop(0, 30)
    tape.span(4, 40, 50, stage="AOTAutogradCache.inductor_load")
    tape.span(5, 60, 70, stage="compile_fx_aot")
    capture, load, ahead = compiled(tape)
    assert (capture.compile_id, capture.component, capture.role) == ("3/0", "backbone", "language_model")
    assert (capture.dynamo_ns, capture.inductor_ns) == (10, 9)
    assert (load.kind, load.compile_id, load.aot_cache, load.codegen_ns) == ("load", None, "hit", 10)
    assert (ahead.kind, ahead.ordinal, ahead.inductor_ns) == ("first", 1, 10)


def test_a_compile_inside_another_one_is_its_own_and_its_time_the_outer_ones_too() -> None:
    tape = Tape()
    tape.start(0, 0, "dynamo", data={"compile_id": "0/0"})
    tape.start(1, 10, "backend_compile", parent=0)
    tape.start(2, 20, "dynamo", data={"compile_id": "1/0"}, parent=1)
    tape.span(3, 25, 30, stage="inductor_compile", parent=2)
    tape.stop(2, 40)
    tape.stop(1, 50)
    tape.stop(0, 60)
    outer, inner = compiled(tape)
    assert (outer.compile_id, outer.dynamo_ns, outer.aot_ns, outer.inductor_ns) == ("0/0", 20, 40, 0)
    assert (inner.compile_id, inner.dynamo_ns, inner.aot_ns, inner.inductor_ns) == ("1/0", 15, 0, 5)


def test_a_compile_that_goes_on_has_no_times_yet() -> None:
    tape = Tape()
    tape.join()
    tape.start(0, 0, "dynamo", data={"compile_id": "0/0"})
    tape.start(1, 1, "inductor_compile", parent=0)
    tape.stop(1, 5, data={"cache_state": "miss"})
    (found,) = compiled(tape)
    assert (found.outcome, found.duration_ns, found.dynamo_ns) == ("open", None, None)
    assert found.fx_graph_cache == "miss"


def test_a_compile_whose_process_was_killed_took_at_least_so_long() -> None:
    tape = Tape()
    tape.start(0, 0, "dynamo", data={"compile_id": "0/0"})
    tape.start(1, 1, "inductor_compile", parent=0)
    tape.stop(1, 5)
    tape.lose(5, last_seq=2)
    (found,) = compiled(tape)
    assert (found.outcome, found.duration_ns, found.inductor_ns) == ("abandoned", 5, 4)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
FIELDS = [
    "compile_id", "graph_breaks", "cache_state", "cache_bypass_reason", "autotune_cache", "co_name",
    "co_firstlineno", "fail_type", "fail_reason", "accumulated_cache_size",
    "inductor_fx_local_cache_hit_count", "guard_count", "record", "has_guarded_code", "intervals",
]  # fmt: skip
DATA = st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=4)
STAGES = ["dynamo", "entire_frame_compile", "backend_compile", "inductor_compile", "entire_backward_compile"]


@st.composite
def any_session(draw: st.DrawFn) -> list[Event]:
    """Draw a session of torch's intervals, nested or not, whose data is anything."""
    tape = Tape()
    for interval in range(draw(st.integers(0, 8))):
        process = draw(st.sampled_from(["p", "q"]))
        start, stop = sorted(draw(st.tuples(st.integers(0, 20), st.integers(0, 20))))
        stage = draw(st.sampled_from(STAGES))
        parent = draw(st.none() | st.integers(0, 7))
        tape.start(interval, start, stage, process=process, parent=parent, data=draw(DATA))
        if draw(st.booleans()):
            tape.stop(interval, stop, process=process, data=draw(DATA))
        if draw(st.booleans()):
            tape.add(
                TotalClaimed, stop, claim=interval, counts="interval", source="torch", claimed_ns=1,
                interval=draw(st.none() | st.integers(0, 7)), text="duration_us=1", data=draw(DATA),
                process=process,
            )  # fmt: skip
    return tape.events


@given(any_session(), st.randoms())
@settings(max_examples=300)
def test_whatever_the_data_is_and_in_whatever_order_the_records_are_the_same(
    events: list[Event], shuffle: random.Random
) -> None:
    timeline = reduce(events)
    shuffled = list(events)
    shuffle.shuffle(shuffled)
    again = reduce(shuffled)
    assert (again.compilations, again.graph_breaks) == (timeline.compilations, timeline.graph_breaks)
    begun = [each for each in timeline.intervals if each.stage in ("dynamo", "entire_backward_compile")]
    assert {(each.process, each.interval) for each in begun} <= {
        (each.process, each.interval) for each in timeline.compilations
    }
    for each in timeline.compilations:
        phases = (each.dynamo_ns, each.aot_ns, each.inductor_ns, each.codegen_ns, each.triton_ns)
        if each.duration_ns is None:
            assert set(phases) == {None}
        else:
            assert sum(phase or 0 for phase in phases) == each.duration_ns
    keys = [(each.process, each.compile_id, each.ordinal) for each in timeline.compilations]
    assert len(set(keys)) == len(keys)
    counts = {key: each.graph_breaks for key, each in zip(keys, timeline.compilations, strict=True)}
    for each in timeline.graph_breaks:
        counts[each.process, each.compile_id, each.ordinal] = (
            counts[each.process, each.compile_id, each.ordinal] or 0
        ) - each.count
    assert all(not left for left in counts.values())


def test_recordings_of_before_have_what_their_events_say() -> None:
    rows = recordings.recorded("demo").sql(
        """
        SELECT s.label, c.role, c.component, c.kind, c.function, c.fx_graph_cache, c.aot_cache, c.graph_breaks
        FROM compilations c JOIN sessions s USING (session)
        WHERE s.label LIKE 'demo%' ORDER BY s.label, c.start_ns
        """
    )
    assert [tuple(row.values()) for row in rows] == [
        ("demo cold", "encoder", "VisionEncoder", "first", "forward", "miss", "miss", 0),
        ("demo cold", "language_model", "DecoderLM", "first", "forward", "miss", "miss", 0),
        ("demo warm", "encoder", "VisionEncoder", "first", "forward", "hit", "hit", 0),
        ("demo warm", "language_model", "DecoderLM", "first", "forward", "hit", "hit", 0),
    ]


def test_what_a_real_engine_compiled_and_loaded_is_there_cold_and_warm() -> None:
    rows = recordings.recorded("vllm").sql(
        """
        SELECT s.label, c.kind, count(*) AS number, group_concat(DISTINCT c.aot_cache) AS aot,
            count(DISTINCT c.component) AS components
        FROM compilations c JOIN sessions s USING (session) GROUP BY 1, 2 ORDER BY 1, 2
        """
    )
    assert [tuple(row.values()) for row in rows] == [
        ("vllm cold", "first", 4, "miss", 4),
        ("vllm cold", "load", 1, "hit", 1),
        ("vllm warm", "load", 7, "hit", 4),
    ]
