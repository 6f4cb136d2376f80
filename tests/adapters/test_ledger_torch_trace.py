"""Traces of torch's own: kept ones, made-up ones, broken ones, and ones taken beside the live recorder."""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import (
    Event,
    GapNoted,
    Ledger,
    ProcessJoined,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
    reduce,
)
from ledger.adapters import UnreadLine
from ledger.interchange.importers import import_into
from ledger.storage.store import Store
from ledger_torch_trace import TorchTraceImporter, lanes
from ledger_torch_trace.records import Raw, parse, split
from ledger_torch_trace.window import WINDOW
from tests.support.paths import DATA

TRACES = DATA / "traces"
BLOCK, RANKS = TRACES / "block", TRACES / "ranks"
T0 = 1_795_364_322_208_750.0
"""A time as torch writes it: µs of the wall clock, in quarters."""
NAME = "dedicated_log_torch_trace_{}abcdefgh.log"


def record(
    metadata: dict[str, Any], payload: str | None = None, *, pid: int = 7, md5: str | None = None
) -> bytes:
    """A record as torch writes it."""
    if payload is not None:
        md5 = md5 or hashlib.md5(payload.encode(), usedforsecurity=False).hexdigest()
        metadata = {**metadata, "has_payload": md5}
    text = f"V1122 16:02:47.517000 {pid} torch/_dynamo/utils.py:2350] {json.dumps(metadata)}"
    text += "" if payload is None else "".join(f"\n\t{line}" for line in payload.split("\n"))
    return text.encode() + b"\n"


def span(phase: str, stage: str, at_us: float, compile_id: str | None = "0/0", **args: Any) -> bytes:
    args = {**args, "compile_id": str(compile_id)}
    event = {"name": stage, "ts": T0 + at_us, "args": args, "ph": phase, "cat": "dynamo_timed", "pid": 0}
    return record({"chromium_event": {}}, json.dumps(event, indent=0))


def metrics(kind: str = "compilation_metrics", **fields: Any) -> bytes:
    return record({kind: {"compile_id": "0/0", "is_forward": True, **fields}})


def read(path: Path) -> list[Event | UnreadLine]:
    return list(TorchTraceImporter().read(path, lambda _: None))


def events(path: Path) -> list[Event]:
    """What a path holds, where all of it can be read; after what holds for every import."""
    found = read(path)
    assert [item for item in found if isinstance(item, UnreadLine)] == []
    return checked(found)


def checked(found: Iterable[Event | UnreadLine]) -> list[Event]:
    """The events of an import: numbered without holes, each interval and claim with an id of its own."""
    all_of_them = [item for item in found if not isinstance(item, UnreadLine)]
    by_process: defaultdict[str, list[Event]] = defaultdict(list)
    for event in all_of_them:
        by_process[event.process].append(event)
    for process in by_process.values():
        assert [event.seq for event in process] == list(range(len(process)))
        assert [type(event) for event in process[:2]] == [SessionStarted, ProcessJoined]
        started = [event.interval for event in process if isinstance(event, StageStarted)]
        stopped = [event.interval for event in process if isinstance(event, StageStopped)]
        assert len(set(started)) == len(started)
        assert len(set(stopped)) == len(stopped)
        assert set(stopped) <= set(started)
    if all_of_them:
        # A lane that does not nest has parents that its intervals outlast; nothing else may be odd.
        assert {anomaly.what for anomaly in reduce(all_of_them).anomalies} <= {"parent_does_not_enclose"}
    return all_of_them


class Intervals:
    """The intervals of one process."""

    def __init__(self, found: Iterable[Event]) -> None:
        found = list(found)
        self.starts = [event for event in found if isinstance(event, StageStarted)]
        self.stops = {event.interval: event for event in found if isinstance(event, StageStopped)}
        self.claims = [event for event in found if isinstance(event, TotalClaimed)]
        self.gaps = Counter(
            (event.what, event.detail if event.what == "unmatched_end" else None)
            for event in found
            if isinstance(event, GapNoted)
        )

    def lengths(self) -> list[tuple[str, int | None, bool]]:
        """Each interval's stage, length in µs and whether that is ambiguous, by start."""
        lengths: list[tuple[str, int | None, bool]] = []
        for start in self.starts:
            stop = self.stops.get(start.interval)
            length = None if stop is None else round((stop.at_ns - start.at_ns) / 1000)
            lengths.append((start.stage, length, is_ambiguous(stop)))
        return lengths


def is_ambiguous(stop: StageStopped | None) -> bool:
    return stop is not None and (stop.data or {}).get("ambiguous", False) is True


def made(tmp_path: Path, *records: bytes) -> Intervals:
    """What is in a trace of these records."""
    path = tmp_path / NAME.format("")
    path.write_bytes(b"".join(records))
    return Intervals(events(path))


# -- one trace ---------------------------------------------------------------------------------------------


def test_begins_and_ends_become_intervals_on_the_lane_of_their_compile(tmp_path: Path) -> None:
    seen = made(
        tmp_path,
        span("B", "dynamo", 0.25),
        span("B", "backend_compile", 10, fn_name="call_user_compiler"),
        span("B", "compile_file", 20, None),
        span("E", "compile_file", 30, None),
        span("E", "backend_compile", 40, fn_name="call_user_compiler", cache_state="miss"),
        span("E", "dynamo", 50),
        span("B", "dynamo", 60, "0/1"),
        span("E", "dynamo", 65, "0/1"),
    )
    outer, inner, file, again = seen.starts
    assert [start.stage for start in seen.starts] == ["dynamo", "backend_compile", "compile_file", "dynamo"]
    assert [start.source for start in seen.starts] == ["torch"] * 4
    assert [start.activity for start in seen.starts] == ["compile"] * 4
    assert [start.thread for start in seen.starts] == ["lane 0/0", "lane 0/0", "lane without id", "lane 0/1"]
    assert (inner.parent, file.parent, again.parent) == (outer.interval, None, None)
    assert outer.at_ns == int(T0) * 1000 + 250
    assert inner.data == {"compile_id": "0/0", "fn_name": "call_user_compiler"}
    assert seen.stops[inner.interval].data == {"cache_state": "miss"}
    assert seen.stops[outer.interval].data == {"graph_breaks": []}
    assert [length for _, length, _ in seen.lengths()] == [50, 30, 10, 5]
    assert set(seen.gaps) == {("thread_identity", None), ("monotonic_clock", None), ("trace_ends", None)}


def test_a_session_begins_with_what_the_trace_says_of_itself(tmp_path: Path) -> None:
    version = json.dumps({"pytorch_version": "2.13.0+cpu", "oss": True}, indent=0)
    path = tmp_path / NAME.format("rank_3_")
    path.write_bytes(
        span("B", "dynamo", 0)
        + record({"artifact": {"name": "torch_version", "encoding": "json"}}, version)
        + metrics(python_version="3.11.7 (main, May 9 2026) [GCC]", end_time_us=int(T0) + 5)
    )
    session, process, *_ = events(path)
    assert isinstance(session, SessionStarted)
    assert isinstance(process, ProcessJoined)
    assert session.versions == {"torch": "2.13.0+cpu", "python": "3.11.7"}
    assert (process.name, process.rank, process.pid) == ("rank 3", 3, 7)
    assert session.wall_ns == process.wall_ns == process.at_ns == session.at_ns == int(T0) * 1000
    assert re.fullmatch(r"trace-[0-9a-f]{16}", session.session)
    assert re.fullmatch(r"rank3-[0-9a-f]{16}", session.process)


def test_a_begin_without_its_end_stays_open_and_swallows_nothing(tmp_path: Path) -> None:
    seen = made(
        tmp_path,
        span("B", "dynamo", 0),
        span("B", "lost", 10),
        span("E", "dynamo", 20),
        span("B", "dynamo", 100),
        span("B", "lost", 110),
        span("E", "lost", 120),
        span("E", "dynamo", 150),
    )
    lengths = [("dynamo", 20, False), ("lost", None, False), ("dynamo", 50, False), ("lost", 10, False)]
    assert seen.lengths() == lengths
    assert [start.parent for start in seen.starts] == [None, 0, None, 2]
    [total] = reduce(events(tmp_path / NAME.format(""))).role_totals
    assert (total.total_ns, total.open_count) == (70_000, 0)


def test_an_end_without_its_begin_is_a_gap(tmp_path: Path) -> None:
    seen = made(tmp_path, span("E", "dynamo", 0), span("B", "gc", 5), span("E", "gc", 6, "1/0"))
    assert seen.lengths() == [("gc", None, False)]
    assert (seen.gaps["unmatched_end", "dynamo"], seen.gaps["unmatched_end", "gc"]) == (1, 1)


def test_an_end_can_be_that_of_a_begin_that_torch_let_go_of(tmp_path: Path) -> None:
    ends = [span("E", "outer", 30), span("E", "inner", 40), span("E", "inner", 50)]
    seen = made(tmp_path, span("B", "outer", 0), span("B", "inner", 10), *ends)
    assert seen.lengths() == [("outer", 30, False), ("inner", 30, False)]
    assert seen.gaps["unmatched_end", "inner"] == 1


def test_what_a_record_says_of_a_failure_is_the_outcome(tmp_path: Path) -> None:
    seen = made(
        tmp_path,
        span("B", "dynamo", 0),
        span("E", "dynamo", 10, fail_type="InductorError"),
        span("B", "dynamo", 20),
        span("E", "dynamo", 30, fail_type="Unsupported"),
        span("B", "dynamo", 40),
        span("E", "dynamo", 50, fail_type="SkipFrame"),
    )
    failed, answered, skipped = seen.stops.values()
    assert (failed.outcome, failed.error) == ("failed", "InductorError")
    assert (answered.outcome, answered.error) == ("completed", None)
    # Whether torch went on in eager mode or the user got it, the trace does not say.
    assert answered.data == {"fail_type": "Unsupported", "graph_breaks": []}
    assert (skipped.outcome, skipped.data) == (
        "completed",
        {"fail_type": "SkipFrame", "control": "SkipFrame", "graph_breaks": []},
    )


def test_a_fork_that_writes_into_the_same_file_has_lanes_of_its_own(tmp_path: Path) -> None:
    childs = [re.sub(rb"7 torch", b"8 torch", span(phase, "gc", at)) for phase, at in (("B", 2), ("E", 9))]
    seen = made(tmp_path, span("B", "gc", 0), childs[0], span("E", "gc", 4), childs[1])
    assert seen.lengths() == [("gc", 4, False), ("gc", 7, False)]
    assert [start.thread for start in seen.starts] == ["lane 0/0", "lane 0/0 of 8"]


def test_torchs_other_records_and_instants_are_passed_over(tmp_path: Path) -> None:
    seen = made(
        tmp_path,
        record({"str": ["file.py", 0]}),
        record({"artifact": {"name": "graph"}}, "tab\tand\n\nempty\n"),
        span("i", "fx_graph_cache_miss", 0),
        span("B", "dynamo", 1),
        span("E", "dynamo", 2),
    )
    assert seen.lengths() == [("dynamo", 1, False)]


# -- lanes that are ambiguous ------------------------------------------------------------------------------


def test_ends_without_id_are_ambiguous_as_long_as_several_begins_are_open(tmp_path: Path) -> None:
    at = [("B", 0), ("E", 5), ("B", 10), ("B", 11), ("E", 20), ("B", 22), ("E", 25), ("E", 40), ("B", 50)]
    seen = made(tmp_path, *(span(phase, "compile_file", us, None) for phase, us in [*at, ("E", 60)]))
    assert [ambiguous for _, _, ambiguous in seen.lengths()] == [False, True, True, True, False]
    # Which is which can't be told, yet their sum can.
    assert sum(length or 0 for _, length, _ in seen.lengths()) == 5 + (20 + 25 + 40 - 10 - 11 - 22) + 10
    assert [start.thread for start in seen.starts[1:3]] == ["lane without id", "lane without id, 2"]
    assert seen.gaps["ambiguous_intervals", None] == 1


def test_stages_without_id_and_with_other_names_are_not_ambiguous(tmp_path: Path) -> None:
    at = [("B", "a", 0), ("B", "b", 1), ("E", "a", 5), ("E", "b", 9)]
    seen = made(tmp_path, *(span(phase, stage, us, None) for phase, stage, us in at))
    assert seen.lengths() == [("a", 5, False), ("b", 8, False)]


def test_what_nests_in_the_lane_of_one_compile_is_not_ambiguous(tmp_path: Path) -> None:
    at = [("B", 0), ("B", 1), ("E", 5), ("E", 9)]
    seen = made(tmp_path, *(span(phase, "fw_compiler_base", us) for phase, us in at))
    assert seen.lengths() == [("fw_compiler_base", 9, False), ("fw_compiler_base", 4, False)]


def test_more_lanes_than_are_remembered_change_nothing(tmp_path: Path) -> None:
    numbers = range(2 * lanes._MANY_LANES + 10)  # pyright: ignore[reportPrivateUsage]
    begins = [span("B", "dynamo", 0, "0/0"), *(span("B", "gc", 2 * n + 1, f"{n}/1") for n in numbers)]
    ends = [span("E", "gc", 10_000 + n, f"{n}/1") for n in numbers]
    done = [span(phase, "gc", 20_000 + n, f"{n}/2") for n in numbers for phase in ("B", "E")]
    seen = made(tmp_path, *begins, *ends, *done, span("E", "dynamo", 40_000, "0/0"))
    assert len(seen.stops) == len(seen.starts) == 2 * len(numbers) + 1


def test_a_lane_of_one_compile_that_does_not_nest_is_ambiguous(tmp_path: Path) -> None:
    at = [("B", "a", 0), ("B", "a", 1), ("B", "b", 2), ("E", "a", 5), ("E", "b", 6), ("E", "a", 9)]
    seen = made(tmp_path, *(span(phase, stage, us) for phase, stage, us in at))
    assert seen.lengths() == [("a", 9, False), ("a", 4, True), ("b", 4, False)]


class Live(NamedTuple):
    """An interval as the live recorder saw it."""

    stage: str
    thread: str
    start_ns: int
    length_ns: int

    def overlaps(self, other: "Live") -> bool:
        ends = self.start_ns + self.length_ns, other.start_ns + other.length_ns
        return self is not other and self.start_ns < ends[1] and other.start_ns < ends[0]


def live_intervals() -> dict[str, list[Live]]:
    """What the live recorder saw beside the kept trace: per stage, by start."""
    of_stage: defaultdict[str, list[Live]] = defaultdict(list)
    for row in json.loads((BLOCK / "live.json").read_text()):
        of_stage[row[0]].append(Live(*row))
    return of_stage


def overlapping(intervals: Iterable[Live]) -> list[bool]:
    """Which intervals lie in a pool's threads, beside another one there."""
    known = list(intervals)
    pool = [interval for interval in known if "ThreadPool" in interval.thread]
    return [one in pool and any(one.overlaps(other) for other in pool) for one in known]


SLACK_NS = 50_000_000
"""The live recorder reads its clock after torch has, by up to some milliseconds on a busy machine."""


def test_intervals_are_marked_where_threads_overlap_and_right_where_they_are_not_marked() -> None:
    seen = Intervals(events(BLOCK))
    live = live_intervals()
    stages = {stage: len(intervals) for stage, intervals in live.items()}
    assert Counter(start.stage for start in seen.starts) == stages
    wrong: Counter[str] = Counter()
    for stage, intervals in live.items():
        starts = [start for start in seen.starts if start.stage == stage]
        stops = [seen.stops[start.interval] for start in starts]
        assert [is_ambiguous(stop) for stop in stops] == overlapping(intervals)
        for start, stop, one in zip(starts, stops, intervals, strict=True):
            if abs(stop.at_ns - start.at_ns - one.length_ns) > SLACK_NS:
                wrong[stage] += 1
                assert is_ambiguous(stop)
    # The lengths of those can't be told, and most are wrong; what they add up to is right.
    assert wrong.keys() == {"compile_file"}
    summed = sum(seen.stops[start.interval].at_ns - start.at_ns for start in seen.starts)
    assert abs(summed - sum(one.length_ns for of in live.values() for one in of)) < SLACK_NS


def test_one_lane_for_a_process_gets_lengths_wrong_that_lanes_by_compile_do_not(tmp_path: Path) -> None:
    """Of the facts: 9 of 18 `compile_file` had a wrong length, and nothing showed which."""
    [file] = BLOCK.glob("*.log")
    starts: list[tuple[str, float]] = []
    lengths: dict[int, int] = {}
    opened: list[int] = []
    for raw in split([file.read_bytes()]):
        found = parse(raw)
        if found is None or found.kind != "chromium_event" or found.payload is None:
            continue
        event = json.loads(found.payload)
        if event["ph"] == "B":
            starts.append((event["name"], event["ts"]))
            opened.append(len(starts) - 1)
        elif event["ph"] == "E":
            # As a viewer of one thread does it: the end is that of what began last, by name.
            begin = next(at for at in reversed(opened) if starts[at][0] == event["name"])
            opened.remove(begin)
            lengths[begin] = round((event["ts"] - starts[begin][1]) * 1000)
    live = [one.length_ns for one in live_intervals()["compile_file"]]
    alone = [lengths[at] for at, (stage, _) in enumerate(starts) if stage == "compile_file"]
    wrong = [abs(one - other) > SLACK_NS for one, other in zip(alone, live, strict=True)]
    seen = Intervals(events(BLOCK))
    marked = [ambiguous for stage, _, ambiguous in seen.lengths() if stage == "compile_file"]
    assert sum(wrong) >= len(wrong) // 2
    assert all(is_marked for is_wrong, is_marked in zip(wrong, marked, strict=True) if is_wrong)
    assert not all(marked)


# -- claims ------------------------------------------------------------------------------------------------


def test_metrics_become_claims_that_name_the_spans_they_are_made_of(tmp_path: Path) -> None:
    seen = made(
        tmp_path,
        span("B", "dynamo", 0),
        span("B", "entire_frame_compile", 1),
        span("B", "inductor_compile", 2),
        span("E", "inductor_compile", 20),
        span("B", "inductor_compile", 30),
        span("E", "inductor_compile", 40),
        span("E", "entire_frame_compile", 50),
        metrics(
            start_time_us=int(T0),
            end_time_us=int(T0) + 55,
            duration_us=49,
            inductor_cumulative_compile_time_us=28,
            inductor_compile_time_s=0.000028,
            joint_graph_pass_time_us=0,
            dynamo_time_before_restart_s=0.5,
            co_name="forward",
            gc_time_us=None,
        ),
        span("E", "dynamo", 60),
        metrics("bwd_compilation_metrics", is_forward=False, end_time_us=int(T0) + 70, duration_us=0),
        metrics("compilation_metrics_runtime", is_runtime=True, end_time_us=int(T0) + 80, duration_us=7),
    )
    assert [(claim.text, claim.stage, claim.claimed_ns, claim.interval) for claim in seen.claims] == [
        ("duration_us=49", "entire_frame_compile", 49_000, 1),
        ("inductor_cumulative_compile_time_us=28", "inductor_compile", 28_000, None),
        ("dynamo_time_before_restart_s=0.5", "dynamo_time_before_restart_s", 500_000_000, None),
        ("duration_us=0", "entire_backward_compile", 0, None),
        ("duration_us=7", "duration_us", 7_000, None),
    ]
    about = {"compile_id": "0/0", "is_forward": True}
    assert seen.claims[1].data == {
        "field": "inductor_cumulative_compile_time_us",
        **about,
        "intervals": [2, 3],
    }
    assert {claim.source for claim in seen.claims} == {"torch"}
    assert {claim.resolution_ns for claim in seen.claims} == {1_000}
    assert seen.claims[0].at_ns // 1000 == int(T0) + 55


def test_a_duration_that_no_ledger_could_hold_is_none(tmp_path: Path) -> None:
    fields = {"duration_us": float("nan"), "gc_time_us": 10**40, "a_us": 1e300, "b_us": True, "c_us": 3}
    seen = made(tmp_path, metrics(**fields, end_time_us=int(T0)))
    assert [claim.text for claim in seen.claims] == ["c_us=3"]


# -- order -------------------------------------------------------------------------------------------------


def without_ids(found: Iterable[Event]) -> list[dict[str, Any]]:
    return [event.model_dump(exclude={"session", "process"}) for event in found]


@settings(max_examples=20)
@given(st.integers(min_value=0, max_value=2**32))
def test_the_order_of_records_within_the_window_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("shuffled")
    file = min(RANKS.glob("*.log"))
    records = [raw.text + b"\n" for raw in split([file.read_bytes()])]
    random.Random(seed).shuffle(records)
    (folder / file.name).write_bytes(b"".join(records))
    assert without_ids(events(folder)) == without_ids(events(file))


def test_what_comes_later_than_the_window_is_not_guessed_at(tmp_path: Path) -> None:
    others = [span(phase, "gc", us) for us in range(10, WINDOW + 20) for phase in ("B", "E")]
    seen = made(tmp_path, span("E", "late", 9), *others, span("B", "late", 1))
    assert [length for stage, length, _ in seen.lengths() if stage == "late"] == [None]
    assert seen.gaps["unmatched_end", "late"] == 1


# -- folders, ranks, identity ------------------------------------------------------------------------------


def test_a_folder_is_one_session_with_a_process_for_each_rank(path: Path) -> None:
    found = events(RANKS)
    joined = [event for event in found if isinstance(event, ProcessJoined)]
    assert sorted((event.name, event.rank) for event in joined) == [("rank 0", 0), ("rank 1", 1)]
    assert len({event.session for event in found}) == 1
    store = Store.open(path)
    first = import_into(store, RANKS, TorchTraceImporter(), lambda _: None)
    second = import_into(store, RANKS, TorchTraceImporter(), lambda _: None)
    store.close()
    assert (first.events, first.unread) == (len(found), 0)
    assert (second.events, second.duplicates, second.sessions) == (0, len(found), first.sessions)
    with Ledger.open(path) as ledger:
        assert [row["process_count"] for row in ledger.sql("SELECT * FROM sessions")] == [2]
        totals = ledger.sql("SELECT rank, total_ns FROM role_totals JOIN processes USING (process)")
        assert len(totals) == 2
        # On the wall clock the two compiled at the same time.
        spans = ledger.sql("SELECT min(start_ns) AS a, max(stop_ns) AS b FROM intervals GROUP BY process")
        assert max(row["a"] for row in spans) < min(row["b"] for row in spans)


def test_what_a_trace_is_called_and_where_it_lies_changes_nothing(tmp_path: Path) -> None:
    for file in RANKS.glob("*.log"):
        letters = hashlib.sha256(file.name.encode()).hexdigest()[:8]
        shutil.copy(file, tmp_path / re.sub(r"_[a-z]+\.log", f"_{letters}.log", file.name))
    assert events(tmp_path) == events(RANKS) == events(RANKS)


def test_a_copy_beside_a_trace_is_the_same_process(tmp_path: Path) -> None:
    [file] = BLOCK.glob("*.log")
    shutil.copy(file, tmp_path / file.name)
    shutil.copy(file, tmp_path / file.name.replace("a.log", "z.log"))
    assert events(tmp_path) == events(BLOCK) == events(file)


def test_the_rank_may_come_late(tmp_path: Path) -> None:
    late = record({"chromium_event": {}, "rank": 5}, json.dumps({"ph": "i"}))
    made(tmp_path, record({"artifact": {}}, '"rank": 4'), span("B", "gc", 0), late)
    process = events(tmp_path)[1]
    assert isinstance(process, ProcessJoined)
    assert process.rank == 5


def test_progress_tells_of_both_readings(tmp_path: Path) -> None:
    shutil.copytree(RANKS, tmp_path / "ranks")
    [first, _] = sorted((tmp_path / "ranks").iterdir())
    shutil.copy(first, first.with_name(NAME.format("rank_7_")))
    importer = TorchTraceImporter()
    for folder in (RANKS, tmp_path / "ranks"):
        told: list[int] = []
        assert [item for item in importer.read(folder, told.append) if isinstance(item, UnreadLine)] == []
        sizes = [file.stat().st_size for file in folder.iterdir()]
        assert sum(told) == importer.size(folder)
        assert sum(sizes) < sum(told) < 2 * sum(sizes)


def test_a_trace_in_which_all_has_ended_is_completed_and_notes_that_it_cannot_know() -> None:
    timeline = reduce(events(RANKS))
    assert timeline.session is not None
    assert timeline.session.outcome == "completed"
    assert timeline.session.ended_at is not None
    assert {process.outcome for process in timeline.processes} == {"completed"}
    assert {process.lost_events for process in timeline.processes} == {0}
    assert [gap.process for gap in timeline.gaps if gap.what == "trace_ends"] == sorted(
        process.process for process in timeline.processes
    )


def test_one_that_ends_inside_a_compile_may_be_going_on(tmp_path: Path) -> None:
    path = tmp_path / NAME.format("")
    path.write_bytes(span("B", "_compile.compile_inner", T0) + span("B", "inner", T0 + 1))
    timeline = reduce(events(path))
    assert timeline.session is not None
    assert timeline.session.outcome == "running"
    with path.open("ab") as file:
        file.write(span("E", "inner", T0 + 2) + span("E", "_compile.compile_inner", T0 + 3))
    timeline = reduce(events(path))
    assert timeline.session is not None
    assert timeline.session.outcome == "completed"


def test_traces_and_folders_of_them_are_recognised_and_nothing_else(tmp_path: Path) -> None:
    importer = TorchTraceImporter()
    assert importer.recognises(RANKS, b"")
    for file in RANKS.iterdir():
        text = file.read_bytes()
        assert importer.recognises(file, text[:65_536])
        assert importer.recognises(file, text[text.index(b"\n\t") + 1 :])  # its first line is lost
        # torch's other logs have the same prefix; a line of one metadata key is none either
        assert not importer.recognises(file, text.replace(b"] {", b"] [__graph] {"))
    assert not importer.recognises(tmp_path, b"")
    (tmp_path / NAME.format("")).write_text("INFO 11-22 16:02:47 [backends.py:1] torch.compile took 1 s\n")
    (tmp_path / "other.log").write_bytes(span("B", "gc", 0))
    assert not importer.recognises(tmp_path, b"")
    for head in (b"", b"\x7fELF\x00\xff", b"{}\n", b'{"kind": "session_started"}\n', b"\t\n\t", b"I1122 x"):
        assert not importer.recognises(tmp_path / "x", head)


# -- broken files ------------------------------------------------------------------------------------------


def unread(path: Path) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in read(path) if isinstance(item, UnreadLine)]


def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / NAME.format("")
    good = span("B", "gc", 0)
    event = '{"ph": "B", "name": "dynamo", "ts": 1000.5, "args": {}}'
    head = b"V1122 16:02:47.517000 7 torch/_dynamo/utils.py:2350] "
    path.write_bytes(
        good
        + b"Traceback (most recent call last):\n\n"
        + record({"chromium_event": {}}, event, md5="0" * 32)
        + record({"chromium_event": {}}, event[:-3])
        + record({"chromium_event": {}, "has_payload": "0" * 32})
        + head
        + b'{"chromium_event": {}, "has\n'
        + record({"chromium_event": {}}, '{"ph": "B", "ts": 1, "args": null}')
        + record({"chromium_event": {}}, '{"ph": "E", "name": "x", "ts": 1e300}')
        + head
        + b'{"compilation_metrics": [1]}\n'
        + record({"compilation_metrics": {}}).replace(b"{}", b'{"\xff\xfe": 1}')
    )
    lines = good.count(b"\n")
    assert unread(path) == [
        (lines + 1, "not a torch record"),
        (lines + 3, "the checksum of its payload differs from its metadata"),
        (lines + 5, "its payload is not a JSON object"),
        (lines + 7, "its payload is missing"),
        (lines + 8, "its metadata is not a JSON object"),
        (lines + 9, "its payload has no name, or no time"),
        (lines + 11, "its payload has no name, or no time"),
        (lines + 13, "its metadata is not a JSON object with metrics"),
        (lines + 14, "its metadata is not a JSON object with metrics"),
    ]
    # What has another checksum, and can be read all the same, is used.
    assert [start.stage for start in Intervals(checked(read(path))).starts] == ["dynamo", "gc"]


def test_the_reason_names_the_file_where_there_are_several(tmp_path: Path) -> None:
    for number in range(2):
        name = NAME.format(f"rank_{number}_")
        (tmp_path / name).write_bytes(span("B", "gc", 0) + b"broken\n" * number)
    [(line, reason)] = unread(tmp_path)
    assert (line, reason) == (
        span("B", "gc", 0).count(b"\n") + 1,
        f"{NAME.format('rank_1_')}: not a torch record",
    )


def test_a_record_without_end_is_told_once_and_what_follows_is_read() -> None:
    text = b"V1 long\n\t" + b"x" * 10_000 + b"\n\ty\n" + b"next\n\tone\nlast\n"
    whole = [Raw(1, b"V1 long\n\t" + b"x" * 10_000 + b"\n\ty"), Raw(4, b"next\n\tone"), Raw(6, b"last")]
    for size in (1, 2, 3, 100, 5_000, 20_000):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert list(split(pieces)) == whole
        cut, *rest = split(pieces, max_bytes=1_000)
        assert (cut.line, cut.is_too_long or size > 1_000) == (1, True)
        assert rest == whole[1:]


def assert_nothing_is_invented(found: list[Event], whole: list[Event]) -> None:
    seen, full = Intervals(found), Intervals(whole)
    starts = {(start.stage, start.at_ns, start.thread): start for start in full.starts}
    for start in seen.starts:
        same = starts[start.stage, start.at_ns, start.thread]
        stop = seen.stops.get(start.interval)
        if stop is not None:
            assert stop.at_ns == full.stops[same.interval].at_ns
    assert {(claim.text, claim.at_ns) for claim in seen.claims} <= {
        (claim.text, claim.at_ns) for claim in full.claims
    }


def test_a_trace_cut_after_any_line_gives_what_is_before_the_cut(tmp_path: Path) -> None:
    file = min(RANKS.glob("*.log"))
    whole = events(file)
    lines = file.read_bytes().splitlines(keepends=True)
    cut = tmp_path / file.name
    for number in range(1, len(lines), 3):
        cut.write_bytes(b"".join(lines[:number]))
        found = read(cut)
        # At most the last record is cut.
        assert sum(isinstance(item, UnreadLine) for item in found) <= 2
        assert_nothing_is_invented(checked(found), whole)


@settings(max_examples=60)
@given(st.data())
def test_a_trace_cut_anywhere_at_both_ends_never_raises_and_invents_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    [file] = BLOCK.glob("*.log")
    text = file.read_bytes()
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    cut = tmp_path_factory.mktemp("cut") / file.name
    cut.write_bytes(text[start:stop])
    found = Intervals(checked(read(cut)))
    whole = Intervals(events(file))
    assert Counter((begun.stage, begun.at_ns) for begun in found.starts) <= Counter(
        (begun.stage, begun.at_ns) for begun in whole.starts
    )
    assert {stop.at_ns for stop in found.stops.values()} <= {stop.at_ns for stop in whole.stops.values()}


PIECES = st.sampled_from(
    [
        b"\n",
        b"\t",
        b"\n\t",
        b"{",
        b"}",
        b'"',
        b"] {",
        b'{"chromium_event": {}',
        b'"ts": 1e999',
        b"\xff",
        b"\0",
    ]
    + [b'"rank": ', b'{"compilation_metrics": {"duration_us": 1}}', span("B", "x", 0), span("E", "x", 1)]
    + [record({"chromium_event": {}}, text) for text in ('{"ph": "B", "name": "\\ud800", "ts": 1}', "[" * 99)]
    + [
        record(
            {"chromium_event": {}},
            '{"ph":"B","name":"x","ts":9,"args":{"a":[1,"b"],"c":1e400,"d":' + "9" * 99 + "}}",
        )
    ]
)


@settings(max_examples=150)
@given(st.lists(PIECES | st.binary(max_size=30), max_size=12).map(b"".join))
def test_no_bytes_make_it_raise(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / NAME.format("")
    path.write_bytes(text)
    importer = TorchTraceImporter()
    importer.recognises(path, text)
    importer.recognises(path.parent, b"")
    found = checked(read(path))
    store = Store.open(path.parent / "x.db")
    import_into(store, path, importer, lambda _: None)
    store.close()
    assert all(event.at_ns < 2**63 for event in found)


def test_a_file_that_vanishes_or_is_empty_is_no_trouble(tmp_path: Path) -> None:
    [gone] = read(tmp_path / "gone.log")
    assert gone == UnreadLine(1, "gone.log: No such file or directory", "")
    (tmp_path / NAME.format("")).touch()
    assert read(tmp_path) == []


def test_a_large_trace_is_read_in_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / NAME.format("")
    graph = record({"inductor_output_code": {}}, "x = 1\n" * 50_000)
    with path.open("wb") as file:
        for number in range(6_000):
            file.write(
                span("B", "gc", 10 * number, f"{number}/0") + span("E", "gc", 10 * number + 5, f"{number}/0")
            )
            if number % 100 == 0:
                file.write(graph)
    assert path.stat().st_size > 20_000_000
    importer = TorchTraceImporter()
    tracemalloc.start()
    number = sum(isinstance(item, StageStopped) for item in importer.read(path, lambda _: None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert number == 6_000
    assert peak < 16_000_000


# -- beside the live recorder ------------------------------------------------------------------------------


def compiling(folder: Path, backend: str, **environment: str) -> "subprocess.Popen[str]":
    """Start the program with its trace in `folder/trace`."""
    command = [sys.executable, str(TRACES / "compiled.py"), backend, "small"]
    variables = {
        **os.environ,
        "TORCH_TRACE": str(folder / "trace"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache"),
        "TORCHINDUCTOR_COMPILE_THREADS": "2",
        **environment,
    }
    return subprocess.Popen(command, env=variables, cwd=folder, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_trace_agrees_with_the_live_recorder(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    program = compiling(tmp_path, "inductor", COMPILE_LEDGER=str(tmp_path / "live.db"))
    _, stderr = program.communicate(timeout=300)
    assert program.returncode == 0, stderr
    with Ledger.open(tmp_path / "live.db") as ledger:
        live = ledger.timeline()
    imported = reduce(events(tmp_path / "trace"))
    # A trace knows nothing of the process's start and imports.
    of_live = [interval for interval in live.intervals if interval.source == "torch"]
    [total] = imported.role_totals
    [live_total] = [total for total in live.role_totals if total.role == "model"]
    assert (total.role, total.activity) == (live_total.role, live_total.activity) == ("model", "compile")
    # torch reads the clock, writes the record, then tells the recorder: for each of the few top-level
    # intervals that is some milliseconds, the first one's file to be opened, on a machine with other work.
    assert abs(total.total_ns - live_total.total_ns) < SLACK_NS * total.top_level_count
    assert total.top_level_count == live_total.top_level_count
    stages = Counter(interval.stage for interval in imported.intervals)
    assert stages == Counter(interval.stage for interval in of_live)
    assert stages["entire_backward_compile"] == 2
    threads = {interval.thread for interval in imported.intervals}
    assert {"lane 0/0", "lane 1/0", "lane without id"} <= threads
    # Of its metrics all say the same, and of the same stages.
    said = Counter((claim.stage, claim.text, claim.claimed_ns) for claim in imported.claims)
    # (The totals that torch keeps in its process, of no stage, are in no trace.)
    own = [claim for claim in live.claims if claim.stage is not None]
    assert said == Counter((claim.stage, claim.text, claim.claimed_ns) for claim in own)
    named = Counter(claim.stage for claim in imported.claims if claim.interval is not None)
    assert named == Counter(claim.stage for claim in live.claims if claim.interval is not None)
    # A compile in the pool is ambiguous where the live recorder saw it overlap another, and nowhere else.
    stops = Intervals(events(tmp_path / "trace")).stops
    files = [
        Live(one.stage, one.thread or "", one.start_ns, one.duration_ns or 0)
        for one in live.intervals
        if one.stage == "compile_file"
    ]
    marked = [is_ambiguous(stops[one.interval]) for one in imported.intervals if one.stage == "compile_file"]
    assert marked == overlapping(files)
    for stage in stages:
        mine = [interval for interval in imported.intervals if interval.stage == stage]
        theirs = [interval for interval in live.intervals if interval.stage == stage]
        for one, other in zip(mine, theirs, strict=True):
            if not is_ambiguous(stops[one.interval]):
                assert abs((one.duration_ns or 0) - (other.duration_ns or 0)) < SLACK_NS


@pytest.mark.slow
def test_two_ranks_are_two_processes_of_one_session(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    group = {"GROUP": str(tmp_path / "group"), "WORLD_SIZE": "2"}
    ranks = [compiling(tmp_path, "aot_eager", **group, RANK=str(rank)) for rank in range(2)]
    for rank in ranks:
        _, stderr = rank.communicate(timeout=300)
        assert rank.returncode == 0, stderr
    found = events(tmp_path / "trace")
    joined = {event.rank: event for event in found if isinstance(event, ProcessJoined)}
    assert joined.keys() == {0, 1}
    assert {joined[rank].pid for rank in joined} == {rank.pid for rank in ranks}
    timeline = reduce(found)
    assert [total.process_count for total in timeline.session_totals] == [2]
    assert Counter(interval.stage for interval in timeline.intervals)["entire_backward_compile"] == 4
