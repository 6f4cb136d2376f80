"""vLLM's compiles and loads as the recorder sees them: real recordings of a fake vLLM (tests/fake_vllm)."""

import itertools
from pathlib import Path

import pytest

from tests.fake_vllm.driver import STATES_TIME, Recording, record

ENCODER, BACKBONE, DRAFTER = "Qwen2_5_VisionBlock", "backbone", "eagle_head"
ROLES = {ENCODER: "encoder", BACKBONE: "language_model", DRAFTER: "drafter"}
OF_A_DRAFTER = (
    "model_load", "model_init", "weights_load", "profile_run", "graph_capture_probe", "graph_capture",
)  # fmt: skip
"""What a drafter has beside its compile: tests/adapters/test_ledger_vllm_drafters.py."""
NO_AOT = {"VLLM_USE_AOT_COMPILE": "0"}
NO_MEGA = {"VLLM_USE_MEGA_AOT_ARTIFACT": "0"}

START = "LLM(VllmConfig(encoder_blocks=1)).shutdown()"
START_WITH_ALL = """
compilation = CompilationConfig(graphs=4, ranges=((1, 512), (513, 8192)), says_that_it_saved_after_s=0)
LLM(VllmConfig(compilation, encoder_blocks=1, drafter="eagle")).shutdown()
"""
MAX_INT = 2**31 - 1
RANGES = {
    ENCODER: ["(1, 512)", f"(513, {MAX_INT})"],
    BACKBONE: ["(1, 512)", "(513, 8192)"],
    DRAFTER: ["(1, 512)", "(513, 8192)"],
}
SLACK_NS = 50_000_000
"""What another program may take of this machine between two readings of the clock."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("all")


@pytest.fixture(scope="module")
def cold(folder: Path) -> Recording:
    """A cold start of a model with three parts, four graphs each, two ranges each."""
    return record(folder, START_WITH_ALL, ledger="cold.db", FAKE_WORK_S="0.008", VLLM_SECRET="s3cr3t-t0ken")


@pytest.fixture(scope="module")
def warm(folder: Path, cold: Recording) -> Recording:
    assert cold.intervals
    return record(folder, START_WITH_ALL, ledger="warm.db")


@pytest.fixture(scope="module")
def old_cold(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The same with two graphs, by the last version whose backend did the adding up."""
    body = START_WITH_ALL.replace("graphs=4", "graphs=2")
    return record(tmp_path_factory.mktemp("old"), body, version="0.19.1", FAKE_WORK_S="0.002")


class TestColdStart:
    def test_each_component_has_one_compile_after_a_load_that_found_nothing(self, cold: Recording) -> None:
        for component, role in ROLES.items():
            tried, compiled = cold.of("torch_compile", component)
            assert (tried.source, tried.role, tried.outcome) == ("monitor", role, "completed")
            assert tried.data == {"mode": "VLLM_COMPILE", "cache": "miss"}
            assert (compiled.source, compiled.role, compiled.outcome) == ("monitor", role, "completed")
            assert compiled.data == {"mode": "VLLM_COMPILE", "cache": "compiled"}

    @pytest.mark.parametrize("component", ROLES)
    def test_what_a_compile_consists_of_is_inside_of_it(self, cold: Recording, component: str) -> None:
        tree = [node for node in cold.tree(component) if node[0] not in OF_A_DRAFTER]
        assert tree == [
            ("torch_compile", "profile_run"),
            ("aot_load", "torch_compile"),
            ("torch_compile", "profile_run"),
            ("aot_compile", "torch_compile"),
            ("dynamo", "aot_compile"),
            ("backend_compile", "aot_compile"),
            ("cache_key", "backend_compile"),
            ("graph_split", "backend_compile"),
            *[("graph_compile", "backend_compile")] * 8,
            ("cache_save", "backend_compile"),
            ("aot_save", "torch_compile"),
            ("first_run", "profile_run"),
        ]

    def test_parents_are_those_that_enclose(self, cold: Recording) -> None:
        assert {(i.stage, i.parent) for i in cold.intervals} == {
            (i.stage, i.enclosing) for i in cold.intervals
        }

    def test_dynamo_is_over_when_the_backend_begins(self, cold: Recording) -> None:
        for component in ROLES:
            dynamo, backend = cold.one("dynamo", component), cold.one("backend_compile", component)
            assert dynamo.stop_ns <= backend.start_ns
            assert dynamo.data == {}

    @pytest.mark.parametrize("component", ROLES)
    def test_each_graph_is_told_for_each_range(self, cold: Recording, component: str) -> None:
        graphs = cold.of("graph_compile", component)
        # The third graph of four is equal to the second one: it is compiled once.
        caches = ["miss", "miss", "reused", "miss"]
        assert [graph.data for graph in graphs] == [
            {"range": range_, "graph_index": index, "graphs": 4, "cache": caches[index]}
            for index, range_ in itertools.product(range(4), RANGES[component])
        ]
        assert {graph.source for graph in graphs} == {"backend"}
        assert cold.one("graph_split", component).data == {"pieces": 7, "graphs": 4}

    def test_a_roles_total_is_what_the_monitor_added_and_what_it_lost(self, cold: Recording) -> None:
        for component, role in ROLES.items():
            [total] = [
                row["total_ns"] for row in cold.role_totals
                if (row["role"], row["activity"]) == (role, "compile")
            ]  # fmt: skip
            [added] = [claim for claim in cold.additions("monitor") if claim.role == role]
            [lost] = cold.of("torch_compile", component, cache="miss")
            assert isinstance(total, int)
            assert abs(total - added.claimed_ns - lost.duration_ns) < SLACK_NS
            assert added.claimed_ns > 2 * SLACK_NS

    def test_the_load_that_found_nothing_says_where(self, cold: Recording, folder: Path) -> None:
        for component in ROLES:
            [load] = cold.of("aot_load", component)
            assert (load.source, load.outcome, load.data["cache"]) == ("backend", "completed", "miss")
            assert load.data["path"].startswith(str(folder / "cache"))
            saved = cold.one("aot_save", component)
            assert saved.data["path"].startswith(load.data["path"])

    def test_a_component_says_where_its_cache_is_and_what_its_key_was_made_of(
        self, cold: Recording, folder: Path
    ) -> None:
        for component in ROLES:
            data = cold.one("backend_compile", component).data
            assert data["cache_dir"].startswith(str(folder / "cache"))
            assert data["cache_dir"].endswith(f"/{component}")
            digest = data["cache_key"].pop("env")
            assert data["cache_key"] == {
                "config_hash": "c0ffee", "code_hash": "c0de", "compiler_hash": "5ea1",
            }  # fmt: skip
            assert len(digest) == 12

    def test_of_variables_only_digests_are_kept_and_only_once(self, cold: Recording) -> None:
        told = [i.data["cache_key_env"] for i in cold.of("backend_compile") if "cache_key_env" in i.data]
        assert [sorted(variables) for variables in told] == [["VLLM_SECRET", "VLLM_USE_AOT_COMPILE"]]
        assert "s3cr3t-t0ken" not in str(cold.events)

    def test_the_weights_of_a_drafter_are_the_drafters(self, cold: Recording) -> None:
        for stage in ("model_load", "model_init", "weights_load"):
            assert [(i.role, i.component) for i in cold.of(stage)] == [(None, None), ("drafter", DRAFTER)]

    def test_only_outermost_stages_say_how_long_their_thread_waited_for_a_processor(
        self, cold: Recording
    ) -> None:
        times = {"cpu_ns", "cpu_wait_ns"}
        assert cold.one("engine_start").data.keys() >= times
        assert not cold.one("engine_init").data.keys() & times

    def test_weights_say_how_many_bytes_were_loaded(self, cold: Recording) -> None:
        assert [i.data for i in cold.of("weights_load")] == [{"bytes": 4_000}, {"bytes": 4_000}]

    def test_the_stages_of_the_engine_enclose_each_other(self, cold: Recording) -> None:
        assert cold.tree(None) == [
            ("configuration", None),
            ("model_config", "configuration"),
            ("renderer_init", None),
            ("tokenizer_load", "renderer_init"),
            ("engine_start", None),
            ("executor_init", "engine_start"),
            ("device_init", "executor_init"),
            ("distributed_init", "device_init"),
            ("process_group_init", "distributed_init"),
            ("model_parallel_init", "distributed_init"),
            ("runner_init", "device_init"),
            ("model_load", "executor_init"),
            ("model_init", "model_load"),
            ("weights_load", "model_load"),
            ("engine_init", "engine_start"),
            ("memory_profile", "engine_init"),
            ("profile_run", "memory_profile"),
            ("graph_capture_probe", "memory_profile"),
            ("kv_cache_init", "engine_init"),
            ("warmup", "engine_init"),
            ("kernel_warmup", "warmup"),
            ("deep_gemm_warmup", "kernel_warmup"),
            ("flashinfer_autotune", "kernel_warmup"),
            ("graph_capture", "warmup"),
            ("sampler_warmup", "warmup"),
            ("gc_freeze", "engine_start"),
            ("renderer_warmup", None),
        ]
        assert [row["name"] for row in cold.milestones] == ["engine_ready"]

    def test_nothing_failed_and_nothing_is_missing(self, cold: Recording) -> None:
        assert {i.outcome for i in cold.intervals} == {"completed"}
        assert cold.gaps == []
        assert [process["outcome"] for process in cold.processes.values()] == ["completed"]
        [joined] = cold.joined.values()
        assert joined.missing_hooks == ()
        assert "vllm log lines" in joined.hooks


class TestLogLines:
    def test_every_line_that_states_a_time_is_claimed_word_for_word(self, cold: Recording) -> None:
        said = [line for line in cold.logged if STATES_TIME.fullmatch(line)]
        assert len(said) > 20
        assert list(dict.fromkeys(claim.text for claim in cold.lines())) == list(dict.fromkeys(said))

    def test_what_is_claimed_is_the_number_as_it_was_printed(self, cold: Recording) -> None:
        for claim in cold.lines():
            digits = {10**9: 0, 10**7: 2, 10**3: 6}[claim.resolution_ns or 0]
            assert f"{claim.claimed_ns / 1e9:.{digits}f}" in str(claim.text)
            assert (claim.data or {})["logger"].startswith("vllm.")

    def test_a_line_names_the_interval_that_it_speaks_of(self, cold: Recording) -> None:
        parts = list(ROLES)
        expected: list[tuple[str, str, str | None, list[str]]] = [
            ("model_init", "engine", None, ["model_init"]),
            ("weights_load", "engine", None, ["weights_load"]),
            ("model_init", "engine", DRAFTER, ["model_init"]),
            ("weights_load", "engine", DRAFTER, ["weights_load"]),
            ("model_load", "engine", None, ["model_load"]),
        ]
        for component in parts:
            expected += [
                ("dynamo", "backend", component, ["dynamo", "cache_key"]),
                ("graph_compile", "backend", component, ["graph_compile"] * 4),
                ("graph_compile", "backend", component, ["graph_compile"] * 4),
                ("cache_save", "backend", component, ["cache_save"]),
                ("torch_compile", "monitor", component, ["torch_compile"]),
                ("first_run", "monitor", component, ["first_run"]),
            ]
        expected += [
            ("kernel_warmup", "engine", None, ["kernel_warmup"]),
            ("graph_capture", "engine", None, ["graph_capture"]),
            ("engine_init", "engine", None, ["engine_init"]),
        ]
        claims = [claim for claim in cold.lines() if claim.counts == "interval"]
        assert [
            (c.stage, c.source, c.component, [i.stage for i in cold.named_by(c)]) for c in claims
        ] == expected
        for claim in claims:
            assert claim.role == ROLES.get(claim.component or "")
            assert {i.component for i in cold.named_by(claim)} == {claim.component}
            assert (claim.interval is None) == (len(cold.named_by(claim)) > 1)

    def test_a_line_of_a_range_names_the_graphs_of_that_range_alone(self, cold: Recording) -> None:
        for component, ranges in RANGES.items():
            lines = [c for c in cold.lines() if (c.stage, c.component) == ("graph_compile", component)]
            assert [(line.data or {})["range"] for line in lines] == ranges
            for line, range_ in zip(lines, ranges, strict=True):
                named = cold.named_by(line)
                assert named == cold.of("graph_compile", component, range=range_)

    def test_a_line_claims_what_its_intervals_took(self, cold: Recording) -> None:
        for claim in cold.lines():
            if claim.counts != "interval" or claim.stage == "graph_compile":
                continue  # a range's line also has the graphs of other ranges in it
            took_ns = sum(i.duration_ns for i in cold.named_by(claim))
            assert abs(claim.claimed_ns - took_ns) <= SLACK_NS + (claim.resolution_ns or 0) / 2

    def test_the_engines_line_is_its_own_time_and_a_claim_on_the_ranks(self, cold: Recording) -> None:
        [line] = [line for line in cold.logged if line.startswith("init engine")]
        claims = [claim for claim in cold.lines() if claim.text == line]
        assert [(c.stage, c.counts, c.role, c.interval is None) for c in claims] == [
            ("engine_init", "interval", None, False),
            ("torch_compile", "ranks", None, True),
            ("torch_compile", "ranks", "language_model", True),
            ("torch_compile", "ranks", "encoder", True),
        ]
        _, both, language_model, encoder = (claim.claimed_ns for claim in claims)
        assert abs(both - language_model - encoder) <= 10**7

    def test_what_was_added_to_an_accumulator_names_the_accumulator(self, cold: Recording) -> None:
        assert [(c.role, c.component, c.source, c.stage, c.data) for c in cold.additions()] == [
            ("encoder", ENCODER, "monitor", "torch_compile", {"accumulator": "encoder_compilation_time"}),
            ("language_model", BACKBONE, "monitor", "torch_compile", {"accumulator": "compilation_time"}),
            ("drafter", DRAFTER, "monitor", "torch_compile", {"accumulator": "compilation_time"}),
        ]
        for claim in cold.additions():
            [named] = cold.named_by(claim)
            assert named == cold.one("torch_compile", claim.component, cache="compiled")

    def test_what_worker_and_engine_hold_in_the_end_is_claimed(self, cold: Recording) -> None:
        added = {
            role: sum(c.claimed_ns for c in cold.additions() if c.role == role) for role in ROLES.values()
        }
        held = {
            "language_model": added["language_model"] + added["drafter"],
            "encoder": added["encoder"],
        }
        for counts, source, number in (("total", "monitor", 1), ("ranks", "engine", 2)):
            claims = [c for c in cold.claims if c.counts == counts and "=" in str(c.text)]
            assert [(c.source, c.role) for c in claims] == [(source, role) for role in held] * number
            assert all(abs(c.claimed_ns - held[str(c.role)]) <= 2 for c in claims)

    def test_each_capture_has_its_own_line_the_probes_and_the_real_one(self, tmp_path: Path) -> None:
        start = record(tmp_path, "LLM(VllmConfig(use_v2_model_runner=True))")
        claims = [c for c in start.lines() if str(c.text).startswith("Graph capturing finished")]
        assert [c.stage for c in claims] == ["graph_capture_probe", "graph_capture"]
        assert [start.named_by(c) for c in claims] == [
            [start.one("graph_capture_probe")],
            [start.one("graph_capture")],
        ]
        assert {c.resolution_ns for c in claims} == {10**9}

    @pytest.mark.parametrize("version", ["0.20.0", "0.32.0"])
    def test_a_logger_that_is_silent_is_a_missing_hook(self, tmp_path: Path, version: str) -> None:
        start = record(tmp_path, START, version=version, VLLM_LOGGING_LEVEL="WARNING")
        assert start.lines() == []
        [joined] = start.joined.values()
        assert joined.missing_hooks == ("vllm log lines: vLLM logs nothing below WARNING",)
        assert [c.role for c in start.additions("monitor")] == ["encoder", "language_model"]

    def test_a_line_is_claimed_once_however_often_logging_is_configured(self, tmp_path: Path) -> None:
        body = (
            "from vllm.logger import configure_logging\nload_general_plugins()\n"
            "for _ in range(3):\n    configure_logging(VllmConfig().logging_config)\n" + START
        )
        start = record(tmp_path, body)
        said = [line for line in start.logged if STATES_TIME.fullmatch(line)]
        assert [c.text for c in start.lines() if c.counts == "interval"] == said


class TestWarmStart:
    def test_each_component_is_loaded_and_nothing_is_compiled(self, warm: Recording) -> None:
        for component, role in ROLES.items():
            compiled = warm.one("torch_compile", component)
            assert (compiled.role, compiled.outcome, compiled.data["cache"]) == (role, "completed", "hit")
            load = warm.one("aot_load", component)
            assert (load.parent, load.outcome, load.data["cache"]) == (compiled.interval, "completed", "hit")
        assert not {"dynamo", "backend_compile", "graph_compile", "aot_save"} & {
            i.stage for i in warm.intervals
        }

    @pytest.mark.parametrize("component", ROLES)
    def test_the_graphs_come_from_one_file(self, warm: Recording, component: str) -> None:
        tree = [node for node in warm.tree(component) if node[0] not in OF_A_DRAFTER]
        assert tree == [
            ("torch_compile", "profile_run"),
            ("aot_load", "torch_compile"),
            *[("graph_load", "aot_load")] * 5,
            ("first_run", "profile_run"),
        ]
        artifacts, *graphs = warm.of("graph_load", component)
        assert artifacts.data == {"artifacts": 6, "graphs": 8, "cache": "hit"}
        ranges = ", ".join(RANGES[component])
        assert [graph.data for graph in graphs] == [
            {"range": ranges, "graph_index": index, "graphs": 4, "cache": "hit"} for index in range(4)
        ]

    def test_the_monitor_adds_the_load(self, warm: Recording) -> None:
        added = warm.additions()
        assert [(c.source, c.component) for c in added] == [("monitor", c) for c in ROLES]
        for claim in added:
            [named] = warm.named_by(claim)
            assert abs(named.duration_ns - claim.claimed_ns) < SLACK_NS

    @pytest.mark.parametrize("version", ["0.19.1", "0.20.0", "0.32.0"])
    def test_without_the_mega_artifact_the_backend_loads_each_graph(
        self, tmp_path: Path, version: str
    ) -> None:
        record(tmp_path, START, ledger="cold.db", version=version, **NO_MEGA)
        warm = record(tmp_path, START, version=version, **NO_MEGA)
        for component in (ENCODER, BACKBONE):
            range_ = RANGES[component][0] if component == ENCODER else "(1, 8192)"
            range_ = f"(1, {MAX_INT})" if component == ENCODER else range_
            assert warm.tree(component) == [
                ("torch_compile", "profile_run"),
                ("aot_load", "torch_compile"),
                ("aot_read", "aot_load"),
                ("backend_compile", "aot_load"),
                ("cache_key", "backend_compile"),
                ("graph_split", "backend_compile"),
                ("graph_load", "backend_compile"),
                ("graph_load", "backend_compile"),
                ("cache_save", "backend_compile"),
                ("first_run", "profile_run"),
            ]
            graphs = warm.of("graph_load", component)
            assert [graph.data for graph in graphs] == [
                {"range": range_, "graph_index": index, "graphs": 2, "cache": "hit"} for index in range(2)
            ]
            [line] = [c for c in warm.lines() if (c.stage, c.component) == ("graph_load", component)]
            assert (line.resolution_ns, warm.named_by(line)) == (10**6, graphs)

    def test_several_blocks_of_an_encoder_are_one_compile_and_loads(self, tmp_path: Path) -> None:
        start = record(tmp_path, "LLM(VllmConfig(encoder_blocks=3))", is_clean=False)
        assert [odd["what"] for odd in start.anomalies] == ["repeated_load"]
        caches = [i.data["cache"] for i in start.of("torch_compile", ENCODER)]
        assert caches == ["miss", "compiled", "hit", "hit"]
        assert len([c for c in start.additions("monitor") if c.role == "encoder"]) == 3

    @pytest.mark.parametrize("version", ["0.20.0", "0.32.0"])
    def test_the_dynamo_line_of_a_load_speaks_of_no_other_components_dynamo(
        self, tmp_path: Path, version: str
    ) -> None:
        # A model that had no encoder when its backbone was compiled: vLLM says "Dynamo" of the load as well.
        record(tmp_path, "LLM(VllmConfig())", ledger="cold.db", version=version, **NO_MEGA)
        start = record(tmp_path, START, version=version, **NO_MEGA)
        assert [i.component for i in start.of("dynamo")] == [ENCODER]
        claims = [claim for claim in start.lines() if "Dynamo bytecode" in str(claim.text)]
        assert [(c.role, c.component) for c in claims] == [
            ("encoder", ENCODER), ("language_model", BACKBONE),
        ]  # fmt: skip
        assert [i.stage for i in start.named_by(claims[0])] == ["dynamo", "cache_key"]
        assert [(i.stage, i.component) for i in start.named_by(claims[1])] == [
            ("aot_read", BACKBONE), ("cache_key", BACKBONE),
        ]  # fmt: skip


class TestFailedLoad:
    @pytest.mark.parametrize(
        ("content", "error"), [(b"", "EOFError"), (b"broken", "UnpicklingError")], ids=["empty", "broken"]
    )
    def test_a_load_that_fails_is_followed_by_a_compile(
        self, tmp_path: Path, content: bytes, error: str
    ) -> None:
        record(tmp_path, START, ledger="cold.db")
        for file in (tmp_path / "cache").glob("torch_aot_compile/*/*/model"):
            file.write_bytes(content)
        start = record(tmp_path, START)
        for component in (ENCODER, BACKBONE):
            failed, compiled = start.of("torch_compile", component)
            load = start.one("aot_load", component)
            for interval in (failed, load):
                assert (interval.outcome, interval.error) == ("failed", error)
                assert interval.data["cache"] == "failed"
                assert interval.data["reason"].startswith(f"{error}: ")
            assert (compiled.outcome, compiled.data["cache"]) == ("completed", "compiled")
            [added] = [c for c in start.additions() if c.component == component]
            assert start.named_by(added) == [compiled]
            # The graphs themselves are still in the compiler manager's cache.
            assert {graph.data["cache"] for graph in start.of("graph_load", component)} == {"hit"}
        assert [process["outcome"] for process in start.processes.values()] == ["completed"]

    def test_a_failed_load_that_vllm_is_told_not_to_forgive_fails_all_around_it(self, tmp_path: Path) -> None:
        body = "try:\n    LLM(VllmConfig())\nexcept FileNotFoundError:\n    print('not found')"
        start = record(tmp_path, body, VLLM_FORCE_AOT_LOAD="1")
        assert start.printed == "not found\n"
        assert start.one("torch_compile").data["cache"] == "miss"
        assert (start.one("profile_run").outcome, start.one("profile_run").error) == (
            "failed", "FileNotFoundError",
        )  # fmt: skip
        assert start.additions() == []


class TestOtherWaysToCompile:
    @pytest.mark.parametrize("version", ["0.19.1", "0.20.0", "0.32.0"])
    def test_without_aot_a_compile_has_its_first_run_inside(self, tmp_path: Path, version: str) -> None:
        start = record(tmp_path, START, version=version, **NO_AOT)
        for component, role in ((ENCODER, "encoder"), (BACKBONE, "language_model")):
            compiled = start.one("torch_compile", component)
            assert (compiled.role, compiled.data) == (
                role, {"mode": "VLLM_COMPILE", "includes": "first_run", "cache": "compiled"},
            )  # fmt: skip
            assert start.tree(component) == [
                ("torch_compile", "profile_run"),
                ("dynamo", "torch_compile"),
                ("backend_compile", "torch_compile"),
                ("cache_key", "backend_compile"),
                ("graph_split", "backend_compile"),
                ("graph_compile", "backend_compile"),
                ("graph_compile", "backend_compile"),
                ("cache_save", "backend_compile"),
            ]
            [line] = [c for c in start.lines() if (c.stage, c.component) == ("torch_compile", component)]
            assert "torch.compile and initial profiling/warmup run together took" in str(line.text)
            assert start.named_by(line) == [compiled]

    def test_without_aot_a_second_start_loads_its_graphs_after_dynamo(self, tmp_path: Path) -> None:
        record(tmp_path, START, ledger="cold.db", **NO_AOT)
        start = record(tmp_path, START, **NO_AOT)
        assert start.of("graph_compile") == []
        assert [i.component for i in start.of("dynamo")] == [ENCODER, BACKBONE]
        assert [i.data["cache"] for i in start.of("graph_load", BACKBONE)] == ["hit", "hit"]

    def test_a_graph_that_the_cache_has_in_an_old_form_is_no_hit(self, tmp_path: Path) -> None:
        record(tmp_path, "LLM(VllmConfig())", ledger="cold.db", **NO_AOT)
        [file] = (tmp_path / "cache").glob("torch_compile_cache/*/*/*/vllm_compile_cache.py")
        file.write_text("{((1, 8192), 0, 'inductor'): 'old', ((1, 8192), 1, 'inductor'): 'old'}")
        start = record(tmp_path, "LLM(VllmConfig())", **NO_AOT)
        assert [i.data["cache"] for i in start.of("graph_load")] == ["outdated", "outdated"]
        assert start.of("graph_compile") == []

    def test_a_disabled_cache_is_said(self, tmp_path: Path) -> None:
        environment = {"VLLM_DISABLE_COMPILE_CACHE": "1", **NO_AOT}
        start = record(tmp_path, "LLM(VllmConfig())", **environment)
        assert start.one("backend_compile").data["cache"] == "disabled"

    @pytest.mark.parametrize("environment", [{}, NO_AOT], ids=["aot", "no aot"])
    @pytest.mark.parametrize("version", ["0.20.0", "0.32.0"])
    def test_in_a_stock_mode_nothing_is_added_and_that_is_claimed(
        self, tmp_path: Path, version: str, environment: dict[str, str]
    ) -> None:
        body = (
            "compilation = CompilationConfig(CompilationMode.DYNAMO_TRACE_ONCE)\n"
            "LLM(VllmConfig(compilation, encoder_blocks=1))"
        )
        environment = {**environment, "VLLM_DISABLE_COMPILE_CACHE": "1"}
        start = record(tmp_path, body, version=version, **environment)
        compiled = start.of("torch_compile")
        assert [(i.role, i.component, i.data["mode"]) for i in compiled] == [
            ("encoder", ENCODER, "DYNAMO_TRACE_ONCE"),
            ("language_model", BACKBONE, "DYNAMO_TRACE_ONCE"),
        ]
        assert [(c.source, c.role, c.claimed_ns) for c in start.additions()] == [
            ("monitor", "encoder", 0),
            ("monitor", "language_model", 0),
        ]
        assert [i for c in start.additions() for i in start.named_by(c)] == compiled
        assert not [c for c in start.lines() if c.stage == "torch_compile"]
        # Where Dynamo ends is known from vLLM's own backend alone.
        assert start.of("dynamo") == []

    def test_mode_none_has_no_compile_at_all(self, tmp_path: Path) -> None:
        start = record(tmp_path, "LLM(VllmConfig(CompilationConfig(CompilationMode.NONE), encoder_blocks=1))")
        assert start.of("torch_compile") == []
        assert start.one("profile_run").outcome == "completed"


class TestUpTo0_19:
    def test_what_is_added_up_is_added_by_the_backend(self, old_cold: Recording) -> None:
        assert {claim.source for claim in old_cold.additions()} == {"backend"}

    def test_dynamo_and_each_range_are_added(self, old_cold: Recording) -> None:
        for component, role in ROLES.items():
            added = [c for c in old_cold.additions("backend") if c.component == component]
            assert [(c.role, c.stage) for c in added] == [
                (role, "dynamo"), (role, "graph_compile"), (role, "graph_compile"),
            ]  # fmt: skip
            dynamo, *graphs = (old_cold.named_by(c) for c in added)
            assert [(i.stage, i.component) for i in dynamo] == [
                ("dynamo", component), ("cache_key", component),
            ]  # fmt: skip
            assert graphs == [
                old_cold.of("graph_compile", component, range=range_) for range_ in RANGES[component]
            ]
            assert {(c.data or {})["accumulator"] for c in added} == {"compilation_time"}

    def test_all_that_was_added_is_what_the_worker_hands_over(self, old_cold: Recording) -> None:
        [total] = [claim for claim in old_cold.claims if claim.counts == "total"]
        assert total.role == "language_model"
        assert abs(total.claimed_ns - sum(c.claimed_ns for c in old_cold.additions())) <= 10

    def test_components_are_known_although_the_monitor_is_told_none(self, old_cold: Recording) -> None:
        compiled = [(i.role, i.component) for i in old_cold.of("torch_compile", cache="compiled")]
        assert compiled == [(role, component) for component, role in ROLES.items()]
        first_runs = [(i.role, i.component) for i in old_cold.of("first_run")]
        assert first_runs == compiled
        lines = [(c.role, c.component) for c in old_cold.lines() if c.stage == "torch_compile"]
        assert lines == compiled

    def test_the_engines_line_has_no_claim_on_ranks(self, old_cold: Recording) -> None:
        [claim] = [claim for claim in old_cold.lines() if str(claim.text).startswith("init engine")]
        assert str(claim.text).endswith(" seconds")
        assert (claim.stage, claim.counts) == ("engine_init", "interval")

    def test_a_load_adds_nothing_to_a_dynamo_that_another_component_had(self, tmp_path: Path) -> None:
        record(tmp_path, "LLM(VllmConfig())", ledger="cold.db", version="0.19.1", **NO_MEGA)
        start = record(tmp_path, START, version="0.19.1", **NO_MEGA)
        assert [i.component for i in start.of("dynamo")] == [ENCODER]
        added = [(c.component, c.stage) for c in start.additions("backend")]
        assert added.count((ENCODER, "dynamo")) == 1
        assert BACKBONE in {component for component, _ in added}

    def test_a_load_adds_to_its_graphs_what_their_line_says(self, tmp_path: Path) -> None:
        # Besides, it adds all of the load up to there as "Dynamo".
        record(tmp_path, "LLM(VllmConfig())", ledger="cold.db", version="0.19.1", **NO_MEGA)
        start = record(tmp_path, "LLM(VllmConfig())", version="0.19.1", FAKE_WORK_S="0.005", **NO_MEGA)
        [line] = [claim for claim in start.lines() if claim.stage == "graph_load"]
        [added] = [claim for claim in start.additions("backend") if claim.stage == "graph_load"]
        assert abs(added.claimed_ns - line.claimed_ns) <= 10**6


class TestOf0_20:
    def test_components_are_known_although_no_line_names_them(self, tmp_path: Path) -> None:
        start = record(tmp_path, START_WITH_ALL, version="0.20.0")
        assert not [line for line in start.logged if line.startswith("[")]
        for stage in ("torch_compile", "first_run", "dynamo", "cache_save"):
            claims = [
                (c.role, c.component) for c in start.lines() if c.stage == stage and c.counts == "interval"
            ]
            assert claims == [(role, component) for component, role in ROLES.items()], stage
        assert [(c.role, (c.data or {})["accumulator"]) for c in start.additions("monitor")] == [
            ("encoder", "encoder_compilation_time"),
            ("language_model", "compilation_time"),
            ("drafter", "compilation_time"),
        ]
