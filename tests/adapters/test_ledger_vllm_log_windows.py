"""From command to ready in a log: its window, and the pieces between its stamps."""

from pathlib import Path

import pytest

from ledger import Timeline, reduce
from ledger.storage.queries import saved_queries
from ledger.testing import MemoryLedger
from tests.support.reading_logs import LOGS, S, import_content, line, read

KEPT = sorted(path.name for path in LOGS.glob("*.log"))
API, ENGINE = "(APIServer pid=1) ", "(EngineCore pid=5) "
FIRST_RANK, SECOND_RANK = "(Worker_TP0 pid=7) ", "(Worker_TP1 pid=8) "


def between(timeline: Timeline) -> list[tuple[str | None, str | None, str | None, float]]:
    """Stage, what comes before, what after, and seconds, of each piece that is between stamps."""
    return [
        (one.stage, one.after_stage, one.before_stage, one.duration_ns / S)
        for one in timeline.startup_breakdown
        if one.interval is None or one.before_stage is not None
    ]


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_logs_window_reaches_from_its_first_stamp_to_ready(name: str) -> None:
    events = read(LOGS / name).events
    timeline = reduce(events)
    [ready] = timeline.milestones
    [window] = timeline.startup_windows
    assert (window.began_by, window.ended_by) == ("event", "engine_ready")
    assert window.duration_ns == ready.at_ns - min(event.at_ns for event in events)
    # Stamps are cut to whole seconds.
    assert window.uncertainty_ns == S
    assert window.duration_ns == sum(piece.duration_ns for piece in timeline.startup_breakdown)


def test_a_log_that_shows_nothing_ready_has_one_to_its_last_stamp(tmp_path: Path) -> None:
    begins = line("Initializing a V1 LLM engine (v0.24.0) with config: x", "09:00:10", ENGINE)
    init = line("init engine (profile, create kv cache, warmup model) took 9.00 s", "09:00:30", ENGINE)
    lines = [line("Using x", "09:00:00", API), begins, init, line("Bye", "09:01:00", API)]
    for number, ended_by, seconds in ((3, "session_ended", 30), (4, "session_ended", 60)):
        [window] = reduce(import_content(tmp_path, *lines[:number]).events).startup_windows
        assert (window.ended_by, window.duration_ns) == (ended_by, seconds * S)
    [window] = reduce(import_content(tmp_path, *lines[:2], lines[3]).events).startup_windows
    assert (window.ended_by, window.duration_ns) == ("event", 60 * S)


def test_what_lies_between_graph_capture_and_the_engines_line_is_a_piece() -> None:
    timeline = reduce(read(LOGS / "vllm-0.24.0-h200-llama-cold.log").events)
    assert between(timeline) == [
        (None, None, None, 16.0),  # from the front end's first line to the engine's
        (None, None, "model_load", pytest.approx(2.283717)),
        ("engine_init", None, "torch_compile", pytest.approx(0.64)),
        ("torch_compile", None, "dynamo", pytest.approx(0.03)),
        ("torch_compile", "graph_compile", "torch_compile", pytest.approx(0.88)),
        ("engine_init", "first_run", "capture_pass", pytest.approx(1.82)),
        ("graph_capture", "capture_pass", "graph_capture", pytest.approx(2)),
        ("engine_init", "graph_capture", "engine_init", pytest.approx(13.06)),
        (None, "engine_init", "kernel_compile", pytest.approx(0.94)),
    ]


def test_a_saved_query_lists_them_the_longest_first() -> None:
    with MemoryLedger(read(LOGS / "vllm-0.24.0-h200-llama-cold.log").events) as ledger:
        rows = ledger.sql(saved_queries()["holes"])
    assert [(row["inside"], row["after_stage"], row["before_stage"]) for row in rows[:3]] == [
        (None, None, None),
        ("engine_init", "graph_capture", "engine_init"),
        (None, None, "model_load"),
    ]


def test_it_is_one_too_where_the_workers_are_processes(tmp_path: Path) -> None:
    """The engine's line states 410 s, and its workers' lines 47 of them."""
    imported = import_content(
        tmp_path,
        line("Initializing a V1 LLM engine (v0.22.0) with config: model='m'", "20:45:04", ENGINE),
        line("torch.compile took 30.00 s in total", "20:45:52", FIRST_RANK),
        line("torch.compile took 31.00 s in total", "20:45:53", SECOND_RANK),
        line("Initial profiling/warmup run took 7.00 s", "20:46:00", FIRST_RANK),
        line("Graph capturing finished in 9 secs, took 0.70 GiB", "20:52:10", FIRST_RANK),
        line(
            "init engine (profile, create kv cache, warmup model) took 410.00 s (compilation: 31.00 s)",
            "20:52:11",
            ENGINE,
        ),
    )
    timeline = reduce(imported.events)
    assert [
        (one.stage, one.after_stage, one.before_stage, one.duration_ns // S)
        for one in timeline.startup_breakdown
    ] == [
        (None, None, "engine_init", 17),
        ("engine_init", None, "torch_compile", 1),
        ("torch_compile", None, None, 31),
        ("first_run", None, None, 7),
        ("engine_init", "first_run", "graph_capture", 361),
        ("graph_capture", None, None, 9),
        ("engine_init", "graph_capture", "engine_init", 1),
    ]


def test_the_workers_stages_are_charged_and_not_the_engine_that_waits_for_them() -> None:
    timeline = reduce(read(LOGS / "vllm-0.32.0-cpu-vl-cold.log").events)
    charged = [one for one in timeline.startup_breakdown if one.stage == "engine_init"]
    assert sum(one.duration_ns for one in charged) == pytest.approx(1.99 * S)
    compiled = [one for one in timeline.startup_breakdown if one.activity == "compile"]
    [total] = [one for one in timeline.session_totals if (one.role, one.activity) == ("encoder", "compile")]
    assert sum(one.duration_ns for one in compiled if one.role == "encoder") == total.union_ns


def test_a_service_is_ready_when_its_server_is(tmp_path: Path) -> None:
    imported = import_content(
        tmp_path,
        line("Using x", "09:00:00", API),
        line("Initializing a V1 LLM engine (v0.24.0) with config: x", "09:00:10", ENGINE),
        line("init engine (profile, create kv cache, warmup model) took 9.00 s", "09:00:30", ENGINE),
        line("Supported tasks: ('generate',)", "09:00:32", API),
        line("Starting vLLM server on http://0.0.0.0:8000", "09:00:35", API),
        line("Route: /health, Methods: GET", "09:00:36", API),
        API + "INFO:     Application startup complete.",
        line("Engine 000: Avg prompt throughput: 1.0 tokens/s", "23:00:00", API),
    )
    [window] = reduce(imported.events).startup_windows
    assert (window.ended_by, window.duration_ns) == ("server_ready", 36 * S)
