"""Real starts of vLLM on a CPU, in its own compile mode: what the ledger says of them.

Each start is done once and looked at by several tests. `make test-vllm` runs them.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from ledger import Ledger
from tests.vllm import environment, models, starting

pytestmark = pytest.mark.vllm

HALF_A_LINE_NS = 5_000_000
"""vLLM's lines are rounded to 10 ms."""


class Starts:
    """The starts, each done when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = environment.python()
        self.text = models.write_text_model(folder / "text")
        self.encoder = models.write_encoder_model(folder / "encoder")

    def start(self, name: str, model: Path, cache: str, *arguments: str, **how: Any) -> starting.Started:
        began = starting.run(
            self.python,
            model,
            self.folder / cache,
            *arguments,
            ledger=self.folder / f"{name}.db",
            **how,
        )
        print(f"--- {name}: exit code {began.exit_code} after {began.seconds:.1f} s")
        return began

    @cached_property
    def encoder_cold(self) -> starting.Started:
        return self.start("encoder_cold", self.encoder, "encoder_cache")

    @cached_property
    def encoder_warm(self) -> starting.Started:
        assert self.encoder_cold.exit_code == 0
        return self.start("encoder_warm", self.encoder, "encoder_cache")

    @cached_property
    def text_cold(self) -> starting.Started:
        return self.start("text_cold", self.text, "text_cache")

    @cached_property
    def text_warm_unrecorded(self) -> starting.Started:
        assert self.text_cold.exit_code == 0
        return self.start("none", self.text, "text_cache", is_recorded=False)

    @cached_property
    def text_cold_unrecorded(self) -> starting.Started:
        return self.start("none", self.text, "other_cache", is_recorded=False)

    @cached_property
    def text_warm(self) -> starting.Started:
        assert self.text_cold_unrecorded.exit_code == 0
        return self.start("text_warm", self.text, "other_cache")

    @cached_property
    def served(self) -> starting.Started:
        assert self.encoder_cold.exit_code == 0
        ledger, cache = self.folder / "served.db", self.folder / "encoder_cache"
        began = starting.serve(self.python, self.encoder, cache, ledger=ledger)
        print(f"--- served: exit code {began.exit_code} after {began.seconds:.1f} s")
        return began

    @cached_property
    def stock(self) -> starting.Started:
        return self.start("stock", self.text, "stock_cache", "--stock")


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Starts:
    return Starts(tmp_path_factory.mktemp("vllm"))


def ask(started: starting.Started, sql: str) -> list[dict[str, Any]]:
    """Return what a start's ledger answers."""
    with Ledger.open(started.ledger) as ledger:
        return ledger.sql(sql)


def stage(started: starting.Started, name: str) -> list[dict[str, Any]]:
    """Return vLLM's own intervals of a stage, with `data` read; torch has stages of the same names."""
    query = "SELECT * FROM intervals WHERE stage = ? AND source <> 'torch' ORDER BY start_ns"
    with Ledger.open(started.ledger) as ledger:
        rows = ledger.sql(query, [name])
    return [{**row, "data": json.loads(row["data"] or "{}")} for row in rows]


def of_role(started: starting.Started, role: str) -> dict[str, Any]:
    """Return what was measured and what the monitor added up for a role's compiles, in ns."""
    [total] = ask(started, f"SELECT total_ns FROM role_totals WHERE role = '{role}' AND activity = 'compile'")
    added = [
        row["claimed_ns"]
        for row in ask(
            started,
            f"SELECT claimed_ns FROM claims WHERE role = '{role}' AND counts = 'addition'"
            " AND source = 'monitor'",
        )
    ]
    probes = [
        row["duration_ns"]
        for row in stage(started, "torch_compile")
        if row["role"] == role and row["data"]["cache"] == "miss"
    ]
    return {"total_ns": total["total_ns"], "added": added, "probes": probes}


def assert_is_healthy(started: starting.Started) -> None:
    """One session with all its processes, and nothing that the recorder could not see or explain."""
    assert started.exit_code == 0, started.output[-4000:]
    [session] = ask(started, "SELECT outcome, vllm_version, torch_version FROM sessions")
    versions = {"vllm_version": "0.32.0", "torch_version": "2.13.0+cpu"}
    assert session == {"outcome": "completed", **versions}
    names = {row["name"] for row in ask(started, "SELECT name FROM processes")}
    assert names >= {"compile-ledger", "start.py", "EngineCore", "Worker"}
    # The second block of an encoder is loaded, and added to the compile of the first.
    assert ask(started, "SELECT what, detail FROM anomalies WHERE what <> 'repeated_load'") == []
    assert ask(started, "SELECT what, detail FROM gaps") == []
    missing = [row["missing_hooks"] for row in ask(started, "SELECT missing_hooks FROM processes")]
    assert set(missing) == {"[]"}
    assert ask(started, "SELECT name FROM milestones WHERE name = 'engine_ready'") == [
        {"name": "engine_ready"}
    ]


class TestEncoderModel:
    @pytest.mark.parametrize("temperature", ["cold", "warm"])
    def test_a_start_is_one_session_of_all_its_processes(self, starts: Starts, temperature: str) -> None:
        assert_is_healthy(getattr(starts, f"encoder_{temperature}"))

    @pytest.mark.parametrize("temperature", ["cold", "warm"])
    @pytest.mark.parametrize("role", ["encoder", "language_model"])
    def test_a_role_s_total_is_what_the_monitor_added_up(
        self, starts: Starts, temperature: str, role: str
    ) -> None:
        found = of_role(getattr(starts, f"encoder_{temperature}"), role)
        assert found["added"]
        remainder_ns = found["total_ns"] - sum(found["probes"]) - sum(found["added"])
        assert abs(remainder_ns) <= HALF_A_LINE_NS * len(found["added"])

    def test_loads_that_found_nothing_are_told_apart(self, starts: Starts) -> None:
        loads = stage(starts.encoder_cold, "aot_load")
        misses = [row for row in loads if row["data"]["cache"] == "miss"]
        # The second block of the encoder loads what the first one has compiled.
        assert len(misses) == 4
        assert len(loads) == 5
        assert {row["outcome"] for row in loads} == {"completed"}
        assert {row["data"]["cache"] for row in stage(starts.encoder_warm, "aot_load")} == {"hit"}

    @pytest.mark.parametrize("temperature", ["cold", "warm"])
    def test_the_engine_s_own_line_agrees(self, starts: Starts, temperature: str) -> None:
        started = getattr(starts, f"encoder_{temperature}")
        claims = ask(
            started,
            "SELECT role, claimed_ns, text FROM claims WHERE counts = 'ranks' AND text LIKE 'init engine%'",
        )
        assert {claim["role"] for claim in claims} == {None, "encoder", "language_model"}
        for claim in claims:
            if claim["role"]:
                found = of_role(started, claim["role"])
                measured_ns = found["total_ns"] - sum(found["probes"])
                assert abs(claim["claimed_ns"] - measured_ns) <= HALF_A_LINE_NS * (1 + len(found["added"]))

    def test_what_the_front_end_holds_is_nothing(self, starts: Starts) -> None:
        held = ask(starts.encoder_cold, "SELECT claimed_ns FROM claims WHERE text LIKE 'front end:%'")
        assert [row["claimed_ns"] for row in held] == [0, 0]

    def test_every_component_is_compiled_once_and_its_graphs_are_known(self, starts: Starts) -> None:
        compiled = [
            row for row in stage(starts.encoder_cold, "torch_compile") if row["data"]["cache"] == "compiled"
        ]
        assert [(row["role"], row["component"]) for row in compiled] == [
            ("encoder", "Qwen2_5_VisionPatchEmbed"),
            ("encoder", "Qwen2_5_VisionBlock"),
            ("encoder", "Qwen2_5_VisionPatchMerger"),
            ("language_model", "backbone"),
        ]
        graphs = [
            (row["component"], row["data"]["graph_index"], row["data"]["range"])
            for row in stage(starts.encoder_cold, "graph_compile")
        ]
        assert graphs == [
            ("Qwen2_5_VisionPatchEmbed", 0, "(1, 2147483647)"),
            ("Qwen2_5_VisionBlock", 0, "(1, 2147483647)"),
            ("Qwen2_5_VisionPatchMerger", 0, "(1, 2147483647)"),
            *(("backbone", index, "(1, 512)") for index in range(3)),
        ]
        assert stage(starts.encoder_warm, "graph_compile") == []

    def test_torch_s_own_intervals_are_charged_to_the_part_around_them(self, starts: Starts) -> None:
        rows = ask(
            starts.encoder_cold,
            "SELECT role, max(duration_ns) AS longest_ns FROM intervals WHERE source = 'torch' GROUP BY role",
        )
        longest = {row["role"]: row["longest_ns"] for row in rows}
        assert {"encoder", "language_model"} <= longest.keys()
        # What is left without a part is no compile: torch hashes itself once in each process.
        outside = ask(
            starts.encoder_cold,
            "SELECT DISTINCT stage FROM intervals WHERE source = 'torch' AND role = 'model'",
        )
        assert {row["stage"] for row in outside} <= {
            "CacheBase.get_system.triton_key",
            "inductor_codecache_torch_key",
        }

    def test_every_line_that_states_a_time_is_a_claim_with_its_text(self, starts: Starts) -> None:
        texts = {row["text"] for row in ask(starts.encoder_cold, "SELECT text FROM claims")}
        for line in starts.encoder_cold.output.splitlines():
            if " took " in line or "transform time" in line or " takes " in line:
                message = line.partition("] ")[2]
                assert message in texts

    def test_claims_of_one_stage_name_its_interval(self, starts: Starts) -> None:
        rows = ask(
            starts.encoder_cold,
            "SELECT stage, text, interval, json_extract(data, '$.intervals') AS several FROM claims"
            " WHERE counts IN ('interval', 'addition') AND source <> 'torch'",
        )
        assert [row["text"] for row in rows if row["interval"] is None and row["several"] is None] == []


class TestReconciliation:
    @pytest.mark.parametrize("name", ["encoder_cold", "encoder_warm", "text_cold", "text_warm"])
    def test_every_claim_of_vllm_s_is_matched_and_explained(self, starts: Starts, name: str) -> None:
        started = getattr(starts, name)
        rows = ask(
            started,
            "SELECT c.text, c.source, r.main_cause FROM reconciliation r JOIN claims c"
            " USING (session, process, claim)",
        )
        unmatched = [row for row in rows if row["main_cause"] == "unmatched"]
        # What torch times without a span of its own has nothing to be held against.
        assert {row["source"] for row in unmatched} <= {"torch"}
        assert {row["text"].partition("=")[0] for row in unmatched} <= {
            "guard_latency_us",
            "structured_logging_overhead_us",
        }
        unexplained = ask(started, "SELECT sum(abs(ns)) AS ns FROM causes WHERE cause = 'unexplained'")
        compiled = ask(started, "SELECT sum(total_ns) AS ns FROM role_totals WHERE activity = 'compile'")
        assert (unexplained[0]["ns"] or 0) < compiled[0]["ns"] / 100

    def test_the_front_end_reports_nothing(self, starts: Starts) -> None:
        rows = ask(
            starts.encoder_cold,
            "SELECT r.main_cause FROM reconciliation r JOIN claims c USING (session, process, claim)"
            " WHERE c.text LIKE 'front end:%'",
        )
        assert [row["main_cause"] for row in rows] == ["not_reported", "not_reported"]

    def test_a_mode_that_reports_nothing_is_named(self, starts: Starts) -> None:
        rows = ask(
            starts.stock,
            "SELECT DISTINCT main_cause FROM reconciliation WHERE claimed_ns = 0 AND measured_ns > 1000000",
        )
        assert rows == [{"main_cause": "not_reported"}]


class TestTextModel:
    def test_a_start_is_one_session_of_all_its_processes(self, starts: Starts) -> None:
        assert_is_healthy(starts.text_cold)
        assert_is_healthy(starts.text_warm)

    def test_what_vllm_does_around_its_backend_is_visible(self, starts: Starts) -> None:
        [compiled] = (
            row for row in stage(starts.text_cold, "torch_compile") if row["data"]["cache"] == "compiled"
        )
        [backend] = stage(starts.text_cold, "backend_compile")
        [dynamo] = stage(starts.text_cold, "dynamo")
        [saved] = stage(starts.text_cold, "aot_save")
        in_backend_ns = dynamo["duration_ns"] + backend["duration_ns"]
        assert in_backend_ns < compiled["duration_ns"]
        # The save is the larger part of the difference, and an interval of its own.
        beside_ns = compiled["duration_ns"] - in_backend_ns
        assert 0 < saved["duration_ns"] <= beside_ns
        assert compiled["unattributed_ns"] <= beside_ns - saved["duration_ns"]
        # As the backend's own lines add up, without the monitor's.
        lines_ns = sum(
            row["claimed_ns"]
            for row in ask(
                starts.text_cold,
                "SELECT claimed_ns FROM claims WHERE source = 'backend' AND text LIKE '[backbone]%'",
            )
        )
        assert lines_ns < compiled["duration_ns"] - saved["duration_ns"] + HALF_A_LINE_NS

    def test_the_backend_says_where_its_cache_is_and_what_its_key_was_made_of(self, starts: Starts) -> None:
        [backend] = stage(starts.text_cold, "backend_compile")
        assert Path(backend["data"]["cache_dir"]).is_dir()
        assert backend["data"]["cache_key"].keys() == {"env", "config_hash", "code_hash", "compiler_hash"}
        assert "VLLM_CACHE_ROOT" not in backend["data"]["cache_key_env"]
        assert len(backend["data"]["cache_key_env"]) > 50


STARTS = ["encoder_cold", "encoder_warm", "text_cold", "text_warm", "served"]


class TestFromCommandToReady:
    @pytest.mark.parametrize("name", STARTS)
    def test_nearly_all_of_it_is_in_a_stage_that_somebody_works_in(self, starts: Starts, name: str) -> None:
        started = getattr(starts, name)
        [window] = ask(started, "SELECT * FROM startup_windows")
        assert (window["began_by"], window["ended_by"]) == ("command_started", "server_ready")
        pieces = ask(started, "SELECT * FROM startup_breakdown ORDER BY piece")
        assert sum(piece["duration_ns"] for piece in pieces) == window["duration_ns"]
        nameless = [piece for piece in pieces if piece["interval"] is None]
        assert [
            piece for piece in nameless if piece["duration_ns"] > 10**7 and not piece["before_stage"]
        ] == []
        assert sum(piece["duration_ns"] for piece in nameless) == window["unattributed_ns"]
        assert window["unattributed_ns"] <= 0.03 * window["duration_ns"], nameless
        # Whoever waits is charged only where its child has nothing open: while that ends, for the most part.
        waited = [piece for piece in pieces if piece["stage"] == "waiting"]
        is_cold = any(piece["component"] == "vllm.model_executor.models" for piece in pieces)
        assert is_cold or sum(piece["duration_ns"] for piece in waited) <= 0.03 * window["duration_ns"], (
            waited
        )

    @pytest.mark.parametrize("name", STARTS[:-1])
    def test_it_is_as_long_as_the_program_says_itself(self, starts: Starts, name: str) -> None:
        started = getattr(starts, name)
        [said] = re.findall(r"^ready after: ([0-9.]+) s$", started.output, re.MULTILINE)
        [window] = ask(started, "SELECT duration_ns FROM startup_windows")
        assert abs(window["duration_ns"] - float(said) * 1e9) <= 50_000_000

    def test_a_server_is_ready_between_its_last_refusal_and_its_first_answer(self, starts: Starts) -> None:
        served = starts.served
        assert served.observed["tokens"] == 4, served.output[-4000:]
        moments = {row["name"]: row["at_ns"] for row in ask(served, "SELECT name, at_ns FROM milestones")}
        assert served.observed["refused_ns"] < moments["server_ready"] < served.observed["answered_ns"]
        assert moments["engine_ready"] < moments["server_ready"] < moments["first_token"]

    @pytest.mark.parametrize("name", STARTS)
    def test_every_process_that_is_waited_for_is_there(self, starts: Starts, name: str) -> None:
        waits = stage(getattr(starts, name), "waiting")
        pids = {
            row["pid"]: row["name"] for row in ask(getattr(starts, name), "SELECT pid, name FROM processes")
        }
        found = {row["data"]["for"]: pids.get(row["data"]["child_pid"]) for row in waits}
        assert found["the engine"] == "EngineCore"
        assert found["the workers"] == found["determine_available_memory"] == "Worker"
        assert None not in found.values()

    @pytest.mark.parametrize("name", STARTS)
    def test_the_front_end_s_stages_are_there(self, starts: Starts, name: str) -> None:
        started = getattr(starts, name)
        found = {row["stage"] for row in ask(started, "SELECT DISTINCT stage FROM intervals")}
        expected = {
            "configuration",
            "plugins_load",
            "model_config",
            "renderer_init",
            "process_spawn",
            "waiting",
        }
        assert expected <= found
        assert ("tokenizer_load" in found) == (not name.startswith("text"))
        assert ("server_start" in found) == (name == "served")


class TestCacheKey:
    def test_a_start_without_recording_is_warm_after_one_with_it(self, starts: Starts) -> None:
        after = starts.text_warm_unrecorded
        assert after.exit_code == 0
        assert "Directly load AOT compilation from path" in after.output
        assert "Dynamo bytecode transform time" not in after.output

    def test_a_start_with_recording_is_warm_after_one_without_it(self, starts: Starts) -> None:
        assert "Dynamo bytecode transform time" in starts.text_cold_unrecorded.output
        assert [row["data"]["cache"] for row in stage(starts.text_warm, "aot_load")] == ["hit"]
        assert stage(starts.text_warm, "dynamo") == []

    def test_recording_alone_makes_no_difference_to_what_is_cached(self, starts: Starts) -> None:
        assert starts.text_warm.exit_code == 0
        assert starts.text_warm_unrecorded.exit_code == 0

        def keys(cache: str) -> list[str]:
            root = starts.folder / cache / "vllm" / "torch_compile_cache"
            return sorted(path.name for path in (root / "torch_aot_compile").iterdir())

        assert keys("text_cache") == keys("other_cache")


class TestStockMode:
    def test_a_compile_that_vllm_does_not_claim_is_in_the_ledger(self, starts: Starts) -> None:
        assert_is_healthy(starts.stock)
        _, compiled = stage(starts.stock, "torch_compile")
        assert compiled["data"] == {"mode": "DYNAMO_TRACE_ONCE", "cache": "compiled"}
        assert compiled["duration_s"] > 5
        # Dynamo's end is not seen where it calls torch's own backend.
        assert stage(starts.stock, "dynamo") == []
        claims = ask(
            starts.stock,
            "SELECT counts, claimed_ns FROM claims WHERE stage = 'torch_compile' AND source <> 'torch'",
        )
        assert {claim["counts"] for claim in claims} >= {"addition", "total", "ranks"}
        assert {claim["claimed_ns"] for claim in claims} == {0}


FAILURES: dict[str, tuple[list[str], dict[str, str]]] = {
    "kv_cache": (["--kv-cache-bytes", "65536"], {}),
    "first_run": ([], {"FAIL_IN_FIRST_RUN": "1"}),
}
"""A cache that has no room for a single request of the greatest length; and a run that raises."""


class TestFailedStart:
    @pytest.mark.parametrize("where", FAILURES)
    def test_it_leaves_a_failed_session_with_all_that_happened_before(
        self, starts: Starts, where: str
    ) -> None:
        arguments, variables = FAILURES[where]
        started = starts.start(f"failed_{where}", starts.text, f"{where}_cache", *arguments, **variables)
        assert started.exit_code != 0
        assert ask(started, "SELECT outcome FROM sessions") == [{"outcome": "failed"}]
        rows = ask(started, "SELECT name, outcome FROM processes")
        outcomes = {row["name"]: row["outcome"] for row in rows}
        assert outcomes["start.py"] == "failed"
        assert outcomes["EngineCore"] == "failed"
        [engine] = stage(started, "engine_init")
        assert engine["outcome"] == "failed"
        compiled = [row for row in stage(started, "torch_compile") if row["data"]["cache"] == "compiled"]
        assert [row["outcome"] for row in compiled] == ["completed"]
        assert ask(started, "SELECT name FROM milestones WHERE name = 'engine_ready'") == []
        if where == "first_run":
            assert outcomes["Worker"] == "failed"
            [first] = stage(started, "first_run")
            assert (first["outcome"], first["error"]) == ("failed", "RuntimeError")


class TestKilledStart:
    def test_the_open_intervals_stay_and_the_report_says_where_each_died(self, starts: Starts) -> None:
        killed = _start_and_kill(starts)
        command = [sys.executable, "-m", "ledger.cli", "report", str(killed), "--section", "processes"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        with Ledger.open(killed) as ledger:
            assert ledger.sql("SELECT outcome FROM sessions") == [{"outcome": "failed"}]
            rows = ledger.sql(
                "SELECT p.name, i.stage FROM intervals i JOIN processes p USING (session, process)"
                " WHERE i.outcome = 'abandoned' AND p.outcome = 'lost'"
            )
        died_in: dict[str, set[str]] = {}
        for row in rows:
            died_in.setdefault(row["name"], set()).add(row["stage"])
        assert {"profile_run", "torch_compile", "backend_compile", "graph_compile"} <= died_in["Worker"]
        assert died_in["EngineCore"] == {"engine_core_init", "engine_init", "waiting"}
        lines = {line.split()[0]: line for line in shown.splitlines() if " lost " in line}
        assert any(f" {name} " in lines["EngineCore"] for name in died_in["EngineCore"])
        assert any(f" {name} " in lines["Worker"] for name in died_in["Worker"])


def _start_and_kill(starts: Starts) -> Path:
    """Kill the worker and the engine in mid-compile; return the ledger that this leaves."""
    ledger = starts.folder / "killed.db"
    program = subprocess.Popen(
        starting.command(starts.python, starts.text, record_to=ledger),
        env=starting.environment(starts.folder / "killed_cache"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for pid in _wait_for_compile(ledger, program):
            os.kill(pid, signal.SIGKILL)
        assert program.wait(timeout=starting.TIMEOUT_S) != 0
    finally:
        program.kill()
        program.wait()
    return ledger


def _wait_for_compile(ledger: Path, program: "subprocess.Popen[bytes]") -> list[int]:
    """Wait until a graph is being compiled; return the pids of the worker and the engine."""
    deadline = time.monotonic() + starting.TIMEOUT_S
    while time.monotonic() < deadline and program.poll() is None:
        time.sleep(0.5)
        if not ledger.exists():
            continue
        with Ledger.open(ledger) as opened:
            if opened.sql("SELECT 1 FROM intervals WHERE stage = 'graph_compile' AND outcome = 'open'"):
                rows = opened.sql("SELECT pid FROM processes WHERE name IN ('Worker', 'EngineCore')")
                return [row["pid"] for row in rows]
    raise AssertionError("no graph was ever compiled")
