"""Logs of the kinds that people reported, as `import`, `report` and `sql` show them: two inputs of each kind.

The logs are in `tests/data/logs/kinds`. Of most kinds the first is what somebody reported, and the others
were made to be of the same kind: what holds is worked out by hand.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from ledger.cli import app
from tests.support.reading_logs import LOGS

KINDS = LOGS / "kinds"
Rows = list[dict[str, Any]]


class Found(NamedTuple):
    """What was imported, and the ledger that it is in."""

    path: Path
    said: str

    def sql(self, query: str) -> Rows:
        result = CliRunner().invoke(app, ["sql", str(self.path), query, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    def query(self, name: str) -> Rows:
        result = CliRunner().invoke(app, ["sql", str(self.path), "--query", name, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    def report(self, *options: str) -> str:
        result = CliRunner().invoke(app, ["report", str(self.path), *options], env={"COLUMNS": "80"})
        assert result.exit_code == 0, result.output
        return result.output

    @property
    def claims(self) -> Sequence[tuple[str | None, float]]:
        rows = self.sql("SELECT stage, claimed_s FROM claims")
        return sorted((row["stage"], row["claimed_s"]) for row in rows)

    @property
    def totals(self) -> Sequence[dict[str, float]]:
        """The totals by role and activity of each session, in the order of their starts."""
        sessions = self.sql("SELECT session FROM sessions ORDER BY started_at")
        rows = self.sql("SELECT session, role, activity, max_ns / 1e9 AS seconds FROM session_totals")
        return [
            {f"{row['role'] or 'process'} {row['activity']}": row["seconds"] for row in rows
             if row["session"] == one["session"]}
            for one in sessions
        ]  # fmt: skip

    @property
    def causes(self) -> Counter[str]:
        rows = self.sql("SELECT main_cause FROM reconciliation WHERE difference_ns <> 0")
        return Counter(row["main_cause"] for row in rows)

    @property
    def rejected(self) -> Rows:
        return self.sql("SELECT line, reason, text FROM rejected_lines ORDER BY line")


@pytest.fixture
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Found:
    return imported(request.param, tmp_path)


def imported(name: str, folder: Path) -> Found:
    path = folder / "startup.db"
    result = CliRunner().invoke(app, ["import", str(KINDS / f"{name}.log"), "-o", str(path)])
    assert result.exit_code == 0, result.output
    return Found(path, result.output)


def of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("log", names, indirect=True)


ONE_START = {
    "": (
        "0.22.0",
        [("engine_init", 50), ("torch_compile", 30), ("torch_compile", 30), ("weights_load", 8.25)],
        {"process compile": 30, "process load": 8.25, "process startup": 50},
    ),
    "-2": (
        "0.30.1",
        [("engine_init", 35), ("torch_compile", 12), ("torch_compile", 12), ("weights_load", 6.75)],
        {"process compile": 12, "process load": 6.75, "process startup": 35},
    ),
}
"""What the containers hold: the reported one, and another."""
CONTAINERS = ("json-envelope", "vllm-json-behind-prefix", "colour-without-esc", "newest-first")
CONTAINERS_2 = ("json-envelope-2", "vllm-json-behind-prefix-2", "colour-without-esc-2", "nbsp-2")


@of(*CONTAINERS, *CONTAINERS_2)
def test_a_container_adds_nothing_and_takes_nothing(log: Found) -> None:
    name = next(row["label"] for row in log.sql("SELECT label FROM sessions")).removesuffix(".log")
    version, claims, totals = ONE_START["-2" if name.endswith("-2") else ""]
    [session] = log.sql("SELECT * FROM sessions")
    assert (session["vllm_version"], session["outcome"]) == (version, "completed")
    assert log.claims == claims
    assert log.totals == [totals]
    assert (log.causes, log.rejected) == ({}, [])
    # A container's stamp, or that of vLLM's JSON, has a part of a second.
    assert session["started_at"].startswith("2026-05-01T20:45:00") or name.startswith("newest")
    has_zone = name in ("json-envelope", "json-envelope-2", "vllm-json-behind-prefix-2")
    gaps = [row["what"] for row in log.sql("SELECT what FROM gaps")]
    assert ("wall_clock" in gaps) != has_zone
    assert "4 of 4 reported times agree" in log.report("--all")


@of("nbsp")
def test_spaces_that_do_not_break_are_spaces(log: Found) -> None:
    assert log.claims == [("kernel_warmup", 7.25)]
    assert log.sql("SELECT vllm_version FROM sessions") == [{"vllm_version": "0.22.0"}]
    [ready] = log.sql("SELECT at_ns - (SELECT min(at_ns) FROM events) AS ns FROM milestones")
    assert ready["ns"] == 40_000_000_000


@of("newest-first-2")
def test_a_log_that_goes_back_over_midnight_is_turned_round(log: Found) -> None:
    assert log.totals == [{"process compile": 21.5, "process startup": 40}]
    assert log.claims == [
        ("engine_init", 40), ("torch_compile", 20.25), ("torch_compile", 21.5), ("torch_compile", 21.5),
    ]  # fmt: skip
    assert (log.causes, len(log.sql("SELECT * FROM milestones WHERE name = 'engine_ready'"))) == ({}, 1)


@of("wrapped-lines", "wrapped-lines-2")
def test_broken_lines_are_joined(log: Found) -> None:
    assert ("model_load", 9.5) in log.claims
    assert ("torch_compile", 30) in log.claims
    assert ("dynamo", 5.03) in log.claims or ("engine_init", 50) in log.claims
    assert (log.causes, log.rejected) == ({}, [])


@pytest.mark.parametrize(("name", "count"), [("bare-messages", 6), ("bare-messages-2", 2)])
def test_messages_without_stamps_are_refused_with_what_is_missing(
    tmp_path: Path, name: str, count: int
) -> None:
    result = CliRunner().invoke(
        app, ["import", str(KINDS / f"{name}.log"), "-o", str(tmp_path / "startup.db")]
    )
    assert result.exit_code != 0
    assert f"no time stamps: {count} lines are messages of vLLM's" in str(result.exception)
    assert "INFO MM-DD hh:mm:ss [file.py:line]" in str(result.exception)


@of("no-session", "silent-durations-2")
def test_lines_that_nobody_knew_are_claims_or_unread(log: Found) -> None:
    assert [claim for claim in log.claims if claim[0] == "backend_compile"] in (
        [("backend_compile", 0.36), ("backend_compile", 1.54)],
        [("backend_compile", 12.1)],
    )
    texts = [row["text"] for row in log.rejected]
    assert all(text in log.said for text in texts)
    if texts:
        assert texts == [
            "Finished something new elapsed=7.5s of things",
            "The frobnicator was done after 7.5 sec",
            "Bla init took 3 minutes",
        ]
        assert "3 unreadable lines" in log.said
        # The report says so too.
        assert "frobnicator" in log.report("--all")


@of("no-session-2")
def test_a_log_without_a_line_of_a_start_says_so_and_shows_it(log: Found) -> None:
    assert "a log of vLLM's: no session: none of its lines is known to be about a start-up" in log.said
    assert "Engine 000: Avg prompt throughput: 9.1 tokens/s" in log.said
    result = CliRunner().invoke(app, ["report", str(log.path)])
    assert result.exit_code != 0
    assert "not known to be about a start-up: Engine 000: Avg prompt throughput" in str(result.exception)


@of("two-starts-no-introduction")
def test_two_starts_without_an_introduction_are_two_sessions(log: Found) -> None:
    assert log.totals == [
        {"process startup": 50, "process load": 9.5, "process compile": 30},
        {"process startup": 20, "process load": 5, "process compile": 3},
    ]
    assert (len(log.claims), log.causes) == (10, {})
    ready = log.sql("SELECT at_ns FROM milestones WHERE name = 'engine_ready' ORDER BY at_ns")
    # 20:46:12 and 21:45:52.
    assert ready[1]["at_ns"] - ready[0]["at_ns"] == 3_580_000_000_000


@of("sequential-runs-033")
def test_runs_in_processes_of_their_own_are_sessions(log: Found) -> None:
    assert [(one["process startup"], one["language_model compile"]) for one in log.totals] == [
        (50, 30), (55, 33), (20, 12),
    ]  # fmt: skip
    assert log.causes == {}


@of("several-services")
def test_services_are_sessions_by_their_names(log: Found) -> None:
    assert [(one["process startup"], one["process compile"]) for one in log.totals] == [(50, 30), (25, 15)]
    assert log.causes == {}
    assert all(f"(llm-{name}-1)" in log.said for name in "ab")


def test_services_without_a_known_line_are_left_out_by_name(tmp_path: Path) -> None:
    text = (KINDS / "several-services.log").read_text()
    others = "web-1    | 10.0.0.1 - GET / 200\nredis-1  | 1:M 01 May 2026 20:45:00.000 * Ready\n"
    file = tmp_path / "all.log"
    file.write_text(f"{others}{text}{others}")
    result = CliRunner().invoke(app, ["import", str(file), "-o", str(tmp_path / "startup.db")])
    assert "all.log: left out, with no line that is known: web-1, redis-1" in result.output
    as_json = CliRunner().invoke(app, ["import", str(file), "-o", str(tmp_path / "startup.db"), "--json"])
    assert json.loads(as_json.output)["left_out"] == {str(file): ["web-1", "redis-1"]}


@of("dp-engine-line")
def test_each_engine_speaks_of_its_own_ranks(log: Found) -> None:
    assert log.causes == {}
    assert "6 of 6 reported times agree" in log.report("--all")


@of("ranges-same-second")
def test_each_range_is_held_against_its_own_interval(log: Found) -> None:
    rows = log.sql("SELECT claimed_ns, measured_ns FROM reconciliation WHERE stage = 'graph_compile'")
    assert sorted((row["claimed_ns"], row["measured_ns"]) for row in rows) == [
        (12_000_000_000,) * 2,
        (20_000_000_000,) * 2,
    ]
    assert "4 of 4 reported times agree" in log.report("--all")


@of("rounding-of-ranks")
def test_what_a_rank_did_not_log_is_no_rounding(log: Found) -> None:
    assert log.causes == {"not_in_log": 1}
    text = log.report("--all")
    assert "2 of 3 reported times agree" in text
    assert "not in the log" in text


@of("lookup-is-a-load")
def test_a_look_up_is_no_compile(log: Found) -> None:
    [row] = log.query("components")
    assert row["cache"] == "hit"
    assert log.claims == [("dynamo", 5.63), ("graph_compile", 0.34), ("torch_compile", 5.96)]
    [load] = log.sql("SELECT duration_ns FROM intervals WHERE stage = 'graph_load'")
    assert load["duration_ns"] == 0


@of("cache-directory-variants")
def test_a_shortened_directory_names_the_part(log: Found) -> None:
    assert log.totals == [{"language_model compile": 50, "drafter compile": 11}]


@pytest.mark.parametrize(
    ("log", "whole", "parts"),
    [("drafter-weights", 139.75, [123.5, 11.25]), ("drafter-weights-2", 66.75, [60.25, 3.75])],
    indirect=["log"],
)
def test_the_second_load_is_the_drafters(log: Found, whole: float, parts: list[float]) -> None:
    assert log.claims == [("model_load", whole), *sorted(("weights_load", one) for one in parts)]
    assert log.totals == [{"process load": whole, "drafter load": parts[1]}]


@pytest.mark.parametrize(
    ("log", "totals"),
    [
        ("gb-model-loading", {"download": 508.5, "weights": 0.5, "model": 509.75}),
        ("gb-model-loading-2", {"download": 29.125, "weights": 3.25, "model": 33.4}),
    ],
    indirect=["log"],
)
def test_a_load_has_its_download_in_it(log: Found, totals: dict[str, float]) -> None:
    assert dict(log.claims) == {
        "weights_download": totals["download"],
        "weights_load": totals["weights"],
        "model_load": totals["model"],
    }
    assert log.totals == [{"process load": totals["model"]}]
    assert log.rejected == []


def test_a_comparison_says_what_was_not_read(tmp_path: Path) -> None:
    warm, cold = tmp_path / "warm.log", tmp_path / "cold.log"
    text = (KINDS / "gb-model-loading.log").read_text()
    warm.write_text(text)
    cold.write_text(text + "INFO 03-22 12:23:52 [x.py:1] Something unheard of took 900.00 seconds\n")
    ledger = str(tmp_path / "startup.db")
    CliRunner().invoke(app, ["import", str(warm), str(cold), "-o", ledger])
    result = CliRunner().invoke(app, ["diff", "warm.log", "cold.log", "--ledger", ledger])
    assert "1 line of B could not be read (see rejected_lines)" in result.output


@pytest.mark.parametrize(
    ("log", "claims"),
    [
        (
            "old-wordings",
            [("graph_capture", 29), ("memory_profile", 11.94), ("memory_profile", 28.21),
             ("torch_compile", 14.73)],
        ),
        (
            "old-wordings-2",
            [("dynamo", 4.4), ("engine_init", 40.05), ("graph_capture", 18), ("graph_compile", 9.25),
             ("memory_profile", 18.2), ("torch_compile", 13.65)],
        ),
    ],
    indirect=["log"],
)  # fmt: skip
def test_old_wordings_are_claims(log: Found, claims: Sequence[tuple[str, float]]) -> None:
    assert log.claims == claims
    assert log.rejected == []
    # The V0 engine profiles its memory around its compile.
    [around] = log.sql(
        "SELECT w.stage FROM intervals c JOIN intervals w ON w.interval = c.enclosing "
        "WHERE c.stage = 'torch_compile'"
    )
    assert around["stage"] == "memory_profile"


@of("silent-durations")
def test_no_duration_is_passed_over(log: Found) -> None:
    assert sorted(seconds for _, seconds in log.claims) == [2.62, 3.2, 31.2, 61.2, 95.1, 508.5]
    assert log.query("failed_stages")[0]["stage"] == "kernel_warmup"


@of("foreign-loggers-and-bars")
def test_other_loggers_and_bars_fill_the_hole(log: Found) -> None:
    stages = {
        row["stage"]: row["seconds"]
        for row in log.sql("SELECT stage, duration_ns / 1e9 AS seconds FROM intervals")
    }
    assert (stages["autotune"], stages["deep_gemm_warmup"], stages["capture_pass"]) == (570.872, 195, 148)
    [hole] = log.sql("SELECT unattributed_ns FROM intervals WHERE stage = 'engine_init'")
    assert hole["unattributed_ns"] == 178_878_000_000


@of("foreign-loggers-and-bars-2")
def test_bars_lie_in_what_they_are_a_part_of(log: Found) -> None:
    # 42.10 s of weights with a bar of 42 s in them, and not the two beside one another.
    assert log.totals == [
        {"process capture": 31, "process load": 42.1, "process startup": 120.3, "process warmup": 30.5}
    ]
    assert log.causes == {}


@pytest.mark.parametrize(
    ("log", "hole"), [("hole-across-processes", 363), ("hole-across-processes-2", 121)], indirect=["log"]
)
def test_an_engine_waits_for_its_workers(log: Found, hole: float) -> None:
    rows = [row for row in log.query("unattributed") if row["stage"] == "engine_init"]
    assert min(row["unattributed"] for row in rows) == hole


@pytest.mark.parametrize(
    ("log", "after"),
    [
        ("jit-after-ready", [("some_kernel", 9, 373)]),
        ("jit-after-ready-2", [("_fwd_kernel_stage2", 0, 68), ("foo_bar", 0, 128)]),
    ],
    indirect=["log"],
)
def test_kernels_after_ready_are_told(log: Found, after: Sequence[tuple[str, float, float]]) -> None:
    rows = log.query("after_ready")
    found = [(row["component"], row["seconds"], row["seconds_after"]) for row in rows]
    assert sorted(found) == sorted(after)


@pytest.mark.parametrize(
    ("log", "changed"),
    [
        ("cache-factors", {"directory": ("6bfa2c828b", "17aa2c828b"), "env": ("b059", "ffff")}),
        (
            "cache-factors-2",
            {"directory": ("aaaa000001", "bbbb000002"), "compiler": ("02", "99"), "code": ("03", "44")},
        ),
    ],
    indirect=["log"],
)
def test_a_log_says_why_a_start_was_cold(log: Found, changed: dict[str, tuple[str, str]]) -> None:
    rows = log.query("why_cold")
    assert {row["part"]: (row["value_before"], row["value_now"]) for row in rows} == changed
    assert {row["component"] for row in rows} == {"backbone"}


@of("cache-factors-2")
def test_its_report_does_so_too(log: Found) -> None:
    assert "key changed" in log.report()


@pytest.mark.parametrize(
    ("log", "process", "error", "seconds", "words"),
    [
        (
            "failed-without-exception", "EngineCore_DP0", "RuntimeError", 61,
            ["CUDA out of memory occurred", "torch.OutOfMemoryError", "61.000 s after torch_compile"],
        ),
        (
            "failed-without-exception-2", "EngineCore", "ValueError", 38,
            ["To serve at least one request", "38.000 s after model_load"],
        ),
        (
            "failed-without-exception-3", "Worker_TP1", "torch.distributed.DistBackendError", 30,
            ["NCCL error", "30.000 s after weights_load"],
        ),
    ],
    indirect=["log"],
)  # fmt: skip
def test_a_failure_in_no_stage_has_a_name_a_time_and_a_reason(
    log: Found, process: str, error: str, seconds: float, words: Sequence[str]
) -> None:
    [session] = log.sql("SELECT outcome FROM sessions")
    assert session["outcome"] == "failed"
    [row] = log.query("failed_stages")
    assert (row["process"], row["error"], row["seconds"]) == (process, error, seconds)
    text = " ".join(log.report("--section", "failed").split())
    assert all(word in text for word in [process, error, *words])


@of("running-sum", "running-sum-2")
def test_a_running_sum_is_no_length(log: Found) -> None:
    [row] = log.sql(
        "SELECT claimed_s, measured_ns / 1e9 AS measured, main_cause FROM reconciliation "
        "WHERE difference_ns <> 0"
    )
    assert row["main_cause"] == "cumulative"
    assert (row["claimed_s"], row["measured"]) in ((17.75, 2.25), (9.9, 1.5))
    totals = [sum(seconds for name, seconds in one.items() if "compile" in name) for one in log.totals]
    assert totals in ([17.75], [9.9])


@of("sum-of-parts")
def test_what_a_sum_of_parts_leaves_out_is_no_part(log: Found) -> None:
    rows = log.sql("SELECT cause, stage, ns FROM causes")
    assert [(row["cause"], row["stage"], row["ns"] / 1e9) for row in rows] == [
        ("omitted_stage", "torch_compile", -91)
    ]


@of("kernel-beside-compile")
def test_a_kernel_before_a_compile_is_none_of_it(log: Found) -> None:
    [total] = log.totals
    assert (total["language_model compile"], total["process compile"]) == (24.5, 1.25)
    rows = log.sql("SELECT source, claimed_s, measured_ns / 1e9 AS measured FROM reconciliation "
                   "WHERE stage = 'torch_compile'")  # fmt: skip
    # The role's total and what its claim is held against are one number.
    assert {row["source"]: row["measured"] for row in rows} == {"monitor": 24.5, "engine": 25.75}
    causes = log.sql("SELECT cause, stage, ns / 1e9 AS seconds FROM causes")
    assert [tuple(row.values()) for row in causes] == [("omitted_stage", "kernel_compile", -1.25)]
