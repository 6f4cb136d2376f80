"""What is read out of a log of vLLM: each stated duration as a claim, stages by stamp, nothing made up."""

import io
import json
import random
import re
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger import (
    Event,
    ProcessJoined,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
    reduce,
)
from ledger.adapters import UnreadLine
from ledger.testing import MemoryLedger
from ledger_log_lines.line_filter import LONGEST, LOOKED_AT
from ledger_log_lines.plain_text import plain
from ledger_log_lines.stamps import Calendar, iso_wall_ns
from ledger_vllm.logged_stages import LOGGED_STAGES
from ledger_vllm.message_patterns import (
    UNSTAMPED_NOTICES,
    DurationPattern,
    MessagePattern,
    NoticePattern,
    OccurrencePattern,
)
from ledger_vllm.messages import Durations, Notice, Occurrence
from ledger_vllm_log.importer import LogImporter, importer
from ledger_vllm_log.interval_placement import Nested, Placed, SoFar, put_all
from ledger_vllm_log.line_filter import LINES
from ledger_vllm_log.message_meaning import meaning_of, search_line, states_duration
from ledger_vllm_log.message_patterns import ROWS
from ledger_vllm_log.records import has_record, records
from tests.support.reading_logs import LOGS, Imported, S, import_content, line, read

INIT = "init engine (profile, create kv cache, warmup model) took "
CACHE = "Using cache directory: ~/.cache/vllm/torch_compile_cache/ba0734268d/{} for vLLM's torch.compile"
WARMING, WARM = "Warming up model for the compilation...", "Warming up done."


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Imported]:
    """Return a function that imports lines, or bytes."""

    return partial(import_content, tmp_path)


def second(at: str, event_ns: int) -> int:
    """Return by how much a time is after a stamp of 22 November."""
    stamp_ns = Calendar().at_ns(f"11-22 {at}")
    assert stamp_ns is not None
    return event_ns - stamp_ns


@pytest.fixture(scope="module", params=sorted(path.name for path in LOGS.glob("*.log")))
def real(request: pytest.FixtureRequest) -> tuple[str, Imported]:
    path = LOGS / request.param
    assert importer().recognises(path, path.read_bytes()[:65_536])
    return path.read_text(), read(path)


class TestRealLogs:
    def test_every_line_that_states_a_duration_is_a_claim(self, real: tuple[str, Imported]) -> None:
        text, imported = real
        crude = re.compile(r" (?:took|takes|time:|in)(?: [\d.]+ GiB(?: memory)? and)? ([\d.]+) ?s")
        found = [
            (number, float(one[1]))
            for number, each in enumerate(text.splitlines(), 1)
            if (one := crude.search(each)) is not None
        ]
        assert len(found) >= 3
        assert imported.unread == []
        claimed = [
            claim for claim in imported.claims if claim.counts == "interval" and claim.stage != "capture_pass"
        ]
        assert sorted((claim.data or {})["line"] for claim in claimed) == [number for number, _ in found]
        by_line = {(claim.data or {})["line"]: claim for claim in claimed}
        for number, seconds in found:
            claim = by_line[number]
            assert claim.claimed_ns == round(seconds * 1e9)
            assert claim.text is not None
            assert text.splitlines()[number - 1].endswith("] " + claim.text)

    def test_the_roles_claims_add_up_to_the_engines_line(self, real: tuple[str, Imported]) -> None:
        _, imported = real
        for claim in imported.claims:
            if claim.counts != "ranks":
                continue
            parts = [
                one
                for one in imported.claims
                if (one.source, one.stage) == ("monitor", "torch_compile") and claim.role in (None, one.role)
            ]
            rounding_ns = (claim.resolution_ns or 0) * (1 + len(parts)) // 2
            assert abs(sum(one.claimed_ns for one in parts) - claim.claimed_ns) <= rounding_ns

    def test_the_roles_totals_are_what_the_monitor_says(self, real: tuple[str, Imported]) -> None:
        _, imported = real
        for total in reduce(imported.events).role_totals:
            assert total.crossing_ns == 0
            if total.activity == "compile":
                claimed = sum(
                    one.claimed_ns
                    for one in imported.claims
                    if (one.source, one.stage, one.role) == ("monitor", "torch_compile", total.role)
                )
                assert total.total_ns == claimed

    def test_parts_lie_in_their_wholes_and_nothing_is_anomalous(self, real: tuple[str, Imported]) -> None:
        _, imported = real
        timeline = reduce(imported.events)
        assert [one for one in timeline.anomalies if one.claim is None] == []
        assert {one.outcome for one in timeline.intervals} == {"completed"}
        stage_of = {(one.process, one.interval): one.stage for one in timeline.intervals}
        for one in timeline.intervals:
            around = None if one.enclosing is None else stage_of[one.process, one.enclosing]
            if one.stage in ("dynamo", "graph_compile", "graph_load", "aot_load"):
                assert around == "torch_compile"
            elif one.stage in ("torch_compile", "first_run", "graph_capture"):
                assert around in ("engine_init", "warmup")

    def test_intervals_end_in_the_second_of_their_stamps(self, real: tuple[str, Imported]) -> None:
        text, imported = real
        starts = {(e.process, e.interval): e for e in imported.events if isinstance(e, StageStarted)}
        for stop in imported.events:
            if not isinstance(stop, StageStopped):
                continue
            data = starts[stop.process, stop.interval].data or {}
            if data["logged_by"].startswith("a progress bar"):
                continue
            logged = text.splitlines()[data["line"] - 1]
            stamp = re.search(r"\d\d-\d\d \d\d:\d\d:\d\d", logged)
            assert stamp is not None
            assert f"[{data['logged_by']}]" in logged
            assert data["uncertainty_ns"] == S
            assert 0 <= stop.at_ns - (Calendar().at_ns(stamp[0]) or 0) < S

    def test_the_same_file_twice_gives_equal_events(self, real: tuple[str, Imported], tmp_path: Path) -> None:
        text, imported = real
        copy = tmp_path / "another name"
        copy.write_text(text)
        assert read(copy) == imported
        MemoryLedger([*imported.events, *imported.events]).close()

    def test_a_markdown_copy_gives_the_same_claims(
        self, real: tuple[str, Imported], log: Callable[..., Imported]
    ) -> None:
        text, imported = real
        bold = re.sub(r"(took|takes|time:) ([\d.]+)", r"\1 **\2**", text)
        copied = log(*[f"│ {each}   │  " for each in bold.splitlines()])
        without_key = {"session": "s"}
        assert [claim.model_copy(update=without_key) for claim in copied.claims] == [
            claim.model_copy(update=without_key) for claim in imported.claims
        ]

    def test_colours_change_nothing(self, real: tuple[str, Imported], log: Callable[..., Imported]) -> None:
        text, imported = real
        coloured = re.sub(r"(\(\w+ pid=\d+\))", "\x1b[0;36m\\1\x1b[0;0m", text)
        level, grey, off = "\x1b[32mINFO\x1b[0m", "\x1b[90m", "\x1b[0m"
        coloured = re.sub(r"INFO (\S+ \S+) (\[\S+\])", rf"{level} {grey}\1{off} {grey}\2{off}", coloured)
        again = log(coloured.encode())
        session = again.events[0].session
        assert again.events == [event.model_copy(update=_moved(event, session)) for event in imported.events]

    def test_the_lines_of_each_process_may_come_in_blocks(
        self, real: tuple[str, Imported], log: Callable[..., Imported]
    ) -> None:
        """Processes are read apart, however their lines are interleaved."""
        text, imported = real
        number = iter(range(10**6))
        blocks: dict[str, list[str]] = {}
        for each in text.splitlines():
            found = re.match(r"\(\w\S* pid=(\d+)\) (?:INFO|WARNING) \d\d-", each)
            blocks.setdefault(found[1] if found else f"alone {next(number)}", []).append(each)
        again = log(*[each for block in blocks.values() for each in block])

        def known(claims: Iterable[TotalClaimed]) -> list[tuple[object, ...]]:
            of_lines = (c for c in claims if "a progress bar" not in (c.data or {})["logged_by"])
            return sorted((c.process, c.seq, c.text, c.at_ns, c.role, c.component) for c in of_lines)

        assert known(again.claims) == known(imported.claims)


def _moved(event: Event, session: str) -> dict[str, object]:
    changed: dict[str, object] = {"session": session}
    if isinstance(event, ProcessJoined):
        changed["boot_id"] = session
    return changed


class TestWhatTheLogsSay:
    def test_the_gpus_text_start_shows_what_nobody_accounts_for(self) -> None:
        imported = read(LOGS / "vllm-0.24.0-h200-llama-cold.log")
        init, captured = imported.stage("engine_init"), imported.stage("graph_capture")
        assert init.stop_ns is not None
        assert captured.stop_ns is not None
        assert init.duration_ns == 32_060_000_000
        # All that the log times inside: 12.36 s of compile, 0.18 s of first run, 4 s of capture.
        assert init.unattributed_ns == (32_060 - 12_360 - 180 - 4_000) * 1_000_000
        assert 12 * S <= init.stop_ns - captured.stop_ns <= 14 * S
        with MemoryLedger(imported.events) as ledger:
            [row] = ledger.sql("SELECT unattributed_s FROM intervals WHERE stage = 'engine_init'")
            assert row["unattributed_s"] == pytest.approx(15.52)
            [row] = ledger.sql("SELECT vllm_version FROM sessions")
            assert row["vllm_version"] == "0.24.0"

    def test_in_stock_mode_the_compile_is_between_two_stamps(self) -> None:
        imported = read(LOGS / "vllm-0.32.0-cpu-llama-stock-mode.log")
        warmup = imported.stage("warmup")
        assert (warmup.role, warmup.duration_ns) == (None, 59 * S)
        assert imported.data("warmup")["length"] == "between two stamps"
        assert [claim.stage for claim in imported.claims if claim.stage in ("warmup", "torch_compile")] == []

    def test_a_worker_has_its_last_name_and_its_rank(self) -> None:
        imported = read(LOGS / "vllm-0.32.0-cpu-vl-cold.log")
        assert {one.process: (one.name, one.pid, one.rank) for one in imported.joined.values()} == {
            "pid-20194": ("MainProcess", 20194, None),
            "pid-20373": ("EngineCore", 20373, None),
            "pid-20435": ("Worker", 20435, 0),
        }

    def test_components_come_from_tags_or_from_the_cache_directory(self) -> None:
        for name in ("vllm-0.32.0-cpu-vl-cold.log", "vllm-0.24.0-h200-vl-cold.log"):
            found = [one for one in read(LOGS / name).intervals if one.stage == "torch_compile"]
            assert [(one.role, one.component) for one in found] == [
                ("encoder", "Qwen2_5_VisionPatchEmbed"),
                ("encoder", "Qwen2_5_VisionBlock"),
                ("encoder", "Qwen2_5_VisionBlock"),
                ("encoder", "Qwen2_5_VisionPatchMerger"),
                ("language_model", "backbone"),
            ]

    def test_a_compile_says_whether_it_was_a_load(self) -> None:
        for name in ("vllm-0.32.0-cpu-vl-cold.log", "vllm-0.24.0-h200-vl-cold.log"):
            events = read(LOGS / name).events
            caches = [
                (one.data or {}).get("cache")
                for one in events
                if isinstance(one, StageStarted) and one.stage == "torch_compile"
            ]
            assert caches == ["compiled", "compiled", "hit", "compiled", "compiled"]

    def test_before_there_was_aot_a_load_is_of_all_its_graphs(self, log: Callable[..., Imported]) -> None:
        loaded = "Directly load the compiled graph(s) for dynamic shape from the cache, took 1.00 s"
        lines = [line("Dynamo bytecode transform time: 1.00 s"), line(loaded), line(COMPILED)]
        assert log(*lines).data("torch_compile")["cache"] == "hit"
        one_compiled = line("Compiling a graph for shape 1 takes 1.00 s")
        assert log(*lines[:2], one_compiled, lines[2]).data("torch_compile")["cache"] == "compiled"
        assert "cache" not in log(lines[2]).data("torch_compile")

    def test_a_saved_query_says_which_components_were_compiled(self, log: Callable[..., Imported]) -> None:
        query = (resources.files("ledger.storage") / "queries" / "components.sql").read_text()
        with MemoryLedger(read(LOGS / "vllm-0.24.0-h200-vl-cold.log").events) as ledger:
            rows = ledger.sql(query)
            assert [(row["component"], row["cache"], row["times"]) for row in rows] == [
                ("Qwen2_5_VisionPatchEmbed", "compiled", 1),
                ("Qwen2_5_VisionBlock", "compiled", 1),
                ("Qwen2_5_VisionBlock", "hit", 1),
                ("Qwen2_5_VisionPatchMerger", "compiled", 1),
                ("backbone", "compiled", 1),
            ]
            assert {row["label"] for row in rows} == set(ledger.sessions())
        failed = line("[backbone] Compiling model again due to a load failure from a/b, reason: x")
        again = line("[backbone] torch.compile took 5.00 s in total", "09:18:12")
        imported = log(failed, line("[backbone] Starting torch.compile", "09:18:03"), again)
        with MemoryLedger(imported.events) as ledger:
            assert [row["cache"] for row in ledger.sql(query)] == ["failed", "compiled"]
        # Where a monitor was recorded as well, that compile is not counted twice.
        start, stop = (
            event
            for event in imported.events
            if isinstance(event, (StageStarted, StageStopped)) and event.interval == 1
        )
        recorded = [
            start.model_copy(update={"seq": 100, "interval": 9, "source": "monitor"}),
            stop.model_copy(update={"seq": 101, "interval": 9}),
        ]
        with MemoryLedger([*imported.events, *recorded]) as ledger:
            assert [(row["cache"], row["times"]) for row in ledger.sql(query)] == [("compiled", 1)]

    def test_a_claim_names_its_interval_but_for_ranks(self) -> None:
        imported = read(LOGS / "vllm-0.24.0-h200-vl-cold.log")
        stages = {one.interval: one for one in imported.intervals}
        for claim in imported.claims:
            assert (claim.interval is not None) == (claim.counts == "interval")
            if claim.interval is not None:
                named = stages[claim.interval]
                assert (named.stage, named.role, named.component) == (
                    claim.stage, claim.role, claim.component,
                )  # fmt: skip
                assert named.duration_ns == claim.claimed_ns
                assert named.stop_ns == claim.at_ns


# wording, stage, source, range, N
WORDINGS: list[tuple[str, str, str, str | None]] = [
    ("torch.compile took {} s in total", "torch_compile", "monitor", None),
    ("torch.compile takes {} s in total", "torch_compile", "monitor", None),
    ("torch.compile and initial profiling/warmup run together took {} s in total",
     "torch_compile", "monitor", None),
    ("Initial profiling/warmup run took {} s", "first_run", "monitor", None),
    ("Dynamo bytecode transform time: {} s", "dynamo", "backend", None),
    ("Directly load the compiled graph(s) for compile range (1, 8192) from the cache, took {} s",
     "graph_load", "backend", "(1, 8192)"),
    ("Directly load the compiled graph(s) for dynamic shape from the cache, took {} s",
     "graph_load", "backend", "dynamic shape"),
    ("Directly load the compiled graph(s) for shape None from the cache, took {} s",
     "graph_load", "backend", "shape None"),
    ("Compiling a graph for compile range (1, 2048) takes {} s", "graph_compile", "backend", "(1, 2048)"),
    ("Compiling a graph for dynamic shape takes {} s", "graph_compile", "backend", "dynamic shape"),
    ("Compiling a graph for general shape takes {} s", "graph_compile", "backend", "general shape"),
    ("Compiling a graph for shape 1 takes {} s", "graph_compile", "backend", "shape 1"),
    ("Saved compiler manager cache in {} seconds.", "cache_save", "backend", None),
    ("Loading weights took {} seconds", "weights_load", "engine", None),
    ("Initializing model took {} seconds", "model_init", "engine", None),
    ("Model loading took 14.25 GiB and {} seconds", "model_load", "engine", None),
    ("Model loading took 14.25 GiB memory and {} seconds", "model_load", "engine", None),
    ("JIT kernel warmup finished in {}s.", "kernel_warmup", "engine", None),
    ("Graph capturing finished in {} secs, took 0.50 GiB", "graph_capture", "engine", None),
    (INIT + "{} seconds", "engine_init", "engine", None),
    (INIT + "{} s", "engine_init", "engine", None),
    ("Multi-modal warmup completed in {}s", "warmup", "engine", None),
]  # fmt: skip


DURATIONS: Final = [row for row in ROWS if isinstance(row, DurationPattern)]
OCCURRENCES: Final = [row for row in ROWS if isinstance(row, OccurrencePattern)]
NOTICES: Final = [row for row in ROWS if isinstance(row, NoticePattern)]


class TestTable:
    """Every row of the table of messages can be reached, and comes out as it says."""

    @pytest.mark.parametrize("row", [*ROWS, *UNSTAMPED_NOTICES], ids=lambda row: row.example)
    @settings(max_examples=40)
    @given(data=st.data())
    def test_whatever_a_row_matches_gets_through_the_line_filter(
        self, row: MessagePattern, data: st.DataObject
    ) -> None:
        flags = 0 if isinstance(row, DurationPattern) else re.DOTALL
        message = data.draw(st.from_regex(re.compile(row.pattern, flags), fullmatch=True))
        assert row.keyword in message
        encoded = f"x {message}".encode()
        assert search_line(encoded, 0, len(encoded)) is not None
        for text in (message, f"[backbone] {message}") if not isinstance(row, NoticePattern) else (message,):
            if not isinstance(row, DurationPattern) or stated_at_most(text, 10**6):
                assert row in UNSTAMPED_NOTICES or meaning_of(text) is not None

    @pytest.mark.parametrize("row", DURATIONS, ids=lambda row: row.example)
    def test_a_duration_comes_out_as_its_interval_and_its_claims(
        self, log: Callable[..., Imported], row: DurationPattern
    ) -> None:
        imported = log(line(row.example))
        assert imported.unread == []
        interval, own, *totals = imported.stage(row.stage.name), *imported.claims
        seconds = re.fullmatch(row.pattern, row.example)
        assert seconds is not None
        printed = seconds.groupdict()
        assert interval.duration_ns == (
            round(float(printed["seconds"]) * S)
            if "seconds" in printed
            else round(float(printed["milliseconds"]) * S / 1e3)
        )
        assert (own.stage, own.source, own.counts) == (row.stage.name, row.stage.source, "interval")
        assert (own.claimed_ns, own.text) == (interval.duration_ns, row.example)
        assert own.interval is not None
        assert interval.outcome == row.outcome
        assert row.data.items() <= imported.data(row.stage.name).items()
        assert [(one.stage, one.role, one.counts) for one in totals] == [
            (total.stage.name, total.role, "ranks") for total in row.rank_totals
        ]

    @pytest.mark.parametrize("row", OCCURRENCES, ids=lambda row: row.example)
    def test_an_occurrence_comes_out_in_its_stage(
        self, log: Callable[..., Imported], row: OccurrencePattern
    ) -> None:
        begins = row.name.replace("_ends", "_begins")
        before = [line(one.example) for one in OCCURRENCES if one.name == begins != row.name]
        imported = log(*before, line(row.example, "09:18:04"))
        assert imported.unread == []
        assert [one.stage for one in imported.intervals] == ([row.stage.name] if row.stage else [])
        if row.stage is not None:
            assert row.data.items() <= imported.data(row.stage.name).items()
            is_open = row.name.endswith("_begins")
            assert imported.stage(row.stage.name).outcome == ("open" if is_open else row.outcome)

    @pytest.mark.parametrize("row", NOTICES, ids=lambda row: row.example)
    def test_a_notice_comes_out_under_its_name(self, row: NoticePattern) -> None:
        assert isinstance(notice := meaning_of(row.example), Notice)
        assert notice.name == row.name

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: row.example)
    def test_an_example_is_of_its_own_row_alone(self, row: MessagePattern) -> None:
        assert [one for one in ROWS if re.fullmatch(one.pattern, row.example, re.DOTALL)] == [row]

    def test_a_stage_is_described_once_and_is_part_of_one_that_is_there(self) -> None:
        for row in (*DURATIONS, *OCCURRENCES):
            if row.stage is not None:
                assert row.stage is LOGGED_STAGES[row.stage.name]
                assert row.stage.within is None or row.stage.within in LOGGED_STAGES

    @pytest.mark.parametrize(
        "error", ["AssertionError", "vllm.v1.NoRoute.SomeException: none", "ValueError: x"]
    )
    def test_a_failure_has_the_exception_also_without_a_text(
        self, log: Callable[..., Imported], error: str
    ) -> None:
        imported = log(
            line("Starting torch.compile"), line("EngineCore failed to start."), line(error, "09:18:03")
        )
        [stopped] = [event for event in imported.events if isinstance(event, StageStopped)]
        assert (stopped.outcome, stopped.error) == ("failed", error.partition(":")[0])


def stated_at_most(message: str, seconds: float) -> bool:
    return all(float(number) <= seconds for number in re.findall(r"\d+(?:\.\d+)?", message))


class TestWordings:
    @pytest.mark.parametrize(("wording", "stage", "source", "range_"), WORDINGS)
    def test_each_is_a_claim_and_an_interval(
        self, log: Callable[..., Imported], wording: str, stage: str, source: str, range_: str | None
    ) -> None:
        message = wording.format("12.25")
        imported = log(line(message, place="y/z.py:12"))
        [claim], [interval] = imported.claims, imported.intervals
        assert (claim.stage, claim.source, claim.counts) == (stage, source, "interval")
        assert (claim.claimed_ns, claim.resolution_ns, claim.text) == (12_250_000_000, 10**7, message)
        data = dict(claim.data or {})
        assert (data.pop("line"), data.pop("logged_by")) == (1, "y/z.py:12")
        assert data.pop("range", None) == range_
        assert data == ({"includes": "first_run"} if "together" in message else {})
        assert (interval.stage, interval.source, interval.thread) == (stage, "log", None)
        assert interval.duration_ns == 12_250_000_000
        assert second("09:18:02", interval.stop_ns or 0) == 0
        assert imported.unread == []

    @pytest.mark.parametrize(
        ("message", "name", "details"),
        [
            ("[backbone] Starting torch.compile", "compile_begins", {"tag": "backbone"}),
            (CACHE.format("rank_0_0"), "cache_directory", {"path": CACHE.format("rank_0_0")[23:-25]}),
            ("Directly load the compiled graph(s) for dynamic shape from the cache",
             "graph_loaded", {"range": "dynamic shape"}),
            ("Directly load the compiled graph for shape None from the cache",
             "graph_loaded", {"range": "shape None"}),
            ("Directly load AOT compilation from path a/model", "aot_loaded", {"path": "a/model"}),
            ("[x] Compiling model again due to a load failure from a/b, reason: it took 5.0 s, x",
             "aot_load_failed", {"tag": "x", "path": "a/b", "reason": "it took 5.0 s, x"}),
            ("saved AOT compiled function to a/model", "aot_saved", {"path": "a/model"}),
            (WARMING, "warmup_begins", {}),
            (WARM, "warmup_ends", {}),
            ("rank 3 in world size 8 is assigned as DP rank 0", "rank_assigned", {"rank": 3}),
        ],
    )  # fmt: skip
    def test_what_has_no_duration_is_an_occurrence(
        self, message: str, name: str, details: dict[str, object]
    ) -> None:
        occurrence = meaning_of(message)
        assert isinstance(occurrence, Occurrence)
        assert occurrence.pattern.name == name
        found = occurrence._asdict()
        del found["pattern"]
        assert {key: value for key, value in found.items() if value is not None} == details

    @pytest.mark.parametrize(
        ("message", "name", "detail"),
        [
            ("Initializing a V1 LLM engine (v0.32.0) with config: x", "engine", "0.32.0"),
            ("Initializing an LLM engine (v0.6.1.post1) with config: x", "engine", "0.6.1.post1"),
            ("Starting vLLM API server 0 on http://0.0.0.0:8000", "ready", None),
            ("Starting vLLM server on http://0.0.0.0:8000", "ready", None),
            ("Supported tasks: ('generate',)", "ready", None),
            ("Supported_tasks: ['generate']", "ready", None),
            ("Core engine process 0 ready.", "engine_answers", None),
            ("Application startup complete.", "serves", None),
        ],
    )
    def test_what_is_about_the_start_up_is_a_notice(
        self, message: str, name: str, detail: str | None
    ) -> None:
        assert meaning_of(message) == (name, detail, message)

    @pytest.mark.parametrize(
        "message",
        [
            "Cache the graph of compile range (1, 8192) for later use",
            "",
        ],
    )
    def test_other_messages_mean_nothing(self, message: str) -> None:
        assert meaning_of(message) is None

    @given(st.text())
    def test_no_text_breaks_it(self, text: str) -> None:
        assert isinstance(meaning_of(text), (Durations, Occurrence, Notice, type(None)))

    def test_the_engines_line_gives_claims_of_ranks(self, log: Callable[..., Imported]) -> None:
        for dash in ("—", "-", "--", "â€”", "\ufffd\ufffd\ufffd"):
            message = f"{INIT}35.06 s (compilation: 20.72 s {dash} language_model: 11.04 s, encoder: 9.68 s)"
            imported = log(line(message))
            assert [(one.counts, one.stage, one.role, one.claimed_ns / S) for one in imported.claims] == [
                ("interval", "engine_init", None, 35.06),
                ("ranks", "torch_compile", None, 20.72),
                ("ranks", "torch_compile", "language_model", 11.04),
                ("ranks", "torch_compile", "encoder", 9.68),
            ]
            assert [one.interval for one in imported.claims[1:]] == [None, None, None]

    def test_a_load_without_a_length_is_a_point_that_says_so(self, log: Callable[..., Imported]) -> None:
        imported = log(
            line("Dynamo bytecode transform time: 1.00 s", "09:18:01"),
            line("Directly load the compiled graph(s) for dynamic shape from the cache", "09:18:01"),
            line("Directly load AOT compilation from path a/model", "09:18:01"),
            line("torch.compile took 1.05 s in total", "09:18:01"),
        )
        for stage in ("graph_load", "aot_load"):
            assert imported.stage(stage).duration_ns == 0
            assert imported.data(stage)["length"] == "not stated"
        assert imported.data("aot_load")["path"] == "a/model"
        assert imported.data("torch_compile")["cache"] == "hit"
        assert len(imported.claims) == 2

    def test_a_load_that_failed_is_a_failed_interval(self, log: Callable[..., Imported]) -> None:
        imported = log(
            line("Compiling model again due to a load failure from a/model, reason: no such guard"),
            line("[backbone] Starting torch.compile", "09:18:02"),
            line("[backbone] torch.compile took 5.00 s in total", "09:18:08"),
        )
        load, compiled = imported.stage("aot_load"), imported.stage("torch_compile")
        assert (load.outcome, load.enclosing, load.duration_ns) == ("failed", None, 0)
        assert imported.data("aot_load")["reason"] == "no such guard"
        assert compiled.outcome == "completed"
        assert imported.data("torch_compile")["cache"] == "compiled"

    @pytest.mark.parametrize(
        ("component", "role"),
        [
            ("backbone", "language_model"),
            ("Qwen2_5_VisionBlock", "encoder"),
            ("eagle_head", "drafter"),
            ("dflash2_candidate_selector", "drafter"),
            ("cross_decoder", "language_model"),
        ],
    )
    def test_a_component_names_a_role(self, log: Callable[..., Imported], component: str, role: str) -> None:
        compiled = "torch.compile took 2.00 s in total"
        for imported in (
            log(line(f"[{component}] {compiled}")),
            log(line(CACHE.format(f"rank_0_0/{component}")), line(compiled)),
        ):
            found = imported.stage("torch_compile")
            assert (found.role, found.component) == (role, component)
            assert (imported.claims[0].role, imported.claims[0].component) == (role, component)

    def test_before_components_all_was_the_language_model(self, log: Callable[..., Imported]) -> None:
        imported = log(line(CACHE.format("rank_0_0")), line("torch.compile takes 2.00 s in total"))
        found = imported.stage("torch_compile")
        assert (found.role, found.component) == ("language_model", None)

    def test_a_role_that_the_log_does_not_say_is_not_made_up(self, log: Callable[..., Imported]) -> None:
        found = log(line("torch.compile took 2.00 s in total")).stage("torch_compile")
        assert (found.role, found.component) == (None, None)


COMPILED = "torch.compile took 2.00 s in total"
GITHUB = "2026-11-22T08:18:03.1234567Z "
PREFIXES: list[tuple[str, tuple[str | None, int | None, int | None, str | None]]] = [
    ("", (None, None, None, None)),
    ("(EngineCore_DP0 pid=143) ", ("EngineCore_DP0", 143, None, None)),
    ("(Worker_TP1 rank=1 pid=9) ", ("Worker_TP1", 9, 1, None)),
    (GITHUB, (None, None, None, None)),
    (GITHUB + "(Worker pid=9) ", ("Worker", 9, None, None)),
    ("[2026-11-22T08:18:03Z] (Worker pid=9) ", ("Worker", 9, None, None)),
    ("Nov 22 08:18:02 host env[2827]: (EngineCore_DP0 pid=2827) ", ("EngineCore_DP0", 2827, None, None)),
    ("2026-11-22 08:18:02 | INFO | (Worker pid=9) ", ("Worker", 9, None, None)),
    ("(EngineCore pid=5) (RayWorkerWrapper pid=345, ip=192.0.2.4) ",
     ("RayWorkerWrapper", 345, None, "192.0.2.4")),
    ("(RayWorkerProc pid=345, ip=192.0.2.4) (Worker_TP3 rank=3 pid=345) ",
     ("Worker_TP3", 345, 3, "192.0.2.4")),
    ("\x1b[36m(RayWorkerWrapper pid=691)\x1b[0m ", ("RayWorkerWrapper", 691, None, None)),
    ("Processed prompts:   0%|          | 0/1 [00:00<?, ?it/s](EngineCore pid=8) ",
     ("EngineCore", 8, None, None)),
    ("Capturing:  20%|██ | 1/5 [00:00<00:01]\rCapturing: 100%|██| 5/5\r(Worker pid=9) ",
     ("Worker", 9, None, None)),
    ("│ (Worker pid=9) ", ("Worker", 9, None, None)),
    ("> `(Worker pid=9) ", ("Worker", 9, None, None)),
    ("    (Worker pid=9)\u00a0", ("Worker", 9, None, None)),
    ("\x1b]8;;http://x\x07(Worker pid=9)\x1b]8;;\x07 ", ("Worker", 9, None, None)),
]  # fmt: skip
SUFFIXES = [
    "", "\r", "   ", "   │", " |", "`", "\x1b[0m", "\x1b[K", "  \u00a0",
    "\x1b[32m [repeated 3x across cluster]\x1b[0m",
    " [repeated 3x across cluster] (Ray deduplicates logs by default. Set RAY_DEDUP_LOGS=0 to disable.)",
]  # fmt: skip


class TestPrefixes:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize(("prefix", "speaker"), PREFIXES)
    def test_what_others_put_around_a_line_is_taken_off(
        self,
        log: Callable[..., Imported],
        prefix: str,
        speaker: tuple[str | None, int | None, int | None, str | None],
        suffix: str,
    ) -> None:
        imported = log((line(COMPILED, who=prefix) + suffix + "\n").encode())
        assert imported.unread == []
        [claim], [joined] = imported.claims, imported.joined.values()
        assert claim.text == COMPILED
        name, pid, rank, host = speaker
        assert (joined.name, joined.pid, joined.rank, joined.host) == (name or "unnamed", pid, rank, host)
        assert (claim.data or {}).get("repeated") == (3 if "repeated" in suffix else None)

    @pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
    def test_the_level_does_not_matter(self, log: Callable[..., Imported], level: str) -> None:
        assert len(log(f"{level} 02-26 18:57:55 monitor.py:33] {COMPILED}").claims) == 1  # vLLM 0.7

    def test_an_iso_time_with_a_zone_gives_the_wall_clock(self, log: Callable[..., Imported]) -> None:
        imported = log(
            line("Initializing a V1 LLM engine (v0.24.0) with config: x", who=GITHUB),
            line(COMPILED, "09:18:12"),
        )
        [started] = [event for event in imported.events if isinstance(event, SessionStarted)]
        assert started.wall_ns == iso_wall_ns(GITHUB) == 1_795_335_483_123_456_700
        joined = imported.joined["pid-7"]
        # It joined with its first event: the compile began 8 s after the line with the ISO time.
        assert joined.wall_ns == started.wall_ns + 8 * S
        with MemoryLedger(imported.events) as ledger:
            assert ledger.sql("SELECT started_at FROM sessions")[0]["started_at"].startswith("2026-11-22T08")

    @pytest.mark.parametrize(
        "text", ["2026-11-22 08:18:02", "2026-13-22T08:18:02Z", "11-22 08:18:02", "", "2026-11-22T08:18Z"]
    )
    def test_a_time_without_a_zone_says_nothing_about_it(self, text: str) -> None:
        assert iso_wall_ns(text) is None

    def test_a_zone_is_counted(self) -> None:
        assert iso_wall_ns("2026-11-22T08:18:02+01:00 x") == iso_wall_ns("2026-11-22 07:18:02.000 Z")

    def test_json_records(self, log: Callable[..., Imported]) -> None:
        fields = {
            "asctime": "2026-11-22 09:18:02,250", "levelname": "INFO", "name": "vllm.compilation.monitor",
            "processName": "Worker_TP1", "process": 7, "message": COMPILED,
        }  # fmt: skip
        text = json.dumps(fields)
        assert has_record(text)
        imported = log(text)
        [claim], [interval], [joined] = imported.claims, imported.intervals, imported.joined.values()
        assert (joined.name, joined.pid) == ("Worker_TP1", 7)
        assert (claim.data or {})["logged_by"] == "vllm.compilation.monitor"
        assert second("09:18:02", interval.stop_ns or 0) == S // 4
        assert imported.data("torch_compile")["uncertainty_ns"] == 1_000_000

    @pytest.mark.parametrize(
        "text",
        [
            '{"asctime": 1}', '{"asctime": ', '["asctime"]', '{"asctime":' * 5_000,
            '{"asctime": "2026-11-22 09:18:02,250", "levelname": "INFO", "name": "uvicorn", '
            '"processName": "x", "process": 7, "message": "torch.compile took"}',
        ],
    )  # fmt: skip
    def test_other_json_is_no_record(self, text: str) -> None:
        assert not has_record(text)

    def test_json_may_hold_what_is_no_text(self, log: Callable[..., Imported]) -> None:
        text = (
            '{"asctime": "99-99 took", "levelname": "", "name": "vllm", "processName": "\\ud800", '
            '"process": true, "message": "x"}'
        )
        assert log(text, text.replace("true", "7"), text.replace("true", "-7")).claims == []

    def test_two_records_in_one_line_are_two(self, log: Callable[..., Imported]) -> None:
        imported = log(
            line(COMPILED, who="(A pid=1) ") + line("Loading weights took 3.00 seconds", who="(B pid=2) ")
        )
        assert [(one.process, one.text) for one in imported.claims] == [
            ("pid-1", COMPILED),
            ("pid-2", "Loading weights took 3.00 seconds"),
        ]

    def test_a_process_has_its_last_name(self, log: Callable[..., Imported]) -> None:
        told_rank = line("rank 1 in world size 2 is assigned as DP rank 0, PP rank 0, TP rank 1")
        names = ["(VllmWorker-1 pid=7) ", "(Worker pid=7) ", "(Worker_TP1 pid=7) "]
        imported = log(*[line(COMPILED, who=name) for name in names], told_rank.replace("TP0", "TP1"))
        [joined] = imported.joined.values()
        assert (joined.process, joined.name, joined.rank) == ("pid-7", "Worker_TP1", 1)

    def test_equal_pids_on_two_hosts_are_two_processes(self, log: Callable[..., Imported]) -> None:
        imported = log(*[line(COMPILED, who=f"(W pid=7, ip=192.0.2.{n}) ") for n in (1, 2, 1)])
        assert sorted(imported.joined) == ["pid-7@192.0.2.1", "pid-7@192.0.2.2"]
        [total] = reduce(imported.events).session_totals
        assert total.union_ns is None  # nobody knows how their clocks lie

    def test_processes_of_one_log_share_its_clock(self, log: Callable[..., Imported]) -> None:
        imported = log(*[line(COMPILED, who=f"(W pid={n}) ") for n in (1, 2)])
        [total] = reduce(imported.events).session_totals
        assert (total.union_ns, total.sum_ns, total.process_count) == (2 * S, 4 * S, 2)


def place(parts: Sequence[Placed], whole: Placed | None) -> None:
    inside = [Nested(part) for part in parts]
    put_all(inside if whole is None else [Nested(whole, inside)], SoFar())


class TestPlacing:
    def put(self, *parts: tuple[str, float, float], whole: tuple[float, float] | None = None) -> list[Placed]:
        """Return parts, and the whole last, of (stage, stamp, length) in seconds."""
        placed = [Placed(stage, round(at * S), S, round(length * S)) for stage, at, length in parts]
        around = None if whole is None else Placed("whole", round(whole[0] * S), S, round(whole[1] * S))
        place(placed, around)
        return placed if around is None else [*placed, around]

    def spans(self, placed: Sequence[Placed]) -> list[tuple[float, float]]:
        return [(one.start_ns / S, one.stop_ns / S) for one in placed]

    def test_a_stage_ends_at_its_stamp(self) -> None:
        assert self.spans(self.put(("dynamo", 10, 2.5))) == [(7.5, 10)]

    def test_it_ends_later_in_that_second_where_its_predecessor_needs_it(self) -> None:
        found = self.put(("dynamo", 10, 2.5), ("cache_save", 10, 0.25), ("aot_save", 12, 2.0))
        assert self.spans(found) == [(7.5, 10), (10, 10.25), (10.25, 12.25)]

    def test_what_overlaps_by_more_than_that_is_left_to_overlap(self) -> None:
        found = self.put(("dynamo", 10, 2.5), ("cache_save", 11, 5))
        assert self.spans(found) == [(7.5, 10), (6, 11)]

    def test_ranges_may_overlap_one_another_but_not_dynamo(self) -> None:
        found = self.put(("dynamo", 10, 2.5), ("graph_compile", 28, 18), ("graph_compile", 34, 20))
        assert self.spans(found) == [(7.5, 10), (10, 28), (14, 34)]

    def test_parts_move_into_their_whole_as_far_as_their_stamps_let_them(self) -> None:
        found = self.put(("dynamo", 10, 2), ("graph_compile", 20, 9.5), whole=(20, 11.5))
        assert self.spans(found) == [(8.5, 10.5), (10.5, 20), (8.5, 20)]

    def test_a_whole_is_not_stretched(self) -> None:
        # 47.72 s claimed where eight and a half minutes passed.
        found = self.put(("dynamo", 10, 10), ("graph_compile", 60, 37), whole=(520, 47.72))
        assert self.spans(found) == [(0, 10), (23, 60), (472.28, 520)]

    def test_what_has_no_length_lies_in_nothing_that_touches_it(self) -> None:
        first, point, last = self.put(("first_run", 10, 1), ("first_run", 10, 0), ("first_run", 10, 0.5))
        assert first.stop_ns < point.start_ns == point.stop_ns < last.start_ns

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["dynamo", "graph_compile", "first_run", "moment"]),
                st.integers(0, 3), st.integers(0, 5 * S),
            ),
            max_size=8,
        ),
        st.none() | st.tuples(st.integers(0, 3), st.integers(0, 20 * S)),
    )  # fmt: skip
    def test_ends_keep_their_seconds_and_their_order(
        self, parts: list[tuple[str, int, int]], whole: tuple[int, int] | None
    ) -> None:
        at, placed = 100, list[Placed]()
        for stage, later, length_ns in parts:
            at += later
            is_moment = stage == "moment"
            placed.append(Placed(stage, at * S, S, 0 if is_moment else length_ns, is_moment))
        around = None if whole is None else Placed("whole", (at + whole[0]) * S, S, whole[1])
        place(placed, around)
        ordered = placed if around is None else [*placed, around]
        for one in ordered:
            assert 0 <= one.stop_ns - one.stamp_ns < S
            assert one.stop_ns - one.start_ns == one.length_ns
        for one, after in pairwise(ordered):
            assert one.stop_ns <= after.stop_ns


class TestStarts:
    def test_a_compile_does_not_begin_before_it_was_announced(self, log: Callable[..., Imported]) -> None:
        imported = log(
            line("[backbone] Starting torch.compile", "09:18:02"),
            line("[backbone] torch.compile took 2.75 s in total", "09:18:04"),
        )
        found = imported.stage("torch_compile")
        assert second("09:18:02", found.start_ns) == 0
        assert second("09:18:04", found.stop_ns or 0) == 0.75 * S
        assert imported.data("torch_compile")["announced_ns"] == found.start_ns

    def test_what_passed_before_the_claimed_time_stays_visible(self, log: Callable[..., Imported]) -> None:
        imported = log(
            line("[backbone] Starting torch.compile", "09:18:02"),
            line("[backbone] Dynamo bytecode transform time: 10.00 s", "09:18:12"),
            line("[backbone] torch.compile took 47.72 s in total", "09:26:41"),
        )
        found, dynamo = imported.stage("torch_compile"), imported.stage("dynamo")
        announced_ns = imported.data("torch_compile")["announced_ns"]
        # A part of it began before the time that its own line states.
        assert found.duration_ns == 519 * S
        assert [one.claimed_ns for one in imported.claims if one.stage == "torch_compile"] == [47_720_000_000]
        assert (found.stop_ns or 0) - dynamo.start_ns == (found.stop_ns or 0) - announced_ns == 519 * S

    def test_a_log_that_ends_inside_leaves_its_starts_open(self, log: Callable[..., Imported]) -> None:
        imported = log(
            line(WARMING, "09:18:02"),
            line("[Block] Starting torch.compile", "09:18:03"),
            line("[Block] Dynamo bytecode transform time: 0.50 s", "09:18:04"),
        )
        found = {one.stage: one for one in imported.intervals}
        assert {stage: one.outcome for stage, one in found.items()} == {
            "warmup": "open", "torch_compile": "open", "dynamo": "completed",
        }  # fmt: skip
        assert (found["torch_compile"].role, found["torch_compile"].component) == ("encoder", "Block")
        assert second("09:18:03", found["torch_compile"].start_ns) == 0
        assert second("09:18:02", found["warmup"].start_ns) == 0

    def test_a_log_that_begins_inside_makes_no_start_up(self, log: Callable[..., Imported]) -> None:
        imported = log(line(COMPILED), line(WARM, "09:18:05"))
        assert [one.stage for one in imported.intervals] == ["torch_compile"]

    def test_a_compile_that_failed_stays_open_beside_the_next(self, log: Callable[..., Imported]) -> None:
        imported = log(
            line("[backbone] Starting torch.compile", "09:18:02"),
            line("[backbone] Starting torch.compile", "09:18:20"),
            line("[backbone] torch.compile took 4.00 s in total", "09:18:24"),
        )
        first, second_ = sorted(imported.intervals, key=lambda one: one.start_ns)
        assert (first.outcome, second_.outcome) == ("open", "completed")

    @pytest.mark.parametrize("name", sorted(path.name for path in LOGS.glob("*.log")))
    def test_real_logs_may_be_cut_anywhere(self, log: Callable[..., Imported], name: str) -> None:
        content = (LOGS / name).read_bytes()
        whole = {claim.text for claim in read(LOGS / name).claims}
        cut = random.Random(name)
        for _ in range(8):
            begin, end = sorted(cut.sample(range(len(content)), 2))
            imported = log(content[begin:end])
            # Where the second of two equal bars is cut off, the first one counts.
            assert {claim.text for claim in imported.claims if claim.stage != "capture_pass"} <= whole
            for one in imported.intervals:
                assert one.outcome in ("completed", "open")

    def test_ever_new_starts_do_not_pile_up(self, log: Callable[..., Imported]) -> None:
        starts = [
            line("Starting torch.compile"),
            line(WARMING),
            line("Dynamo bytecode transform time: 0.01 s"),
        ]
        imported = log(*(starts * 700))
        outcomes = [one.outcome for one in imported.intervals]
        assert (outcomes.count("open"), outcomes.count("completed")) == (1_400, 700)


class TestCalendar:
    def test_a_log_over_new_year_does_not_run_backwards(self, log: Callable[..., Imported]) -> None:
        imported = log(
            f"INFO 12-31 23:59:58 [x.py:1] {COMPILED}",
            "INFO 01-01 00:00:05 [x.py:1] Loading weights took 7.00 seconds",
        )
        first, then = imported.claims
        assert then.at_ns - first.at_ns == 7 * S

    def test_what_began_before_new_year_has_a_time(self, log: Callable[..., Imported]) -> None:
        [interval] = log(f"INFO 01-01 00:00:01 [x.py:1] {COMPILED}").intervals
        assert interval.duration_ns == 2 * S

    def test_the_line_of_the_year_before_may_come_late(self) -> None:
        calendar = Calendar()
        times = [calendar.at_ns(stamp) for stamp in ("01-01 00:00:01", "12-31 23:59:59", "01-01 00:00:02")]
        assert [None if at is None else (at - (times[0] or 0)) // S for at in times] == [0, -2, 1]

    @pytest.mark.parametrize(("leap", "days"), [((), 1), (("02-29 12:00:00",), 2)])
    def test_a_29th_of_february_is_there_where_the_log_has_it(self, leap: tuple[str, ...], days: int) -> None:
        calendar = Calendar()
        times = [calendar.at_ns(stamp) or 0 for stamp in ("02-28 00:00:00", *leap, "03-01 00:00:00")]
        assert times[-1] - times[0] == days * 86_400 * S

    @given(st.lists(st.integers(0, 150 * 86_400), min_size=1, max_size=30), st.integers(1, 28))
    def test_time_goes_on_as_it_did(self, steps: list[int], day: int) -> None:
        at = datetime(2025, 11, day)
        calendar, last_ns = Calendar(), None
        for step in steps:
            at += timedelta(seconds=step)
            if (at.month, at.day) == (2, 29) or at.year % 4 == 0:
                return
            at_ns = calendar.at_ns(f"{at:%m-%d %H:%M:%S}")
            assert at_ns is not None
            if last_ns is not None:
                assert at_ns - last_ns == step * S
            last_ns = at_ns

    @pytest.mark.parametrize(
        "stamp", ["13-01 00:00:00", "02-30 00:00:00", "11-22 24:00:00", "00-01 00:00:00"]
    )
    def test_an_invalid_stamp_is_reported(self, log: Callable[..., Imported], stamp: str) -> None:
        imported = log(f"INFO {stamp} [x.py:1] {COMPILED}")
        assert imported.events == []
        [unread] = imported.unread
        assert (unread.line, unread.reason) == (1, f"the stamp {stamp} is not a valid time")


class TestUnread:
    @pytest.mark.parametrize(
        "message",
        [
            "torch.compile took 1.5 minutes in total",
            "JIT kernel warmup took 12 s",
            "Compiling time: 3 s",
            "mistook 5 s",
            "Something was done in 2.00 [secs].",
            "Something failed after 95.10s.",
            "Something is ready: elapsed=61.20s cache=/c",
            "Something took: 0:01:05.25",
            "Something: elapsed_ms=12",
            "Something took 2m 5s",
            f"torch.compile took {'9' * 400} s in total",
            "torch.compile took 99999999999 s in total",
        ],
    )
    def test_a_duration_in_an_unknown_wording_is_reported(
        self, log: Callable[..., Imported], message: str
    ) -> None:
        imported = log("", line(message))
        assert imported.events == []
        assert imported.unread == [UnreadLine(2, "mentions a duration in an unknown wording", message)]

    @pytest.mark.parametrize(
        "row",
        [
            " engine   model_load   1.657   1.665   -0.008   omitted_stage of model_load -0.008   "
            "Model loading took 0.02 GiB and 1.657153 seconds",
            " monitor   torch_compile  1,716.250  5.710  +1,710.540  cumulative of torch_compile +1,710.539, "
            "rounding +0.001  torch.compile took 1716.25 s in total",
            " engine   model_load   1.657   1.665   -0.008   not included (model_load): -0.008 s   "
            "Model loading took 0.02 GiB and 1.657153 seconds",
            " monitor   torch_compile  1,716.250  5.710  +1,710.540  includes what was reported before: "
            "+1,710.539 s, rounding: +0.001 s  torch.compile took 1716.25 s in total",
        ],
    )
    def test_a_row_of_our_own_report_is_none(self, log: Callable[..., Imported], row: str) -> None:
        assert log(line(COMPILED), row).unread == []

    def test_so_is_one_without_a_stamp(self, log: Callable[..., Imported]) -> None:
        imported = log(COMPILED)
        assert imported.events == []
        assert [(one.line, one.text) for one in imported.unread] == [(1, COMPILED)]

    @pytest.mark.parametrize(
        "message",
        [
            "", "It took place", "took 5 GiB", "time: 11:22:33", "takes 3 arguments",
            "Reloading and processing weights took 3.25 seconds", "GC took 3.100ms to complete.",
            "Initializing model", "Cache the graph of compile range (1, 2048) for later use",
            "Compiling model again due to a load failure from a/b, reason: it took 5.0 s in total",
        ],
    )  # fmt: skip
    def test_other_lines_are_passed_over(self, log: Callable[..., Imported], message: str) -> None:
        # Beside a line that is known, so that the log is of a start-up.
        assert log(line(message), line(COMPILED)).unread == []

    def test_no_more_than_a_thousand_are_kept(self, log: Callable[..., Imported]) -> None:
        unread = log(*[line("Something took 3.1ms") for _ in range(1_234)]).unread
        assert len(unread) == 1_001
        assert unread[-1] == UnreadLine(1_234, "234 more unread lines up to here: not kept", "")

    def test_a_broken_encoding_costs_only_its_own_characters(self, log: Callable[..., Imported]) -> None:
        imported = log(b"\xff\xfe\x80 " + line(COMPILED).encode() + b"\n\xc3(\n" + line(WARMING).encode())
        assert [one.text for one in imported.claims] == [COMPILED]

    @pytest.mark.parametrize("where", ["before", "after"])
    def test_a_line_of_10_mb_is_reported_as_unread(self, log: Callable[..., Imported], where: str) -> None:
        long = b"x took 5 s " * 1_000_000
        parts = [long + b"\n", line(COMPILED).encode() + b"\n"]
        imported = log(*(parts if where == "before" else reversed(parts)))
        [unread] = imported.unread
        number = 1 if where == "before" else 2
        assert (unread.line, unread.reason) == (number, "a line of more than 65,536 bytes: not read")
        assert len(unread.text) <= LOOKED_AT
        assert [(one.text, (one.data or {})["line"]) for one in imported.claims] == [(COMPILED, 3 - number)]

    @pytest.mark.parametrize("content", [b"", b"\n", b"\r\r\n\n\n", b"hello\n"])
    def test_where_there_is_nothing_nothing_comes(self, log: Callable[..., Imported], content: bytes) -> None:
        assert log(content) == Imported([], [])


class TestRecognises:
    @pytest.mark.parametrize(("prefix", "_"), PREFIXES)
    def test_a_line_of_vllms_logger_is_enough(self, prefix: str, _: object) -> None:
        head = b"Collecting vllm\n\xff\n" + line("x", who=prefix).encode() + b"\nmore"
        assert LogImporter().recognises(Path("x"), head)

    @pytest.mark.parametrize(
        "head",
        [
            b"", b"\0" + line("x").encode(), b"\x7fELF\0\0", b"hello\n", b"INFO: Started server process\n",
            b'{"kind": "process_joined"}\n', b"SQLite format 3\0", b"V1122 09:18:02.123 1 torch/x.py:1] {}\n",
            b"2026-11-22 09:18:02,123 INFO x: y\n",
        ],
    )  # fmt: skip
    def test_other_files_are_not(self, head: bytes) -> None:
        assert not LogImporter().recognises(Path("x"), head)

    def test_it_says_what_it_reads(self) -> None:
        assert importer().name == "a log of vLLM's"


JSON_LINE = (
    '{"asctime": "2026-11-22 09:18:02,250", "levelname": "INFO", "message": "x", "name": "vllm.v1", '
    '"processName": "EngineCore", "process": 5}'
)


class Rendered(NamedTuple):
    """A line that was written, and what it is to be read as."""

    text: str
    process: str
    message: str
    seconds: str
    stage: str


NUMBERS = st.integers(0, 10**6).map(lambda hundredths: f"{hundredths / 100:.2f}")
AROUND = st.tuples(
    st.sampled_from(
        ["", GITHUB, "\x1b[36m", "│ ", "> ", "(RayWorkerProc pid=1, ip=192.0.2.1) ", "bar: 5%\r", "    "]
    ),
    st.sampled_from(SUFFIXES[:9]),
)
NOISE = st.sampled_from(
    [
        "", "Loading safetensors checkpoint shards: 100% Completed", "took a while", "Traceback:",
        line("Using max model len 256"), "\x1b[32mINFO\x1b[0m:     Application startup complete.", "a\rb",
    ]
)  # fmt: skip


@st.composite
def rendered(draw: st.DrawFn) -> list[Rendered | str]:
    """Draw a log: lines of several processes that state durations, with others in between."""
    at, found = 0, list[Rendered | str]()
    for _ in range(draw(st.integers(0, 12))):
        at += draw(st.integers(0, 30))
        wording, stage, _, _ = draw(st.sampled_from(WORDINGS))
        seconds, pid = draw(NUMBERS), draw(st.integers(1, 3))
        tag = draw(st.sampled_from(["", "[backbone] ", "[Qwen2_5_VisionBlock] "]))
        tag = "" if wording.startswith(("Multi", "init")) else tag
        before, after = draw(AROUND)
        message = tag + wording.format(seconds)
        clock = f"{10 + at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}"
        text = before + line(message, clock, f"(Worker_TP{pid} pid={pid}) ") + after
        host = "@192.0.2.1" if "ip=" in before else ""
        found += [Rendered(text, f"pid-{pid}{host}", message, seconds, stage), draw(NOISE)]
    return found


class TestProperties:
    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(rendered(), st.sampled_from(["\n", "\r\n"]))
    def test_what_was_written_is_what_is_read(
        self, tmp_path: Path, content: list[Rendered | str], newline: str
    ) -> None:
        path = tmp_path / "x.log"
        texts = [each.text if isinstance(each, Rendered) else each for each in content]
        path.write_bytes("".join(text + newline for text in texts).encode())
        imported = read(path)
        assert imported.unread == []
        written = [(n, each) for n, each in enumerate(content, 1) if isinstance(each, Rendered)]
        claims = sorted(imported.claims, key=lambda one: (one.data or {})["line"])
        assert [(c.process, c.text, c.stage, c.claimed_ns, (c.data or {})["line"]) for c in claims] == [
            (each.process, each.message, each.stage, round(float(each.seconds) * 1e9), number)
            for number, each in written
        ]
        assert len([one for one in imported.intervals if one.outcome == "completed"]) == len(written)

    @settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @example([b'{"asctime" took: ["', b"\x1b", b"\x1b]"])
    @given(
        st.lists(
            st.binary(max_size=80)
            | st.sampled_from(
                [
                    b"INFO 11-22 09:18:02 [x.py:1] ", b"(W pid=1) ", b"torch.compile took 1.00 s in total",
                    b"\n", b"\r", b"**", b"Starting torch.compile", WARMING.encode(), WARM.encode(),
                    b"took 5 s", INIT.encode(), b"1.00 s (compilation: 0.10 s)", b'{"asctime": "',
                    b"[repeated 2x across cluster]", b"rank 1 in world size 2 is assigned as x",
                ]
            ),
            max_size=20,
        )
    )  # fmt: skip
    def test_no_bytes_break_it(self, tmp_path: Path, parts: list[bytes]) -> None:
        path = tmp_path / "x.log"
        path.write_bytes(b"".join(parts))
        importer().recognises(path, b"".join(parts))
        imported = read(path)
        for events in imported.sessions:
            reduce(events)

    @given(
        st.text(alphabet="a\r\n", max_size=200), st.integers(1, 3), st.sampled_from([1, 7, 64, 1 << 18]),
        st.integers(3, 12),
    )  # fmt: skip
    def test_lines_are_found_as_a_plain_reading_finds_them(
        self, text: str, every: int, chunk: int, longest: int
    ) -> None:
        content = "took".join(text[i : i + every] for i in range(0, len(text), every)).encode()
        with (
            mock.patch("ledger_log_lines.line_filter._CHUNK", chunk),
            mock.patch("ledger_log_lines.line_filter.LONGEST", longest),
        ):
            found = list(LINES.lines(io.BytesIO(content), len(content), lambda read: None))
        expected, number = list[tuple[int, bytes, bool]](), 1
        for piece in re.findall(rb"[^\r\n]*[\r\n]|[^\r\n]+$", content):
            if len(piece.rstrip(b"\r\n")) > longest:
                expected.append((number, piece, True))
            elif b"took" in piece:
                expected.append((number, piece, False))
            number += piece.count(b"\n")
        assert [(one.number, one.is_too_long) for one in found] == [
            (n, too_long) for n, _, too_long in expected
        ]
        for one, (_, piece, _) in zip(found, expected, strict=True):
            assert piece.startswith(one.text) if one.is_too_long else piece == one.text

    @given(
        st.lists(
            st.sampled_from(
                [
                    "", "INFO", "it took 5 s", line("Using x"), JSON_LINE,
                    f"\x1b[32mINFO\x1b[0m \x1b[90m{line('y', who='')[5:]}",
                    "2026-11-22 09:18:02,123 INFO x: y", "2026-11-22 09:18:02,123 INFO 11-22 09:18:02 x: y",
                    "(W pid=1) WARNING 11-22 09:18:02 [x.py:1] z INFO INFO ", "11-22 09:18:02 INFO",
                ]
            ),
            max_size=12,
        ),
        st.sampled_from(["\n", "\r\n", "\r"]),
        st.sampled_from([1, 40, 1 << 18]),
    )  # fmt: skip
    def test_so_are_those_that_tell_how_far_a_log_reaches(
        self, texts: list[str], newline: str, chunk: int
    ) -> None:
        content = "".join(text + newline for text in texts).encode()
        with mock.patch("ledger_log_lines.line_filter._CHUNK", chunk):
            found = [
                one.text.decode().rstrip()
                for one in LINES.lines(io.BytesIO(content), len(content), lambda read: None)
            ]
        stamped = [has_record(plain(text)) for text in texts]
        # The first one with a stamp, and the last one before each keyword and before the end.
        expected, latest, has_begun = list[str](), "", False
        for text, is_stamped in zip(texts, stamped, strict=True):
            if "took" in text:
                expected += [latest, text] if latest else [text]
                latest = ""
            elif is_stamped:
                expected += [] if has_begun else [text]
                latest = text if has_begun else ""
                has_begun = True
        expected += [latest] if latest else []
        # Where a small chunk ends, the last one before is found too.
        rest = iter(found)
        assert all(text.rstrip() in rest for text in expected)
        if chunk > len(content):
            assert found == [text.rstrip() for text in expected]

    def test_plain_takes_off_what_it_should_and_no_more(self) -> None:
        text = "(W pid=1) INFO 11-22 09:18:02 [a_b.py:1] x_y * z — **5.0** s"
        assert plain(f"\x1b[1m│ {text}\x1b[0m  │\r\n") == text.replace("**", "")
        [record] = records(plain(text), Calendar())
        assert record.message == "x_y * z — 5.0 s"
        assert not states_duration(record.message.replace(" s", ""))


class TestSize:
    def test_memory_does_not_grow_with_the_file(self, tmp_path: Path) -> None:
        start = (LOGS / "vllm-0.24.0-h200-vl-cold.log").read_bytes()
        serving = (
            line("Avg prompt throughput: 1.0 tokens/s, Running: 4 reqs", who="(APIServer pid=1) ") + "\n"
        ) * 10_000
        path = tmp_path / "big.log"

        def peak(copies: int) -> int:
            with path.open("wb") as file:
                for _ in range(copies):
                    file.write(start + serving.encode())
            size = path.stat().st_size
            tracemalloc.start()
            try:
                number = sum(1 for _ in LogImporter().read(path, lambda read: None))
                peak_bytes = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert number > 80 * copies
            assert size > copies * 10**6 - 1
            return peak_bytes

        peak(1)
        small, big = peak(2), peak(50)
        assert path.stat().st_size > 45 * 10**6
        # What is known of a start-up is let go when the next one begins.
        assert big < small + 10**5
        assert big < 16 * 10**6

    def test_a_longest_line_is_still_read(self, log: Callable[..., Imported]) -> None:
        padding = "x" * (LONGEST - len(line(COMPILED)) - 2)
        imported = log(f"{line(COMPILED)}\r{padding}")
        assert (len(imported.claims), imported.unread) == (1, [])
