"""What adapters for engines share: complete tables, hooks that harm nobody, imports that are waited for."""

import ast
import asyncio
import functools
import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Generator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger import Recorder
from ledger.adapters import EngineDescription, register_engine
from ledger.engines import installed_engines, registered_engines
from ledger.vocabulary import ACTIVITY_OF
from ledger_engine.activation import activate_once
from ledger_engine.hook_targets import HookTable, HookTarget
from ledger_engine.patching import Call, Ended, Patcher, Replacement, does_nothing
from ledger_engine.processor_wait import processor_time
from ledger_engine.signature_check import parameters
from ledger_engine.stages import Stages
from tests.support.paths import ROOT, TESTS

ENGINES = sorted(point.name for point in entry_points(group="compile_ledger.engines"))
HOOKS_IN = {
    "transformers": ("model_hooks:ModelHooks",),
    "triton": ("kernels:KernelHooks",),
    "vllm": (
        "backend:Backend",
        "claims:LogClaims",
        "drafters:Drafters",
        "engine:Engine",
        "front_end:FrontEnd",
        "monitor:Monitor",
        "processes:Processes",
    ),
}
"""The classes whose methods are an adapter's hooks."""


def table(engine: str) -> HookTable:
    return import_module(f"ledger_{engine}.hook_targets").TABLE


@pytest.mark.parametrize("engine", ENGINES)
class TestTables:
    def test_every_stage_has_an_activity(self, engine: str) -> None:
        named = {target.stage for target in table(engine).targets if target.stage is not None}
        assert named - ACTIVITY_OF.keys() - table(engine).stages.keys() == set()
        # One meaning each: an adapter declares what the vocabulary has not.
        assert table(engine).stages.keys() & ACTIVITY_OF.keys() == set()

    def test_every_hook_is_a_method_of_the_adapters(self, engine: str) -> None:
        methods: set[str] = set()
        for place in HOOKS_IN[engine]:
            module, _, name = place.partition(":")
            methods |= vars(getattr(import_module(f"ledger_{engine}.{module}"), name)).keys()
        assert {target.hook for target in table(engine).targets if target.hook is not None} <= methods

    @pytest.mark.parametrize("which", ["oldest", "newest"])
    def test_every_target_has_a_kept_signature(self, engine: str, which: str) -> None:
        of_engine = table(engine)
        kept = TESTS / f"{engine}_compat" / f"{engine}-{getattr(of_engine, which)}.json"
        facts = json.loads(kept.read_text(encoding="utf-8"))
        modules_absent = facts.get("absent_modules", [])
        wanted = [target for target in of_engine.own_targets if target.module not in modules_absent]
        assert wanted
        assert [t.where for t in wanted if f"{t.module}:{t.name}" not in facts["parameters"]] == []

    def test_its_description_is_of_the_same_package(self, engine: str) -> None:
        assert table(engine).package in {description.package for description in installed_engines()}


@pytest.mark.parametrize("names", [{}, {"stage": "warmup", "hook": "warmup"}])
def test_a_target_has_either_a_stage_or_a_hook(names: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"m\.f: a hook target has either"):
        HookTarget("m", "f", **names)


NAMED_IN = {
    "ledger/cli/import_.py": "help",
    "ledger/events/redaction/patterns.py": "sentence-transformers, who publish models",
    "ledger/storage/schema_docs.py": "a promised column",
}
"""Where the core's code has the name of an engine all the same, and as what."""


def code_of(file: Path) -> str:
    """A module without its comments and docstrings, which may have examples."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            texts = [n for n in node.body if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
            node.body = [n for n in node.body if n not in texts] or [ast.Pass()]
    return ast.unparse(tree)


def test_the_core_names_no_engine() -> None:
    packages = [description.package for description in installed_engines()]
    assert packages == ["transformers", "triton", "vllm"]
    # torch's own compiler for a GPU, which the core knows as it knows torch.
    packages.remove("triton")
    naming = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "ledger").rglob("*.py")
        if any(package in code_of(file).lower() for package in packages)
    }
    assert naming == NAMED_IN.keys()


class TestDescriptions:
    @pytest.fixture(autouse=True)
    def none_registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ledger.engines._registered", {})

    def started(self, path: Path, **settings: Any) -> dict[str, Any]:
        recorder = Recorder.open(path) if not settings else Recorder(SimpleNamespace(**settings))  # type: ignore
        recorder.milestone("first")
        (journal,) = path.with_name(f"{path.name}.journal").glob("*.jsonl")
        line = json.loads(journal.read_bytes().splitlines()[0])
        recorder.close()
        return line

    def test_a_registered_engine_adds_its_version_and_its_variables(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "engine_x", SimpleNamespace(__version__="1.2"))
        monkeypatch.setenv("ENGINE_X_CACHE", "on")
        monkeypatch.setenv("ENGINE_X_TOKEN", "s3cr3t")
        register_engine(EngineDescription("engine_x", environment=("ENGINE_X_CACHE",)))
        assert [engine.package for engine in registered_engines()] == ["engine_x"]
        line = self.started(path)
        assert line["versions"]["engine_x"] == "1.2"
        assert line["environment"]["ENGINE_X_CACHE"] == "on"
        assert "s3cr3t" not in json.dumps(line)

    def test_of_an_engine_that_nobody_registered_nothing_is_kept(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VLLM_CACHE_ROOT", "/x")
        assert "VLLM_CACHE_ROOT" not in self.started(path)["environment"]

    def test_whoever_records_a_command_keeps_the_variables_of_all_installed_engines(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VLLM_USE_AOT_COMPILE", "0")
        monkeypatch.setenv("VLLM_API_KEY", "s3cr3t")
        command = [sys.executable, "-m", "ledger.cli", "record", "-o", str(path), "--", "true"]
        subprocess.run(command, check=True, capture_output=True)
        command = [sys.executable, "-m", "ledger.cli", "export", str(path), "--format", "jsonl"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert '"VLLM_USE_AOT_COMPILE":"0"' in text
        assert "s3cr3t" not in text

    def test_an_adapter_that_cannot_be_loaded_is_left_out_with_a_warning(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        (good,) = (point for point in entry_points(group="compile_ledger.engines") if point.name == "vllm")
        bad = EntryPoint("a_broken_one", "no_such_package.description:X", "compile_ledger.engines")
        monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [good, bad])
        assert [engine.package for engine in installed_engines.__wrapped__()] == ["vllm"]
        assert "no_such_package.description:X can't be loaded" in caplog.text

    def test_importing_ledger_looks_up_no_entry_points(self) -> None:
        code = (
            "import sys, ledger\n"
            "from ledger.adapters import EngineDescription, register_engine\n"
            "register_engine(EngineDescription('x'))\n"
            "print('importlib.metadata' in sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False,
                              env={"PYTHONPATH": ":".join(sys.path)})  # fmt: skip
        assert done.stdout == "False\n", done.stderr


class TestPatcher:
    @pytest.fixture
    def patcher(self, recorder: Recorder) -> Patcher:
        return Patcher(recorder, "the engine")

    def test_class_and_static_methods_stay_what_they_are(self, patcher: Patcher) -> None:
        calls: list[dict[str, Any]] = []

        class Model:
            @classmethod
            def load(cls, name: str) -> tuple[type, str]:
                return cls, name

            @staticmethod
            def read(name: str) -> str:
                return name

        class Derived(Model):
            pass

        def hook(call: Call) -> Generator[None, Ended, None]:
            calls.append(dict(call.given))
            yield

        for name in ("load", "read"):
            assert patcher.install(Model, name, HookTarget("m", name, hook="hook"), hook) is None
        assert Derived.load("a") == (Derived, "a")
        assert (Derived.read("b"), Model().read("c")) == ("b", "c")
        assert calls == [{"cls": Derived, "name": "a"}, {"name": "b"}, {"name": "c"}]

    def test_what_is_hooked_once_is_the_original_again(self, patcher: Patcher) -> None:
        class Criteria:
            def __call__(self, ids: int) -> int:
                return ids + 1

        original, calls = Criteria.__call__, 0

        def hook(call: Call) -> Generator[None, Ended, None]:
            nonlocal calls
            calls += 1
            yield

        target = HookTarget("m", "Criteria.__call__", hook="hook", is_once=True)
        assert patcher.install(Criteria, "__call__", target, hook) is None
        assert Criteria.__call__ is not original
        assert [Criteria()(n) for n in range(3)] == [1, 2, 3]
        assert calls == 1
        assert Criteria.__call__ is original

    def test_a_hook_may_replace_a_result_and_none_is_a_result_too(self, patcher: Patcher) -> None:
        def hook(call: Call) -> Generator[None, Ended, Replacement | None]:
            ended = yield
            return Replacement(None) if ended.result == 1 else None

        hooked = patcher.function(lambda n: n, hook)
        assert [hooked(n) for n in (0, 1, 2)] == [0, None, 2]

    def test_the_hook_of_a_coroutine_goes_on_when_that_has_ended(self, patcher: Patcher) -> None:
        seen: list[object] = []

        async def answer(number: int) -> int:
            seen.append("runs")
            await asyncio.sleep(0)
            if number < 0:
                raise ValueError(number)
            return number

        def hook(call: Call) -> Generator[None, Ended, None]:
            seen.append(call.given["number"])
            ended = yield
            seen.append(ended.result if ended.error is None else type(ended.error))

        hooked = patcher.function(answer, hook)
        assert inspect.iscoroutinefunction(hooked)
        assert asyncio.run(hooked(7)) == 7
        with pytest.raises(ValueError, match="-1"):
            asyncio.run(hooked(number=-1))
        assert seen == [7, "runs", 7, -1, "runs", ValueError]

    def test_of_a_cached_function_only_what_the_cache_lacks_is_hooked(self, patcher: Patcher) -> None:
        calls: list[str] = []

        def hook(call: Call) -> Generator[None, Ended, None]:
            calls.append(call.given["name"])
            yield

        def upper(name: str) -> str:
            return name.upper()

        module = SimpleNamespace(load=functools.lru_cache(maxsize=7, typed=True)(upper))
        original = module.load
        assert patcher.install(module, "load", HookTarget("m", "load", stage="load"), hook) is None
        assert [module.load("a"), module.load("a"), module.load("b")] == ["A", "A", "B"]
        assert calls == ["a", "b"]
        # It is still what the program may ask it to be.
        assert module.load.cache_parameters() == original.cache_parameters()
        assert module.load.cache_info().hits == 1

    def test_what_need_not_be_hooked_any_more_is_the_original_again(self, patcher: Patcher) -> None:
        class Engine:
            def start(self) -> int:
                return 1

            def step(self) -> int:
                return 2

            @staticmethod
            def wait() -> int:
                return 3

        before = dict(vars(Engine))

        def hook(call: Call) -> Generator[None, Ended, None]:
            yield

        for name, is_startup in (("start", False), ("step", True), ("wait", True)):
            target = HookTarget("m", name, stage="x", is_startup=is_startup)
            assert patcher.install(Engine, name, target, hook) is None
        Engine.step = replaced = lambda self: 4  # somebody else's, after ours
        patcher.uninstall(lambda target: target.is_startup)
        assert vars(Engine)["wait"] is before["wait"]
        assert vars(Engine)["step"] is replaced
        assert vars(Engine)["start"] is not before["start"]
        assert (Engine().start(), Engine().step(), Engine.wait()) == (1, 4, 3)

    def test_dynamo_sees_the_original_alone(self, recorder: Recorder) -> None:
        torch = pytest.importorskip("torch")
        calls = 0

        def hook(call: Call) -> Generator[None, Ended, None]:
            nonlocal calls
            calls += 1
            yield

        def double(x: Any) -> Any:
            return x * 2

        patcher = Patcher(recorder, "the engine", is_compiling=torch.compiler.is_compiling)
        hooked = patcher.function(double, hook)
        # With fullgraph a hook in the trace would be an error.
        compiled = torch.compile(lambda x: hooked(x) + 1, backend="eager", fullgraph=True)
        assert compiled(torch.tensor(3)).item() == 7
        assert calls == 0
        assert hooked(torch.tensor(3)).item() == 6
        assert calls == 1

    def test_a_stage_inside_itself_is_one_stage(self, path: Path) -> None:
        recorder = Recorder.open(path)
        patcher, stages = Patcher(recorder, "the engine"), Stages(recorder, {"spin_up": "startup"})
        inner = patcher.function(lambda: 1, stages.hook("spin_up"))
        outer = patcher.function(lambda: inner() + 1, stages.hook("spin_up"))
        assert outer() == 2
        recorder.close()
        from ledger import Ledger

        with Ledger.open(path) as ledger:
            rows = ledger.sql("SELECT stage, activity, source FROM intervals")
        assert rows == [{"stage": "spin_up", "activity": "startup", "source": "engine"}]

    def test_an_outermost_stage_says_how_long_its_thread_ran_and_waited_for_a_processor(
        self, path: Path
    ) -> None:
        recorder = Recorder.open(path)
        stages = Stages(recorder, {"spin_up": "startup"})
        outer = stages.begin("spin_up", "engine")
        inner = stages.begin("model_load", "engine")
        sum(range(100_000))
        stages.end(inner)
        stages.end(outer)
        stages.end(stages.begin("torch_compile", "monitor"))
        stages.end(stages.begin("waiting", "engine"))
        recorder.close()
        from ledger import Ledger

        with Ledger.open(path) as ledger:
            data = {one.stage: one.data or None for one in ledger.timeline().intervals}
        times = data.pop("spin_up")
        assert times is not None
        assert times.keys() == {"cpu_ns", "cpu_wait_ns"}
        assert all(isinstance(ns, int) and ns >= 0 for ns in times.values())
        assert times["cpu_ns"]
        assert data == {"model_load": None, "torch_compile": None, "waiting": None}

    def test_a_stage_that_ends_in_another_thread_says_nothing_of_processors(self, path: Path) -> None:
        recorder = Recorder.open(path)
        stages = Stages(recorder, {"spin_up": "startup"})
        begun = stages.begin("spin_up", "engine")
        ending = threading.Thread(target=stages.end, args=[begun])
        ending.start()
        ending.join()
        recorder.close()
        from ledger import Ledger

        with Ledger.open(path) as ledger:
            [interval] = ledger.timeline().intervals
        assert (interval.outcome, interval.data or None) == ("completed", None)

    def test_where_the_kernel_counts_nothing_a_stage_says_nothing_of_processors(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for content in (None, "0 0 0\n", "not a number"):
            file = tmp_path / "schedstat"
            if content is not None:
                file.write_text(content)
            monkeypatch.setattr("ledger_engine.processor_wait._FILE", str(file))
            assert processor_time() is None
        recorder = Recorder.open(path)
        stages = Stages(recorder, {"spin_up": "startup"})
        stages.end(stages.begin("spin_up", "engine"))
        recorder.close()
        from ledger import Ledger

        with Ledger.open(path) as ledger:
            [interval] = ledger.timeline().intervals
        assert not interval.data


def test_what_does_nothing_calls_nothing_and_reads_nothing() -> None:
    def returns() -> int:
        """Has a docstring and an argument."""
        return 0

    def calls() -> None:
        print()

    assert (does_nothing(returns), does_nothing(calls), does_nothing(None)) == (True, False, False)


class TestSignatures:
    @pytest.mark.parametrize(
        ("text", "name", "expected"),
        [
            ("def f(a, *b, c, **d): ...", "f", ["a", "b", "c", "d"]),
            ("async def f(a): ...", "f", ["a"]),
            ("class C:\n    async def f(self): ...", "C.f", ["self"]),
            ("def f(a): ...\ng = lru_cache(f)", "g", ["a"]),
            ("def f(a): ...\ng = functools.lru_cache(f)", "g", ["a"]),
            ("def f(a): ...\ng = other(f)", "g", None),
            ("g = lru_cache(f)", "g", None),
        ],
    )
    def test_parameters_are_read_without_an_import(
        self, text: str, name: str, expected: list[str] | None
    ) -> None:
        assert parameters(HookTarget("m", name, stage="x"), {"m": text}.get) == expected


class TestImports:
    def run(self, tmp_path: Path, main: str) -> str:
        (tmp_path / "host.py").write_text("import part\nVALUE = 1\n")
        (tmp_path / "broken.py").write_text("import part\nraise ImportError('broken')\n")
        (tmp_path / "later.py").write_text("")
        (tmp_path / "part.py").write_text(
            "import sys\nfrom ledger_engine.imports import when_imported\n"
            "name = 'broken' if 'broken' in sys.modules else 'host'\n"
            "when_imported(name, lambda module: print(name, getattr(module, 'VALUE', 'too early')))\n"
            "print('waiting')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{main}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    def test_a_module_that_is_being_imported_is_complete_when_it_is_given(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, "import host\nprint('done')\nimport later\nimport json\n") == (
            "waiting\ndone\nhost 1\n"
        )

    def test_a_module_that_comes_later_or_is_there_is_given_at_once(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, "import part\nimport host\nprint('done')\n") == "waiting\nhost 1\ndone\n"
        again = (
            "from ledger_engine.imports import when_imported\nwhen_imported('host', lambda m: print('again'))"
        )
        assert self.run(tmp_path, f"import part, host\n{again}\n") == "waiting\nhost 1\nagain\n"

    def test_an_import_that_fails_is_waited_for_anew(self, tmp_path: Path) -> None:
        main = (
            "from pathlib import Path\n"
            "try:\n    import broken\nexcept ImportError as error:\n    print(error)\n"
            f"Path({str(tmp_path / 'broken.py')!r}).write_text('VALUE = 22')\n"
            "import importlib, later\nimportlib.invalidate_caches()\nimport broken\n"
        )
        assert self.run(tmp_path, main) == "waiting\nbroken\nbroken 22\n"


def test_an_engine_is_activated_once_and_only_where_recording_is_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.engines._registered", {})
    monkeypatch.setattr("ledger_engine.activation._activated", set())
    engine = EngineDescription("engine_x")
    assert activate_once(engine) is None
    assert registered_engines() == ()
    with Recorder.open(path) as recorder:
        assert activate_once(engine, recorder) is recorder
        assert registered_engines() == (engine,)
        assert activate_once(engine, recorder) is None
        assert activate_once(EngineDescription("engine_y"), recorder) is recorder
