"""What logs as people have them give: each start-up by itself, and each number beside what it is about."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import Timeline, reduce
from ledger.interchange.unwrapping import unwrapped
from tests.support.reading_logs import LOGS, S, import_content, line, read

KINDS = LOGS / "kinds"


def timelines(name: str) -> list[Timeline]:
    """Return the start-ups of a log, of one service after the other, each reduced."""
    with TemporaryDirectory() as folder:
        path = KINDS / f"{name}.log"
        services = [read(part.path) for part in unwrapped(path, path.name, Path(folder))]
    assert [one for imported in services for one in imported.unread] == []
    return [reduce(events) for imported in services for events in imported.sessions]


def seconds(timeline: Timeline) -> dict[str, float]:
    """Return the totals of a start-up by activity: the process with most of it."""
    return {total.activity: total.max_ns / S for total in timeline.session_totals}


def differing(timeline: Timeline) -> list[tuple[float, float | None, str | None]]:
    """Return the claims that differ from what was measured."""
    return [
        (row.claimed_ns / S, row.measured_ns and row.measured_ns / S, row.main_cause)
        for row in timeline.reconciliation
        if row.difference_ns
    ]


@pytest.mark.parametrize(
    ("name", "totals", "claims"),
    [
        (
            "two-starts-no-introduction",
            [{"load": 9.5, "compile": 30, "startup": 50}, {"load": 5, "compile": 3, "startup": 20}],
            [5, 5],
        ),
        (
            "two-starts-no-introduction-2",
            [
                {"load": 9.5, "compile": 30, "capture": 15, "startup": 50},
                {"compile": 3, "capture": 8, "startup": 20},
            ],
            [6, 4],
        ),
        (
            "sequential-runs-033",
            [
                {"compile": 30, "startup": 50},
                {"compile": 33, "startup": 55},
                {"compile": 12, "startup": 20},
            ],
            [3, 3, 3],
        ),
        (
            "sequential-runs-033-2",
            [{"compile": 32, "startup": 50}, {"compile": 13, "startup": 25}],
            [4, 4],
        ),
        ("several-services", [{"compile": 30, "startup": 50}, {"compile": 15, "startup": 25}], [3, 3]),
        (
            "several-services-2",
            [
                {"compile": 30, "startup": 50},
                {"compile": 15, "startup": 25},
                {"compile": 2, "startup": 5},
            ],
            [3, 3, 3],
        ),
    ],
)
def test_each_start_is_a_session_of_its_own(
    name: str, totals: Sequence[dict[str, float]], claims: Sequence[int]
) -> None:
    found = sorted(timelines(name), key=lambda timeline: -seconds(timeline)["startup"])
    assert [seconds(timeline) for timeline in found] == sorted(totals, key=lambda one: -one["startup"])
    assert [len(timeline.claims) for timeline in found] == claims
    assert [differing(timeline) for timeline in found] == [[]] * len(found)


@pytest.mark.parametrize("name", ["ranges-same-second", "ranges-same-second-2"])
def test_ranges_that_end_in_one_second_are_held_against_their_own_intervals(name: str) -> None:
    [timeline] = timelines(name)
    assert differing(timeline) == []
    assert sum(one.stage == "graph_compile" for one in timeline.claims) >= 2


@pytest.mark.parametrize("name", ["dp-engine-line", "dp-engine-line-2"])
def test_each_engine_speaks_of_its_own_ranks(name: str) -> None:
    [timeline] = timelines(name)
    assert differing(timeline) == []
    of_ranks = [claim.claimed_ns // S for claim in timeline.claims if claim.counts == "ranks"]
    assert of_ranks == [30, 36]


@pytest.mark.parametrize(
    ("name", "claimed"), [("rounding-of-ranks", (55.52, 55.25)), ("rounding-of-ranks-2", (57.5, 55.25))]
)
def test_a_slower_rank_that_is_not_in_the_log_is_no_rounding(name: str, claimed: tuple[float, float]) -> None:
    [timeline] = timelines(name)
    assert differing(timeline) == [(*claimed, "not_in_log")]


@pytest.mark.parametrize(
    ("name", "cache", "total"),
    [("lookup-is-a-load", "hit", 11.63), ("lookup-is-a-load-2", "compiled", 22.63)],
)
def test_a_graph_that_was_looked_up_was_not_compiled(name: str, cache: str, total: float) -> None:
    [timeline] = timelines(name)
    [compiled] = [one for one in timeline.intervals if one.stage == "torch_compile"]
    loads = [one for one in timeline.intervals if one.stage == "graph_load"]
    assert (compiled.data or {})["cache"] == cache
    assert loads
    assert {one.duration_ns for one in loads} == {0}
    # The total is what the claim is held against.
    assert seconds(timeline) == {"compile": total}
    [row] = [one for one in timeline.reconciliation if one.stage == "torch_compile"]
    assert row.measured_ns == round(total * S)


@pytest.mark.parametrize(
    ("name", "backbone"), [("cache-directory-variants", 50), ("cache-directory-variants-2", 40)]
)
def test_a_cache_directory_that_a_person_shortened_names_the_component(name: str, backbone: int) -> None:
    [timeline] = timelines(name)
    assert [(one.role, one.component, (one.duration_ns or 0) // S) for one in timeline.intervals] == [
        ("language_model", "backbone", backbone),
        ("drafter", "eagle_head", 11),
    ]


@pytest.mark.parametrize(
    ("name", "holes"),
    [("hole-across-processes", {410: 363}), ("hole-across-processes-2", {170: 131, 171: 121})],
)
def test_an_engine_waits_for_its_workers(name: str, holes: dict[int, int]) -> None:
    [timeline] = timelines(name)
    engines = [one for one in timeline.intervals if one.stage == "engine_init"]
    found = {(one.duration_ns or 0) // S: (one.unattributed_ns or 0) / S for one in engines}
    assert found == holes
    assert all(one.self_ns == one.unattributed_ns for one in engines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(order=st.lists(st.integers(0, 2), max_size=60))
def test_services_give_the_same_however_they_are_interleaved(tmp_path: Path, order: list[int]) -> None:
    names = ("two-starts-no-introduction", "dp-engine-line-2", "ranges-same-second")
    alone = [(KINDS / f"{name}.log").read_text().splitlines() for name in names]
    waiting = [[f"service-{number}  | {text}" for text in lines] for number, lines in enumerate(alone)]
    mixed = [waiting[number].pop(0) for number in order if waiting[number]]
    mixed += [text for lines in waiting for text in lines]
    path = tmp_path / "mixed.log"
    path.write_text("\n".join(mixed) + "\n")
    parts = {part.service: read(part.path) for part in unwrapped(path, "mixed", tmp_path)}
    for number, lines in enumerate(alone):
        imported, expected = parts[f"service-{number}"], import_content(tmp_path, *lines)
        assert len(imported.sessions) == len(expected.sessions)
        assert [differing(reduce(events)) for events in imported.sessions] == [[]] * len(imported.sessions)
        assert [(one.text, one.claimed_ns) for one in imported.claims] == [
            (one.text, one.claimed_ns) for one in expected.claims
        ]


RELOADS = [
    ["Loading weights took 4.00 seconds", "Reloading and processing weights took 4.50 seconds"],
    ["Reloading weights inplace...", "Loading weights took 4.00 seconds"],
    ["It took 1.204 seconds to fall asleep.", "Loading weights took 4.00 seconds"],
]


@pytest.mark.parametrize("lines", RELOADS)
def test_weights_that_a_running_engine_takes_begin_no_start(tmp_path: Path, lines: list[str]) -> None:
    who, init = "(EngineCore pid=61) ", "init engine (profile, create kv cache, warmup model) took {} seconds"
    messages = ("Loading weights took 5.00 seconds", init.format("20.00"), *lines)
    stamps = ("10:00:10", "10:00:40", "10:10:00", "10:10:00")
    texts = [line(text, at, who) for text, at in zip(messages, stamps, strict=True)]
    assert len(import_content(tmp_path, *texts).sessions) == 1
    ready = line(init.format("9.00"), "10:20:20", who)
    assert len(import_content(tmp_path, *texts, ready).sessions) == 2
    load = line("Loading weights took 5.00 seconds", "10:20:00", who)
    assert len(import_content(tmp_path, *texts[:2], load).sessions) == 2


@pytest.mark.parametrize(
    ("name", "sessions"),
    [
        # Ready; an hour later another start, which is ready too.
        ("two-starts-no-introduction-3", [{}, {"load": 4, "compile": 3, "startup": 20}]),
        # An engine that never was ready, and another process of its name.
        (
            "two-starts-no-introduction-4",
            [{"load": 8.25, "compile": 30}, {"load": 4, "compile": 3, "startup": 20}],
        ),
        # All that tells of the second start is that its front end serves once more.
        ("two-starts-no-introduction-5", [{}, {"compile": 3}]),
    ],
)
def test_each_sure_sign_of_another_start_begins_one(name: str, sessions: list[dict[str, float]]) -> None:
    found = timelines(name)
    assert [seconds(timeline) for timeline in found] == sessions
    assert [differing(timeline) for timeline in found] == [[]] * len(found)


def test_a_line_that_stands_there_twice_begins_no_start(tmp_path: Path) -> None:
    serves = line("Starting vLLM server on http://0.0.0.0:8000", "10:00:00", "(APIServer pid=1) ")
    late = line(
        "Triton kernel JIT compilation during inference: k. This causes a latency spike; consider it.",
        "10:00:09", "(EngineCore pid=61) ",
    )  # fmt: skip
    assert len(import_content(tmp_path, serves, serves, late).sessions) == 1


def test_two_engines_of_one_name_that_write_at_once_are_no_two_starts(tmp_path: Path) -> None:
    texts = [
        line("torch.compile took 9.00 s in total", f"10:00:{second}", f"(EngineCore pid={pid}) ")
        for second, pid in ((10, 61), (12, 99), (30, 61), (31, 99))
    ]
    assert len(import_content(tmp_path, *texts).sessions) == 1
