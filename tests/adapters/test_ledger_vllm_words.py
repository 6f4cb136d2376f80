"""What the adapter for vLLM reads: durations in messages, parts in tags, functions in sources."""

import importlib.util
import inspect
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Recorder
from ledger.adapters import DoctorCheck
from ledger_engine.hook_targets import HookTarget
from ledger_engine.model_parts import Part
from ledger_engine.patching import Call
from ledger_engine.signature_check import parameters
from ledger_engine.stages import Stages
from ledger_vllm import doctor, plugin
from ledger_vllm.hook_targets import TABLE
from ledger_vllm.messages import Stated, stated
from ledger_vllm.model_parts import current_tag, part_of
from ledger_vllm.monitor import Monitor
from tests.fake_vllm.driver import FAKE

MONITOR, BACKEND, ENGINE = "monitor", "backend", "engine"
LOADED = "Directly load the compiled graph(s) for compile range {range} from the cache, took {n} s"
SHAPES: list[tuple[str, str, str, int]] = [
    ("torch.compile took {n} s in total", "torch_compile", MONITOR, 2),
    ("torch.compile takes {n} s in total", "torch_compile", MONITOR, 2),
    (
        "torch.compile and initial profiling/warmup run together took {n} s in total",
        "torch_compile", MONITOR, 2,
    ),
    ("Initial profiling/warmup run took {n} s", "first_run", MONITOR, 2),
    ("Dynamo bytecode transform time: {n} s", "dynamo", BACKEND, 2),
    (LOADED, "graph_load", BACKEND, 3),
    ("Compiling a graph for compile range {range} takes {n} s", "graph_compile", BACKEND, 2),
    ("Saved compiler manager cache in {n} seconds.", "cache_save", BACKEND, 2),
    ("Loading weights took {n} seconds", "weights_load", ENGINE, 2),
    ("Initializing model took {n} seconds", "model_init", ENGINE, 6),
    ("Model loading took 14.25 GiB and {n} seconds", "model_load", ENGINE, 6),
    ("Model loading took 14.25 GiB memory and {n} seconds", "model_load", ENGINE, 6),
    ("JIT kernel warmup finished in {n}s.", "kernel_warmup", ENGINE, 2),
    ("Graph capturing finished in {n} secs, took 0.50 GiB", "graph_capture", ENGINE, 0),
    ("Encoder graph capturing finished in {n} secs, took 0.50 GiB (12 graphs)", "graph_capture", ENGINE, 0),
]  # fmt: skip
INIT = "init engine (profile, create kv cache, warmup model) took "

SECONDS = st.floats(min_value=0, max_value=1e6, allow_nan=False)
RANGES = st.tuples(st.integers(1, 2**31), st.integers(1, 2**31)).map(str)
TAGS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\-]{0,20}", fullmatch=True)


class TestMessages:
    @pytest.mark.parametrize(("shape", "stage", "source", "digits"), SHAPES)
    @settings(max_examples=30)
    @given(seconds=SECONDS, range_=RANGES, tag=st.none() | TAGS)
    def test_a_message_states_the_number_that_vllm_printed(
        self, shape: str, stage: str, source: Any, digits: int, seconds: float, range_: str, tag: str | None
    ) -> None:
        printed = f"{seconds:.{digits}f}"
        message = shape.format(n=printed, range=range_)
        [said] = stated(message if tag is None else f"[{tag}] {message}")
        assert said == Stated(
            stage, source, float(printed), 10 ** (9 - digits),
            tag=tag, range=range_ if "{range}" in shape else None,
        )  # fmt: skip
        # Rounding took away at most half of what the last digit stands for.
        assert abs(said.seconds - seconds) <= said.resolution_ns / 1e9 / 2 + 1e-9

    @given(st.integers(0, 9), SECONDS)
    def test_the_resolution_is_that_of_the_last_digit(self, digits: int, seconds: float) -> None:
        printed = f"{seconds:.{digits}f}"
        [said] = stated(f"Loading weights took {printed} seconds")
        assert said.seconds == float(printed)
        assert said.resolution_ns * 10**digits == 10**9

    @pytest.mark.parametrize("range_", ["(1, 8192)", "(513, 2147483647)", "dynamic shape", "None"])
    def test_a_range_is_kept_as_it_is_printed(self, range_: str) -> None:
        [said] = stated(f"Compiling a graph for compile range {range_} takes 24.01 s")
        assert (said.range, said.seconds) == (range_, 24.01)

    @given(SECONDS, SECONDS, SECONDS)
    def test_the_engines_line_states_its_own_time_and_those_of_the_ranks(
        self, whole: float, language_model: float, encoder: float
    ) -> None:
        both = f"{language_model + encoder:.2f}"
        message = (
            f"{INIT}{whole:.2f} s (compilation: {both} s — "
            f"language_model: {language_model:.2f} s, encoder: {encoder:.2f} s)"
        )
        assert list(stated(message)) == [
            Stated("engine_init", "engine", float(f"{whole:.2f}"), 10**7),
            Stated("torch_compile", "engine", float(both), 10**7, "ranks"),
            Stated(
                "torch_compile", "engine", float(f"{language_model:.2f}"), 10**7, "ranks", "language_model"
            ),
            Stated("torch_compile", "engine", float(f"{encoder:.2f}"), 10**7, "ranks", "encoder"),
        ]

    @pytest.mark.parametrize(
        ("rest", "counts"),
        [
            ("47.88 seconds", ["interval"]),
            ("47.88 s", ["interval"]),
            ("47.88 s (compilation: 19.14 s)", ["interval", "ranks"]),
        ],
    )
    def test_the_engines_line_may_say_less(self, rest: str, counts: list[str]) -> None:
        said = stated(INIT + rest)
        assert [one.counts for one in said] == counts
        assert said[0] == Stated("engine_init", "engine", 47.88, 10**7)
        assert [one.seconds for one in said[1:]] == [19.14] * (len(counts) - 1)

    @pytest.mark.parametrize(
        "message",
        [
            "",
            "[backbone] Starting torch.compile",
            "[backbone] Using cache directory: cache/torch_compile_cache/1/rank_0_0 for vLLM's torch.compile",
            "Directly load AOT compilation from path cache/model",
            "saved AOT compiled function to cache/model",
            "Compiling model again due to a load failure from cache/model, reason: it took 5.0 s in total",
            "Warming up model for the compilation...",
            "Warming up done.",
            "Cache the graph of compile range (1, 8192) for later use",
            "JIT kernel warmup starting.",
            "JIT kernel warmup failed after 1.50s.",
            "torch.compile took nan s in total",
            "torch.compile took 1.5 minutes in total",
            "He said that torch.compile took 1.50 s in total",
            "torch.compile took 1.50 s in total, and more",
            "Graph capturing finished in 5 secs",
            INIT + "47.88 s (compilation: many s)",
        ],
    )
    def test_most_messages_state_nothing(self, message: str) -> None:
        assert list(stated(message)) == []

    @given(st.text())
    def test_no_text_breaks_it(self, text: str) -> None:
        for said in stated(text):
            assert said.seconds >= 0


class TestParts:
    @pytest.mark.parametrize(
        ("tag", "is_encoder", "role"),
        [
            ("backbone", False, "language_model"),
            ("self_decoder", False, "language_model"),
            ("cross_decoder", False, "language_model"),
            (None, False, "language_model"),
            ("Qwen2_5_VisionBlock", True, "encoder"),
            ("eagle_encoder", True, "encoder"),
            ("eagle_head", False, "drafter"),
            ("draft_model", False, "drafter"),
            ("medusa_head", False, "drafter"),
            ("dflash_head", False, "drafter"),
            ("dflash2_candidate_selector", False, "drafter"),
            ("dspark_head", False, "drafter"),
            ("extract_hidden_states", False, "drafter"),
        ],
    )
    def test_a_tag_names_a_part_of_a_role(self, tag: str | None, is_encoder: bool, role: str) -> None:
        assert part_of(tag, is_encoder=is_encoder) == Part(role, tag)

    def test_the_current_tag_is_that_of_vllms_backends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        name = "vllm.compilation.backends"
        monkeypatch.delitem(sys.modules, name, raising=False)
        assert current_tag() == (None, False)
        module = SimpleNamespace(model_tag="eagle_head", model_is_encoder=False)
        monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]
        assert current_tag() == ("eagle_head", False)


class Model:
    """What vLLM makes."""

    def part(self, monitor: Monitor) -> Part | None:
        call = Call({}, None, inspect.currentframe())
        return monitor._part_of_caller(call)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({}, Part("language_model", "backbone")),
        ({"compile_prefix": "eagle_head"}, Part("drafter", "eagle_head")),
        ({"is_encoder": True}, Part("encoder", None)),
    ],
)
def test_what_is_made_before_vllm_has_a_tag_is_the_backbone(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], part: Part
) -> None:
    monkeypatch.delitem(sys.modules, "vllm.compilation.backends", raising=False)
    monitor, model = Monitor(Stages(Recorder(None), {})), Model()

    next(monitor.model_made(Call(given, model, None)))
    assert model.part(monitor) == part


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the fake vLLM that can be found, and changed."""
    root = tmp_path / "site-packages"
    shutil.copytree(FAKE / "vllm", root / "vllm", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(root)
    monkeypatch.delenv("VLLM_PLUGINS", raising=False)
    return root / "vllm"


def bad(checks: Sequence[DoctorCheck]) -> list[tuple[str, str]]:
    return [(check.name, check.found) for check in checks if not check.is_good]


def checked() -> list[HookTarget]:
    """The targets that every version must have."""
    return [target for target in TABLE.own_targets if target.since is None and target.until is None]


class TestDoctor:
    def test_finds_all_that_recording_rests_on_and_imports_nothing(self, sources: Path) -> None:
        checks = doctor.examine()
        assert bad(checks) == []
        [hooks] = [check for check in checks if check.name == "vllm hooks"]
        number = len(checked())
        assert hooks.found == f"{number} of {number} are in place"
        assert "vllm" not in sys.modules

    def test_names_the_function_that_is_missing_and_what_is_not_recorded(self, sources: Path) -> None:
        file = sources / "v1/worker/gpu_worker.py"
        file.write_text(file.read_text().replace("def init_device", "def init_the_device"))
        found = dict(bad(doctor.examine()))
        assert found.pop("vllm hooks").endswith("are in place")
        assert found == {
            "vllm.v1.worker.gpu_worker.Worker.init_device":
            "there is no such function: device_init is not recorded"
        }  # fmt: skip

    def test_names_the_parameter_that_is_missing(self, sources: Path) -> None:
        file = sources / "compilation/decorators.py"
        file.write_text(file.read_text().replace("aot_compilation_path: str", "path: str"))
        assert ("vllm.compilation.decorators._try_load_aot_compiled_fn",
                "it has no parameter aot_compilation_path: try_load is not recorded",
        ) in bad(doctor.examine())  # fmt: skip

    def test_a_module_that_a_version_has_not_is_no_fault(self, sources: Path) -> None:
        shutil.rmtree(sources / "v1/worker/cpu")
        checks = doctor.examine()
        assert bad(checks) == []
        assert f"{len(checked()) - 1} of" in str(checks)

    @pytest.mark.parametrize(
        ("plugins", "is_good"), [("other", False), ("", False), ("other,compile_ledger", True)]
    )
    def test_says_whether_vllm_is_told_to_leave_us_out(
        self, sources: Path, monkeypatch: pytest.MonkeyPatch, plugins: str, is_good: bool
    ) -> None:
        monkeypatch.setenv("VLLM_PLUGINS", plugins)
        found = bad(doctor.examine())
        assert [name for name, _ in found] == ([] if is_good else ["entry point vllm.general_plugins"])
        assert is_good or "VLLM_PLUGINS leaves compile_ledger out" in found[0][1]

    @pytest.mark.parametrize(
        ("name", "value", "found"),
        [
            ("VLLM_RAY_EXTRA_ENV_VAR_PREFIXES_TO_COPY", "MYLIB_, COMPILE_LEDGER", "vLLM hands"),
            ("VLLM_RAY_EXTRA_ENV_VARS_TO_COPY", "COMPILE_LEDGER,OTHER", "vLLM hands"),
            ("VLLM_RAY_EXTRA_ENV_VAR_PREFIXES_TO_COPY", "MYLIB_, ", "record where"),
        ],
    )
    def test_says_how_its_workers_in_a_ray_cluster_record(
        self, sources: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, found: str
    ) -> None:
        monkeypatch.setenv("COMPILE_LEDGER", "startup.db")
        assert "Ray" not in str(doctor.examine())
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
        monkeypatch.setenv(name, value)
        [check] = [check for check in doctor.examine() if "Ray" in check.name]
        assert check.found.startswith(found)

    @pytest.mark.parametrize(
        ("variables", "is_asked"),
        [
            ({"VLLM_USE_AOT_COMPILE": "1"}, True),
            ({"VLLM_USE_AOT_COMPILE": "0"}, False),
            ({"VLLM_USE_AOT_COMPILE": "1", "VLLM_DISABLE_COMPILE_CACHE": "1"}, False),
        ],
    )
    def test_says_that_kernels_are_compiled_again_where_artifacts_are_loaded(
        self,
        sources: Path,
        monkeypatch: pytest.MonkeyPatch,
        variables: dict[str, str],
        is_asked: bool,
    ) -> None:
        (sources.parent / "triton").mkdir()
        (sources.parent / "triton" / "__init__.py").write_text("")
        monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
        monkeypatch.delenv("VLLM_DISABLE_COMPILE_CACHE", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        found = [check for check in doctor.examine() if check.name == "TRITON_CACHE_DIR"]
        assert [check.found.split(":")[0] for check in found] == (["not set"] if is_asked else [])
        assert bad(doctor.examine()) == []
        monkeypatch.setenv("TRITON_CACHE_DIR", "somewhere")
        found = [check for check in doctor.examine() if check.name == "TRITON_CACHE_DIR"]
        assert [check.found for check in found] == (["somewhere"] if is_asked else [])

    @pytest.mark.parametrize(("version", "is_asked"), [("2.9.1", False), ("2.11.0+cu130", True)])
    def test_artifacts_are_loaded_by_default_from_torch_2_10_on(
        self, sources: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_asked: bool
    ) -> None:
        (sources.parent / "triton").mkdir()
        (sources.parent / "triton" / "__init__.py").write_text("")
        metadata = sources.parent / f"torch-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        for name in ("TRITON_CACHE_DIR", "VLLM_DISABLE_COMPILE_CACHE", "VLLM_USE_AOT_COMPILE"):
            monkeypatch.delenv(name, raising=False)
        assert ("TRITON_CACHE_DIR" in [check.name for check in doctor.examine()]) == is_asked

    @pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
    def test_where_there_is_no_vllm_there_is_nothing_to_say(self) -> None:
        assert doctor.examine() == [DoctorCheck("vllm", True, "not installed: there is nothing to record")]

    def test_a_folder_that_is_only_called_vllm_is_no_vllm(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if importlib.util.find_spec("vllm") is not None:
            pytest.skip("vLLM is installed here")
        (tmp_path / "vllm").mkdir()
        monkeypatch.syspath_prepend(tmp_path)
        assert [check.found for check in doctor.examine()] == ["not installed: there is nothing to record"]

    def test_is_what_the_command_asks(self) -> None:
        (point,) = (p for p in entry_points(group="compile_ledger.doctor") if p.name == "vllm")
        assert point.load() is doctor.examine


class TestSources:
    def read(self, texts: dict[str, str]) -> Any:
        return texts.get

    def test_parameters_are_read_as_python_would_name_them(self) -> None:
        text = "class A:\n    class B:\n        def f(self, a, /, b=1, *c, d, **e): ...\n"
        target = HookTarget("m", "A.B.f", "stage")
        assert parameters(target, self.read({"m": text})) == ["self", "a", "b", "c", "d", "e"]

    def test_a_function_is_found_where_it_is_imported_from(self) -> None:
        texts = {
            "p.m": "from .monitor import f\nfrom q import g\n",
            "p.monitor": "def f(x): ...\ndef f(y): ...\n",
            "q": "def g(z): ...\n",
        }
        assert parameters(HookTarget("p.m", "f", "stage"), self.read(texts)) == ["y"]
        assert parameters(HookTarget("p.m", "g", "stage"), self.read(texts)) == ["z"]

    @pytest.mark.parametrize("name", ["f", "A.f", "A.B.f"])
    def test_what_is_not_there_has_none(self, name: str) -> None:
        assert parameters(HookTarget("m", name, "stage"), self.read({"m": "class A:\n    f = 1\n"})) is None
        assert parameters(HookTarget("m", name, "stage"), self.read({})) is None

    def test_the_fake_agrees_with_itself(self) -> None:
        # The hooks look at functions, doctor at sources.
        code = (
            "import functools, importlib, inspect\nfrom pathlib import Path\n"
            "from ledger_engine.signature_check import parameters, reader\n"
            "from ledger_vllm.hook_targets import TABLE\n"
            f"read = reader(Path({str(FAKE)!r}))\n"
            "for target in TABLE.targets:\n"
            "    if target.until is not None or target.module.startswith('uvicorn'):\n        continue\n"
            "    module = importlib.import_module(target.module)\n"
            "    function = functools.reduce(getattr, target.name.split('.'), module)\n"
            "    found = list(inspect.signature(function).parameters)\n"
            "    assert parameters(target, read) == found, (target, found)\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(FAKE)})


def test_the_entry_point_is_what_vllm_will_call() -> None:
    (point,) = (p for p in entry_points(group="vllm.general_plugins") if p.name == "compile_ledger")
    assert point.load() is plugin.register


@pytest.mark.parametrize("value", [None, ""])
def test_where_recording_is_off_register_does_nothing(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("COMPILE_LEDGER", value)
    plugin.register()
    assert not any(name == "vllm" or name.startswith("vllm.") for name in sys.modules)
