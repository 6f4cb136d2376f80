"""What is read out of a log of SGLang: each stated duration as a claim, stages by stamp, nothing made up.

The logs are excerpts of real ones, as people posted them; their values were worked out by hand.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import (
    Claim,
    Event,
    GapNoted,
    MilestoneReached,
    ProcessJoined,
    SessionEnded,
    SessionStarted,
    StageStarted,
    TotalClaimed,
    UnrecognisedFile,
    reduce,
)
from ledger.adapters import UnreadLine
from ledger.interchange.importers import importer_of, importers_of
from ledger.interchange.unwrapping import unwrapped
from ledger_log_lines.line_filter import LOOKED_AT
from ledger_sglang_log.importer import LINES, importer
from ledger_sglang_log.message_patterns import BARS, PATTERNS, search_line
from ledger_sglang_log.records import Clock, meaning_of, records, states_duration
from tests.support.growth import assert_linear
from tests.support.paths import DATA
from tests.support.reading_logs import Imported, S
from tests.support.reading_logs import read as read_with
from tests.support.wrapping import FORMS, STAMPED, wrap

LOGS = DATA / "sglang"
NPU, OLD, DRAFTER, CONTAINER, PIECEWISE, FAILS = (
    LOGS / f"{name}.log"
    for name in (
        "tp4-npu", "tp4-2025-03", "drafter-2026-09", "container-2025-02", "piecewise-2026-05",
        "dp4-fails-2026-05",
    )
)  # fmt: skip
ARGUMENTS = "[2026-08-07 17:32:49] server_args=ServerArgs(model_path='m', tp_size=2)"
READY = "The server is fired up and ready to roll!"


def read(path: Path) -> Imported:
    return read_with(path, importer())


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Imported]:
    """Return a function that imports lines."""

    def imported(*lines: str) -> Imported:
        path = tmp_path / "sglang.log"
        path.write_text("".join(f"{line}\n" for line in lines))
        return read(path)

    return imported


def at(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).replace(tzinfo=timezone.utc).timestamp()) * S


def lengths(imported: Imported, stage: str) -> dict[tuple[str, str | None], float]:
    """The length in seconds of each interval of a stage, by process and component."""
    return {
        (one.process, one.component): round(((one.stop_ns or 0) - one.start_ns) / S, 3)
        for one in imported.intervals
        if one.stage == stage
    }


def span(imported: Imported, process: str, stage: str, component: str | None = None) -> tuple[float, float]:
    """When a stage began and ended, in seconds of its day."""
    [found] = [
        one
        for one in imported.intervals
        if (one.process, one.stage) == (process, stage) and component in (None, one.component)
    ]
    day = found.start_ns // (86_400 * S) * 86_400 * S
    return (found.start_ns - day) / S, ((found.stop_ns or 0) - day) / S


def milestones(imported: Imported) -> dict[str, int]:
    return {one.name: one.at_ns for one in imported.events if isinstance(one, MilestoneReached)}


def key_of(claim: Claim) -> tuple[str, int]:
    return claim.process, claim.claim


def clock(text: str) -> float:
    hour, minute, second = text.split(":")
    return int(hour) * 3_600 + int(minute) * 60 + float(second)


class TestRealLogs:
    @pytest.mark.parametrize("path", sorted(LOGS.glob("*.log")), ids=lambda path: path.stem)
    def test_every_stated_duration_is_a_claim(self, path: Path) -> None:
        text = path.read_text()
        stated = re.findall(r"\[\d.*(?:elapsed=|elapsed: )([\d.]+) s", text)
        for timings in re.findall(r"timings \(s\): (.*)", text):
            stated += [each for each in re.findall(r"=([\d.]+)", timings) if float(each)]
        imported = read(path)
        claims = [f"{one.claimed_ns / S:.2f}" for one in imported.claims if "%" not in (one.text or "")]
        assert sorted(claims) == sorted(stated)
        assert imported.unread == []

    @pytest.mark.parametrize("path", sorted(LOGS.glob("*.log")), ids=lambda path: path.stem)
    def test_a_claim_about_an_interval_is_not_contradicted_by_it(self, path: Path) -> None:
        for events in read(path).sessions:
            reconciled = reduce(events).reconciliation
            stated = {one.main_cause for one in reconciled if one.measured_ns is not None}
            assert stated <= {None, "rounding"}

    @pytest.mark.parametrize("path", sorted(LOGS.glob("*.log")), ids=lambda path: path.stem)
    def test_stages_of_a_process_are_in_each_other_or_apart(self, path: Path) -> None:
        of_process = defaultdict(list)
        for one in read(path).intervals:
            # Bars have no stamps: where they lie is only known from the lines around them.
            if not one.stage.endswith("_pass"):
                of_process[one.process].append((one.start_ns, one.stop_ns or one.start_ns))
        for spans in of_process.values():
            for a in spans:
                for b in spans:
                    assert a[1] <= b[0] or b[1] <= a[0] or a[0] <= b[0] <= b[1] <= a[1] or (
                        b[0] <= a[0] <= a[1] <= b[1]
                    )  # fmt: skip

    def test_four_ranks_of_an_npu(self) -> None:
        imported = read(NPU)
        assert lengths(imported, "distributed_init") == {
            ("TP0", None): 5.65, ("TP1", None): 0.45, ("TP2", None): 5.50, ("TP3", None): 5.54,
        }  # fmt: skip
        model = "DeepseekV4ForCausalLM"
        assert lengths(imported, "model_load") == {
            ("TP0", model): 131.87, ("TP1", model): 131.05, ("TP2", model): 133.46, ("TP3", model): 130.69,
        }  # fmt: skip
        decode = "target decode"
        assert lengths(imported, "graph_capture") == {
            ("TP0", decode): 18.07, ("TP1", decode): 18.22, ("TP2", decode): 18.15, ("TP3", decode): 17.95,
        }  # fmt: skip
        # 17:33:27, and 0.45 s until 17:33:28.
        begin, end = span(imported, "TP1", "distributed_init")
        assert (begin, end) == (clock("17:33:27.55"), clock("17:33:28"))
        # 17:33:37 to 17:35:47, and 0.69 s more than that: within the second of both stamps.
        begin, end = span(imported, "TP3", "model_load")
        assert (begin, end) == (clock("17:33:37"), clock("17:35:47.69"))
        assert lengths(imported, "checkpoint_shards") == {("TP0", None): 94}
        ranks = {one.name: one.rank for one in imported.events if isinstance(one, ProcessJoined)}
        assert ranks == {"server": None, "TP0": 0, "TP1": 1, "TP2": 2, "TP3": 3}
        # The excerpt ends before the first answer.
        assert milestones(imported) == {"engine_ready": at("2026-08-07 17:36:18")}

    def test_a_log_without_lengths_goes_by_its_stamps(self) -> None:
        imported = read(OLD)
        assert set(lengths(imported, "distributed_init").values()) == {2}
        assert set(lengths(imported, "model_load").values()) == {8}
        assert lengths(imported, "graph_capture") == {
            ("TP0", None): 7.23, ("TP1", None): 7.25, ("TP2", None): 7.24, ("TP3", None): 7.22,
        }  # fmt: skip
        assert imported.data("warmup")["length"] == "between two stamps"
        assert span(imported, "server", "warmup") == (clock("12:29:29"), clock("12:29:33"))
        assert milestones(imported) == {
            "engine_ready": at("2025-03-08 12:29:29"), "server_ready": at("2025-03-08 12:29:33"),
        }  # fmt: skip
        [ended] = [one for one in imported.events if isinstance(one, SessionEnded)]
        assert (ended.outcome, ended.at_ns) == ("completed", at("2025-03-08 12:29:47"))

    def test_vllms_lines_in_it_do_not_make_it_a_log_of_vllms(self) -> None:
        assert "__init__.py:190] Automatically detected platform" in OLD.read_text()
        assert importer_of(OLD).name == importer().name

    def test_a_drafter_is_loaded_and_captured_by_itself(self) -> None:
        imported = read(DRAFTER)
        roles = {(one.stage, one.component): one.role for one in imported.intervals}
        assert roles["model_load", "DeepseekV4ForCausalLM"] == "language_model"
        assert roles["model_load", "DeepseekV4ForCausalLMDSpark"] == "drafter"
        assert roles["graph_capture", "target verify"] == "language_model"
        assert roles["graph_capture", "draft verify"] == "drafter"
        # Both of them lie between stamps: 23:46:18 to 23:46:30, and one in the drafter's capture.
        autotunes = [one for one in imported.intervals if one.stage == "autotune"]
        assert [round(((one.stop_ns or 0) - one.start_ns) / S) for one in autotunes] == [12, 2]
        assert span(imported, "TP0-EP0", "graph_capture", "draft verify") == (
            clock("23:46:44.74"), clock("23:46:49"),
        )  # fmt: skip

    def test_the_line_of_timings_is_about_the_slowest_rank(self) -> None:
        imported = read(DRAFTER)
        [events] = imported.sessions
        of_line = {
            str((one.data or {}).get("name", one.stage)): one
            for one in reduce(events).claims
            if "timings" in (one.text or "")
        }
        assert {name: one.claimed_ns / S for name, one in of_line.items()} == {
            "load_weight": 616.34, "kv_cache_allocation": 6.68, "scheduler_e2e": 761.3, "engine_init": 766.76,
            "cuda_graph.target_verify": 13.48, "cuda_graph.draft_decode": 4.26,
        }  # fmt: skip
        measured = {(one.process, one.claim): one for one in reduce(events).reconciliation}
        # 541.76 s and 74.58 s were stated as they ended.
        assert measured[key_of(of_line["load_weight"])].measured_ns == 616_340_000_000
        assert measured[key_of(of_line["cuda_graph.draft_decode"])].measured_ns == 4_260_000_000
        assert measured[key_of(of_line["kv_cache_allocation"])].main_cause == "unmatched"

    def test_piecewise_graphs_are_compiled_and_then_captured(self) -> None:
        imported = read(PIECEWISE)
        assert lengths(imported, "graph_capture") == {("server", None): 5.38, ("server", "piecewise"): 18.18}
        assert lengths(imported, "torch_compile") == {("server", None): 9}
        assert sorted(one.claimed_ns // S for one in imported.claims if one.stage == "capture_pass") == [5, 7]

    def test_a_containers_local_time_in_front_is_not_taken_for_the_servers(self) -> None:
        imported = read(CONTAINER)
        # 05:21:40 to 05:29:17, by the stamps of SGLang; no line says that the group was joined.
        assert span(imported, "TP0", "model_load") == (clock("05:21:40"), clock("05:29:17"))
        assert lengths(imported, "distributed_init") == {("TP0", None): 0}
        assert milestones(imported)["server_ready"] == at("2025-02-04 05:29:23")

    def test_a_failure_says_who_failed_with_what_and_after_which_stage(self) -> None:
        imported = read(FAILS)
        [events] = imported.sessions
        failed = {one.process: one.error for one in imported.intervals if one.outcome == "failed"}
        assert failed == {"DP3-TP3": "AssertionError", "DP0-TP0": "AssertionError"}
        assert [one.data["after"] for one in imported.intervals if one.stage == "last_step"] == [
            "model_load"
        ] * 2
        assert reduce(events).session is not None
        [ended] = [one for one in imported.events if isinstance(one, SessionEnded)]
        assert ended.outcome == "failed"
        assert {one.what for one in imported.events if isinstance(one, GapNoted)} == {
            "log_begins",
            "wall_clock",
        }


class TestStarts:
    def test_the_servers_arguments_begin_the_next_start(self) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "two.log"
            path.write_text(OLD.read_text() + OLD.read_text().replace("2025-03-08 12:", "2025-03-08 13:"))
            imported = read(path)
        assert len(imported.sessions) == 2
        first, second = (
            [(one.stage, one.claimed_ns) for one in events if isinstance(one, TotalClaimed)]
            for events in imported.sessions
        )
        assert first == second

    def test_without_them_a_rank_that_begins_again_does_after_it_was_ready(
        self, log: Callable[..., Imported]
    ) -> None:
        once = [
            "[2026-08-07 10:00:00 TP0] Load weight begin. avail mem=1 GB",
            "[2026-08-07 10:00:09 TP0] Load weight end. elapsed=9.00 s, type=A, avail mem=1 GB",
            f"[2026-08-07 10:00:20] {READY}",
        ]
        again = [line.replace(" 10:", " 11:") for line in once]
        imported = log(*once, *again)
        assert [len([e for e in found if isinstance(e, TotalClaimed)]) for found in imported.sessions] == [
            1,
            1,
        ]
        assert {one.role for one in imported.intervals if one.stage == "model_load"} == {"language_model"}

    def test_a_stage_that_went_on_at_the_end_is_open(self, log: Callable[..., Imported]) -> None:
        imported = log(ARGUMENTS, "[2026-08-07 17:33:37 TP1] Load weight begin. avail mem=60.56 GB")
        assert [(one.stage, one.outcome) for one in imported.intervals] == [("model_load", "open")]
        assert not any(isinstance(one, SessionEnded) for one in imported.events)

    def test_after_it_was_ready_a_kernel_was_compiled_and_a_failure_is_no_failed_start(
        self, log: Callable[..., Imported]
    ) -> None:
        imported = log(
            ARGUMENTS,
            f"[2026-08-07 17:36:20] {READY}",
            "[2026-08-07 17:36:54 TP1] Triton kernel '_fwd_kernel' took 1.08 s to compile after serving "
            "started. Serving-time compilation can stall the engine; pre-compile it during engine init.",
            "[2026-08-07 17:40:00 TP1] Scheduler hit an exception: Traceback (most recent call last):",
            "torch.OutOfMemoryError: CUDA out of memory.",
        )
        assert span(imported, "TP1", "kernel_compile", "_fwd_kernel") == (
            clock("17:36:52.92"), clock("17:36:54"),
        )  # fmt: skip
        [events] = imported.sessions
        assert "compiled_after_ready" in {one.finding for one in reduce(events).findings}
        [ended] = [one for one in imported.events if isinstance(one, SessionEnded)]
        assert ended.outcome == "completed"
        assert [one.stage for one in imported.intervals] == ["kernel_compile"]


class TestStamps:
    def test_old_ones_have_no_date_and_midnight_may_pass(self, log: Callable[..., Imported]) -> None:
        imported = log(
            "[23:59:58 TP0] Load weight begin. avail mem=78.68 GB",
            "[00:00:03 TP0] Load weight end. type=LlamaForCausalLM, dtype=torch.bfloat16, avail mem=63.55 GB",
        )
        assert lengths(imported, "model_load") == {("TP0", "LlamaForCausalLM"): 5}
        [started] = [one for one in imported.events if isinstance(one, SessionStarted)]
        assert started.wall_ns is None
        assert any("date" in (one.detail or "") for one in imported.events if isinstance(one, GapNoted))

    def test_one_that_is_no_time_is_reported(self, log: Callable[..., Imported]) -> None:
        imported = log(ARGUMENTS, "[2026-13-45 17:33:37 TP1] Load weight end. elapsed=9.00 s, type=A")
        assert [one.reason for one in imported.unread] == [
            "the stamp 2026-13-45 17:33:37 is not a valid time"
        ]

    def test_two_records_in_one_line_are_two(self, log: Callable[..., Imported]) -> None:
        imported = log(
            ARGUMENTS,
            "[2026-08-07 17:33:37 TP1] Load weight begin. avail mem=1 GB[2026-08-07 17:33:37 TP0] Load "
            "weight begin. avail mem=1 GB",
        )
        assert {one.process for one in imported.intervals} == {"TP0", "TP1"}

    @pytest.mark.parametrize(
        ("names", "ranks"),
        [
            (("DP0 TP0", "DP1 TP1"), {"DP0 TP0": 0, "DP1 TP1": 1}),
            (("PP0 TP0", "PP0 TP1", "PP1 TP0", "PP1 TP1"), {"PP1 TP0": 2, "PP1 TP1": 3}),
            # Two engines side by side.
            (("DP0 TP0", "DP1 TP0"), {"DP0 TP0": None, "DP1 TP0": None}),
        ],
    )
    def test_a_rank_is_told_where_the_numbers_say_it(
        self, names: Sequence[str], ranks: dict[str, int | None], log: Callable[..., Imported]
    ) -> None:
        imported = log(*(f"[2026-08-07 17:33:37 {name}] Load weight begin. avail mem=1 GB" for name in names))
        found = {one.name: one.rank for one in imported.events if isinstance(one, ProcessJoined)}
        assert {name: found[name] for name in ranks} == ranks


class TestUnread:
    def test_a_duration_in_unknown_words_is_reported(self, log: Callable[..., Imported]) -> None:
        imported = log(
            ARGUMENTS,
            "[2026-08-07 17:33:37 TP1] Warming up the flux capacitor took 12.5 s",
            "[aiter] [pid=254 pname=Process-4] finish build [module_moe], cost 57.8s",
            "[2026-08-07 17:33:38 TP1] Receive: obj=GenerateReqInput(text='it took 5 seconds')",
            '[2026-08-07 17:33:38] INFO:     127.0.0.1:1 - "GET /it-took-5-s HTTP/1.1" 200 OK',
            "Reticulating splines: 100%|████| 4/4 [00:15<00:00,  3.77s/it]",
            "Multi-thread loading shards: 100% Completed | 38/38 [01:34<00:00,  2.47s/it]",
        )
        assert [(one.line, one.reason) for one in imported.unread] == [
            (2, "states a duration in an unknown wording"),
            (3, "states a duration, but has no SGLang logger's stamp"),
            (6, "a progress bar with an unknown description"),
            (7, "a progress bar of a stage that nobody is in"),
        ]

    def test_a_log_without_stamps_is_refused_with_what_is_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "copied.log"
        path.write_text(re.sub(r"(?m)^\[\S+ \S+( [A-Z].*)?\] ", "", DRAFTER.read_text()))
        with pytest.raises(UnrecognisedFile, match=r"no time stamps: \d+ lines are messages of SGLang's"):
            importer_of(path)

    def test_with_a_containers_stamps_it_is_read(self) -> None:
        bare = re.sub(r"(?m)^\[[\d-]+ [\d:]+ ?(.*?)\] ", lambda head: f"[{head[1]}] " if head[1] else "",
                      DRAFTER.read_text())  # fmt: skip
        [found] = read_wrapped(wrap(bare, "docker-timestamps"))
        assert claims(found) == claims(read(DRAFTER).events)


class TestMessages:
    @pytest.mark.parametrize("row", PATTERNS, ids=lambda row: row.example[:30])
    def test_each_is_found_by_what_it_contains(self, row: object) -> None:
        [row] = [one for one in PATTERNS if one is row]
        meaning = meaning_of(row.example)
        assert meaning is not None
        assert meaning[0] is row
        content = f"[2026-08-07 17:33:37 TP1] {row.example}\n".encode()
        assert search_line(content, 0, len(content)) is not None

    @pytest.mark.parametrize("row", BARS, ids=lambda row: row.example)
    def test_each_bar_is_of_one_kind(self, row: object) -> None:
        [row] = [one for one in BARS if one is row]
        assert [one for one in BARS if one.pattern.fullmatch(row.example)] == [row]


def claims(events: Sequence[Event]) -> list[tuple[object, ...]]:
    found = (one for one in events if isinstance(one, TotalClaimed))
    return sorted(
        (
            (one.process, one.stage, one.role, one.component, one.claimed_ns, one.counts)
            for one in found
            # A bar's length is cut to whole seconds, and where it lies is told by the lines around it.
            if "%" not in (one.text or "")
        ),
        key=str,
    )


def read_wrapped(content: bytes) -> list[list[Event]]:
    """Unwrap and import a file: the events of each of its services."""
    with TemporaryDirectory() as created:
        folder = Path(created)
        path = folder / "x.log"
        path.write_bytes(content)
        (folder / "unwrapped").mkdir()
        parts = importers_of(unwrapped(path, "x.log", folder / "unwrapped"), folder / "unwrapped")
        assert {one.name for _, one in parts} == {importer().name}
        return [
            [item for item in one.read(part.path, lambda read: None) if not isinstance(item, UnreadLine)]
            for part, one in parts
        ]


class TestContainers:
    @pytest.mark.parametrize("form", FORMS)
    def test_a_log_says_the_same_in_each(self, form: str) -> None:
        text = PIECEWISE.read_text() if form.startswith("broken") else NPU.read_text()
        if form.startswith("broken"):
            # Lines that are shorter than where others are broken stay whole.
            text = "".join(f"{line}\n" for line in text.splitlines() if len(line) < 80)
        [found] = read_wrapped(wrap(text, form))
        with TemporaryDirectory() as folder:
            (Path(folder) / "x.log").write_text(text)
            assert claims(found) == claims(read(Path(folder) / "x.log").events)
        stated = not any(isinstance(one, GapNoted) and one.what == "wall_clock" for one in found)
        assert stated == (form in STAMPED)


STREAMS = [line for line in NPU.read_text().splitlines() if line.startswith("[2026-")]


class TestAnyLog:
    @given(st.randoms(use_true_random=False))
    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
    def test_ranks_may_be_interleaved_in_any_way_that_keeps_their_own_order(self, random: object) -> None:
        of_rank = defaultdict(list)
        for line in STREAMS:
            of_rank[line[21:].partition("]")[0]].append(line)
        waiting = {rank: list(lines) for rank, lines in of_rank.items()}
        mixed: list[str] = []
        while any(waiting.values()):
            # Of those with the earliest stamp, any.
            earliest = min(lines[0][:20] for lines in waiting.values() if lines)
            ready = sorted(rank for rank, lines in waiting.items() if lines and lines[0][:20] == earliest)
            mixed.append(waiting[random.choice(ready)].pop(0))  # type: ignore[attr-defined]
        found, plain = self._read(mixed), self._read(STREAMS)
        assert claims(found.events) == claims(plain.events)
        assert sorted(
            (one.process, one.stage, one.start_ns, one.stop_ns) for one in found.intervals
        ) == sorted((one.process, one.stage, one.start_ns, one.stop_ns) for one in plain.intervals)

    @given(st.integers(0, 70), st.integers(0, 70), st.sampled_from(sorted(LOGS.glob("*.log"))))
    @settings(max_examples=100, deadline=None)
    def test_what_is_cut_off_is_not_made_up(self, first: int, last: int, path: Path) -> None:
        lines = path.read_text().splitlines()
        found = self._read(lines[first : len(lines) - last])
        whole = {(one.stage, one.claimed_ns) for one in read(path).claims}
        assert {(one.stage, one.claimed_ns) for one in found.claims} <= whole
        for events in found.sessions:
            reduce(events)

    @given(
        st.lists(st.sampled_from([*STREAMS, *(f"[2026-08-07 17:33:37 TP1] {r.example}" for r in PATTERNS)]))
    )
    @settings(max_examples=100, deadline=None)
    def test_lines_in_any_order_make_a_valid_session(self, lines: list[str]) -> None:
        found = self._read(lines)
        for events in found.sessions:
            assert all((one.stop_ns or one.start_ns) >= one.start_ns >= 0 for one in reduce(events).intervals)
        starts = [one for one in found.events if isinstance(one, StageStarted)]
        assert len({(one.session, one.process, one.interval) for one in starts}) == len(starts)

    def _read(self, lines: Sequence[str]) -> Imported:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "x.log"
            path.write_text("".join(f"{line}\n" for line in lines))
            return read(path)


PIECES = sorted(
    {f"{word} " for row in PATTERNS for word in (row.example.split()[0], row.example.split()[-1])}
    | {row.example for row in PATTERNS}
    | {
        "[",
        "[2026-08-07 17:33:37 TP1] ",
        " TP0",
        "elapsed=1",
        "1",
        "took 1",
        "a ",
        "100%|",
        "\x1b[",
        "=1.0, ",
    }
)


class TestGrowth:
    def test_as_much_of_a_line_as_is_looked_at_is_understood_in_linear_time(self) -> None:
        def understanding(size: int) -> partial[None]:
            texts = [(piece * (size // len(piece) + 1))[:size] for piece in PIECES]
            heads = ("", "[2026-08-07 17:33:37 TP1] ", PATTERNS[2].example)
            return partial(_understand, [f"{head}{text}" for text in texts for head in heads])

        assert_linear(understanding, LOOKED_AT)

    def test_a_log_of_hostile_lines_is_read_in_linear_time(self, tmp_path: Path) -> None:
        def reading(size: int) -> partial[None]:
            path = tmp_path / f"{size}.log"
            path.write_text("".join(f"{(piece * size)[: size // 40]}\n" for piece in PIECES))
            return partial(_read_all, path)

        assert_linear(reading, 1 << 20)


def _understand(texts: Sequence[str]) -> None:
    for text in texts:
        for record in records(text, Clock()):
            meaning_of(record.message)
        meaning_of(text)
        states_duration(text)
        LINES.has_record(text)


def _read_all(path: Path) -> None:
    for _ in importer().read(path, lambda read: None):
        pass
