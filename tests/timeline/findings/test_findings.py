"""Whatever the events say: findings name what exists, promise no more than it shows, and are in order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Event, Finding, MilestoneReached, Timeline, reduce
from ledger.timeline.findings.finding import LONGEST
from ledger.timeline.findings.rules import RULES
from ledger.timeline.records import IntervalKey
from ledger.timeline.spans import union_ns
from tests.support.gpu_starts import FOLDER as GPU
from tests.support.gpu_starts import gpu_starts
from tests.support.questions import QUESTIONS, asked
from tests.support.random_sessions import SECOND, Tape, outcomes, sessions
from tests.support.recordings import RECORDINGS, recorded
from tests.support.startup_sessions import breakdown_sessions

UNIT = 60_000_000
"""Two of them are enough for a finding."""

PARTS: list[dict[str, Any]] = [
    {"role": "language_model", "component": "backbone"},
    {"role": "encoder", "component": "block"},
    {"role": "encoder"},
    {},
]
CACHES = [
    None,
    {},
    {"cpu_wait_ns": 200_000_000, "bytes": 1_000},
    *({"cache": answer} for answer in ("hit", "miss", "compiled", "failed", "disabled", "outdated")),
]
NAMES = ["f", "torch_dynamo_resume_in_f_at_2", None]
COMPILES = [
    {
        "compile_id": f"0/{number}", "co_name": name, "co_filename": "a.py", "co_firstlineno": 1,
        "recompile_reason": reason, "graph_breaks": breaks,
    }
    for number in range(2)
    for name in NAMES
    for reason in (None, "0/0: n == 2")
    for breaks in (None, [{"reason": "print", "file": "a.py", "line": 2}])
]  # fmt: skip
OF_TORCH = [{"cache_state": answer} for answer in ("hit", "miss", "bypass", "disabled")]
STAGES = st.one_of(
    st.tuples(
        st.sampled_from(
            [
                ("torch_compile", "monitor"),
                ("torch_compile", "log"),
                ("aot_load", "backend"),
                ("graph_compile", "backend"),
                ("graph_load", "backend"),
                ("backend_compile", "backend"),
                ("triton_compile", "backend"),
                ("triton_compile", "torch"),
                ("graph_capture", "engine"),
                ("graph_capture_probe", "engine"),
                ("weights_load", "engine"),
                ("engine_init", "engine"),
                ("waiting", "engine"),
                ("import", "python"),
            ]
        ),
        st.sampled_from(CACHES),
    ),
    st.tuples(
        st.sampled_from([("dynamo", "torch"), ("entire_backward_compile", "torch")]),
        st.sampled_from(COMPILES),
    ),
    st.tuples(
        st.sampled_from([("inductor_compile", "torch"), ("backend_compile", "torch")]),
        st.sampled_from(OF_TORCH),
    ),
)


@st.composite
def compiling_sessions(draw: st.DrawFn) -> list[Event]:
    """What rules of findings look at, anywhere in time, in a process or in several."""
    tape = Tape()
    moments = st.integers(0, draw(st.sampled_from([6, 30])))
    for number, process in enumerate(draw(st.sampled_from([["p"], ["p", "q"], ["p", "q", "r"]]))):
        tape.process = process
        host = draw(st.sampled_from(["one", "one", "one", "two"]))
        tape.join(
            0, name=f"Worker_{number}", host=host, boot_id=host, pid=number,
            rank=draw(st.sampled_from([None, number])), parent_pid=draw(st.integers(0, 2)), wall_ns=SECOND,
        )  # fmt: skip
        spans = draw(st.lists(st.tuples(moments, moments, STAGES, st.sampled_from(PARTS)), max_size=9))
        for interval, (start, stop, ((stage, source), data), part) in enumerate(spans):
            start, stop = sorted((start * UNIT, stop * UNIT))
            tape.start(
                interval, start, stage, source, thread=draw(st.sampled_from(["main", "other"])), **part
            )
            if draw(st.sampled_from([True] * 7 + [False])):
                tape.stop(interval, stop, outcome=draw(outcomes), data=data)
        if draw(st.booleans()):
            tape.add(
                MilestoneReached,
                draw(moments) * UNIT,
                name=draw(st.sampled_from(["engine_ready", "server_ready"])),
            )
        if draw(st.sampled_from([False] * 4 + [True])):
            tape.lose(30 * UNIT, process, 99)
    return tape.events


def check(timeline: Timeline) -> None:
    by_key = {IntervalKey(one.process, one.interval): one for one in timeline.intervals}
    claims = {(one.process, one.claim) for one in timeline.claims}
    processes = {one.process for one in timeline.processes}
    for found in timeline.findings:
        assert found.stake_ns > 0
        assert found.process is None or found.process in processes
        assert claims.issuperset(found.claims)
        assert len(set(found.intervals)) == len(found.intervals)
        own = [by_key[key] for key in found.intervals]
        assert [one.duration_ns or 0 for one in own] == sorted(
            (one.duration_ns or 0 for one in own), reverse=True
        )
        if own:
            assert found.stake_ns <= shown_ns(found, timeline)
        assert found.summary == found.summary.strip()
        assert "\n" not in found.summary + found.advice
        assert len(found.summary) <= LONGEST
        assert len(found.advice) <= LONGEST
        assert not found.summary.endswith(".")
    order = [-found.stake_ns for found in timeline.findings]
    assert order == sorted(order)


def shown_ns(found: Finding, timeline: Timeline) -> int:
    """How long the union of a finding's intervals is, each process's by itself."""
    keys = set(found.intervals)
    spans: dict[str, list[tuple[int, int]]] = {}
    for one in timeline.intervals:
        if (one.process, one.interval) in keys:
            length_ns = one.open_ns if one.stop_ns is None else one.duration_ns
            spans.setdefault(one.process, []).append((one.start_ns, one.start_ns + (length_ns or 0)))
    return sum(map(union_ns, spans.values()))


@given(st.one_of(sessions(), breakdown_sessions()))
def test_any_session(events: list[Event]) -> None:
    check(reduce(events))


@given(compiling_sessions())
def test_any_session_that_compiles(events: list[Event]) -> None:
    check(reduce(events))


@given(compiling_sessions(), st.randoms())
def test_the_order_of_the_events_changes_nothing(events: list[Event], chance: Any) -> None:
    shuffled = list(events)
    chance.shuffle(shuffled)
    assert reduce(shuffled).findings == reduce(events).findings


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings(name: str) -> None:
    ledger = recorded(name)
    for row in ledger.sql("SELECT session FROM sessions"):
        check(ledger.timeline(str(row["session"])))


@pytest.mark.parametrize("name", sorted(path.name.partition(".")[0] for path in GPU.glob("*.gz")))
def test_starts_on_gpus(name: str) -> None:
    for timeline in gpu_starts(name).values():
        check(timeline)


@pytest.mark.parametrize("question", QUESTIONS)
def test_starts_that_answer_a_question(question: str) -> None:
    ledger = asked(question)
    for session in ledger.sessions():
        check(ledger.timeline(session))


def test_an_empty_session_has_none() -> None:
    assert reduce([]).findings == ()
    assert len(RULES) == len(set(RULES))
