"""The real Triton compiles for a GPU that is not there, as the recorder sees it; and its kept sources."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from ledger_engine.signature_check import parameters, reader
from ledger_triton import autoload, doctor
from ledger_triton.hook_targets import ALIASES, COMPILER, KNOBS, TABLE
from tests.support.npm import NotAvailable
from tests.support.paths import TESTS
from tests.support.recorded_program import RecordedProgram
from tests.support.triton import triton_folder

PROGRAM = TESTS / "programs" / "triton_kernels.py"
KEPT = sorted((TESTS / "triton_compat").glob("triton-*.json"))
PHASES = ["ir", "ttir", "ttgir", "llir", "ptx", "cubin", "store"]


def run(folder: Path, *what: str, ledger: Path | None = None, **more: str) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}:{PROGRAM.parent}",
        "TRITON_CACHE_DIR": str(ledger.parent / "triton") if ledger else "/nonexistent",
        **({"COMPILE_LEDGER": str(ledger)} if ledger else {}),
        **more,
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *what],
        env=environment, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "compile-ledger" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return triton_folder()
    except NotAvailable as error:
        pytest.skip(str(error))


class Recording(RecordedProgram):
    """What is in a program's ledger, but for Python's own start and imports."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.intervals = [interval for interval in self.intervals if interval["source"] != "python"]
        self.totals = [
            {"role": total["role"], "activity": total["activity"]}
            for total in self.totals
            if total["activity"] == "compile"
        ]

    def of(self, stage: str) -> list[dict[str, Any]]:
        return [{**i, "data": json.loads(i["data"] or "{}")} for i in self.intervals if i["stage"] == stage]


@pytest.mark.slow
class TestKernels:
    @pytest.fixture
    def record(self, folder: Path, path: Path) -> Any:
        def record(*what: str, **more: str) -> tuple[str, Recording]:
            printed = run(folder, *what, ledger=path, **more)
            return printed, Recording(path)

        return record

    def test_each_compile_is_an_interval_with_the_caches_answer(self, record: Any) -> None:
        printed, recording = record("twice")
        assert printed == "add_kernel\n" * 3
        kernels = recording.of("triton_compile")
        assert [k["data"]["cache"] for k in kernels] == ["miss", "hit", "miss"]
        assert {(k["component"], k["source"], k["activity"], k["role"]) for k in kernels} == {
            ("add_kernel", "backend", "compile", None)
        }
        assert {(k["data"]["kernel"], k["data"]["module"], k["data"]["target"]) for k in kernels} == {
            ("add_kernel", "__main__", "cuda:90")
        }
        keys = [k["data"]["key"] for k in kernels]
        assert keys[0] == keys[1] != keys[2]

    def test_a_miss_has_its_phases_and_they_fit_into_it(self, record: Any) -> None:
        _, recording = record("twice")
        for kernel in recording.of("triton_compile"):
            phases = kernel["data"].get("phases_ns", {})
            assert list(phases) == ([] if kernel["data"]["cache"] == "hit" else PHASES)
            assert sum(phases.values()) <= kernel["duration_ns"]

    def test_every_hook_is_in_place_and_nothing_is_odd(self, record: Any) -> None:
        _, recording = record("twice")
        (process,) = recording.processes
        assert {target.where for target in TABLE.targets} <= set(json.loads(process["hooks"]))
        assert json.loads(process["missing_hooks"]) == []
        assert (recording.gaps, recording.anomalies) == ([], [])

    def test_a_compile_that_fails_is_failed(self, record: Any) -> None:
        printed, recording = record("fails")
        assert printed == "CompilationError\n"
        (kernel,) = recording.of("triton_compile")
        assert (kernel["outcome"], kernel["error"]) == ("failed", "CompilationError")
        assert kernel["data"]["cache"] == "miss"

    def test_a_file_of_ir_is_compiled_under_its_name(self, record: Any) -> None:
        printed, recording = record("ir")
        assert printed == "add_kernel\n"
        assert [(k["component"], k["data"]["cache"]) for k in recording.of("triton_compile")] == [
            ("add_kernel", "miss"),
            ("from_a_file", "miss"),
        ]

    def test_anothers_listener_hears_what_it_would_without_us(self, folder: Path, record: Any) -> None:
        printed, recording = record("listened")
        assert printed == "[False, True]\n"
        assert [k["data"]["cache"] for k in recording.of("triton_compile")] == ["miss", "hit", "hit"]
        assert list(recording.of("triton_compile")[0]["data"]["phases_ns"]) == PHASES

    def test_anothers_listener_may_raise(self, record: Any) -> None:
        printed, recording = record("harmed")
        assert printed == "mine\n"
        assert [k["outcome"] for k in recording.of("triton_compile")] == ["failed"]

    def test_inside_a_compile_of_torchs_it_is_charged_to_the_same_role(self, record: Any) -> None:
        _, recording = record("in_torch")
        inside, alone = recording.of("triton_compile")
        assert (inside["inside"], inside["source"], inside["role"]) == ("compile_fx_inner", "torch", "model")
        assert not inside["is_top_level"]
        assert (alone["inside"], alone["source"], alone["role"]) == (None, "backend", None)
        assert recording.totals == [
            {"role": None, "activity": "compile"},
            {"role": "model", "activity": "compile"},
        ]

    def test_a_load_is_recorded_once_with_the_c_compiler_inside(self, record: Any) -> None:
        printed, recording = record("loaded")
        assert printed == "32\n32\n"
        # The second kernel's launcher is the same, and comes from the cache.
        assert [(i["stage"], i["component"], i["inside"]) for i in recording.intervals] == [
            ("triton_compile", "add_kernel", None),
            ("triton_load", "add_kernel", None),
            ("triton_build", "launcher", "triton_load"),
            ("triton_compile", "add_kernel", None),
            ("triton_load", "add_kernel", None),
        ]

    def test_each_configuration_that_is_tried_has_its_compile_inside(self, record: Any) -> None:
        printed, recording = record("tuned")
        assert printed == "[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]\n"
        tried = recording.of("triton_autotune")
        assert [t["component"] for t in tried] == ["add_kernel"] * 2
        assert "BLOCK: 128" in tried[0]["data"]["config"]
        assert "BLOCK: 256" in tried[1]["data"]["config"]
        assert {i["inside"] for i in recording.of("triton_compile")} == {"triton_autotune"}

    def test_a_process_of_inductors_pool_records_what_it_compiles(self, record: Any) -> None:
        printed, recording = record("workers")
        assert printed == "add_kernel\n"
        (kernel,) = recording.of("triton_compile")
        assert (kernel["component"], kernel["data"]["cache"]) == ("add_kernel", "miss")
        # The pool is ended without a word to its processes.
        outcomes = {p["name"]: p["outcome"] for p in recording.processes}
        assert outcomes == {
            "triton_kernels.py": "completed", "compile_worker": "completed", "CompileWorker": "lost"
        }  # fmt: skip
        (process,) = (p for p in recording.processes if p["name"] == "CompileWorker")
        assert kernel["process"] == process["process"]

    def test_what_was_imported_before_the_hooks_is_recorded_by_the_listener(self, record: Any) -> None:
        _, recording = record("late")
        kernels = recording.of("triton_compile")
        assert [k["data"]["cache"] for k in kernels] == ["miss", "hit", "hit"]
        # Of the first one, by the package's name, the hook knows more than the listener.
        assert ["target" in k["data"] for k in kernels] == [True, False, False]
        assert all(k["duration_ns"] > 0 for k in kernels)
        assert (recording.gaps, recording.anomalies) == ([], [])

    def test_without_recording_nothing_is_hooked(self, folder: Path, tmp_path: Path) -> None:
        code = (
            "import torch, triton\n"
            "print(hasattr(triton.compile, '__wrapped__'), triton.knobs.compilation.listener)"
        )
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == "False None\n"

    def test_doctor_finds_every_hook(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(folder))
        version, hooks = doctor.examine()
        assert version.found == f"3.6.0 (tested with {TABLE.oldest} to {TABLE.newest})"
        assert (hooks.name, hooks.is_good) == ("triton hooks", True)

    def test_the_kept_signatures_are_the_installed_ones(self, folder: Path) -> None:
        facts = json.loads((TESTS / "triton_compat" / "triton-3.6.0.json").read_text())
        read = reader(folder)
        for target in TABLE.own_targets:
            found = parameters(target, read)
            assert found is not None
            assert facts["parameters"][f"{target.module}:{target.name}"] == ", ".join(found)


@pytest.fixture(params=KEPT, ids=[path.stem for path in KEPT])
def facts(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(request.param.read_text(encoding="utf-8"))


class TestSources:
    def test_no_hook_has_a_fault(self, facts: dict[str, Any]) -> None:
        for target in TABLE.own_targets:
            found = facts["parameters"][f"{target.module}:{target.name}"]
            assert target.fault(None if found is None else found.split(", ")) is None, target.where

    def test_ir_is_made_by_a_compile_and_nothing_else(self, facts: dict[str, Any]) -> None:
        assert facts["compile_makes_ir"] == 1

    def test_compile_is_looked_up_where_it_is_hooked(self, facts: dict[str, Any]) -> None:
        imported = facts["compile_imported_by"]
        assert [name for name in imported if imported[name][0].startswith("top: ")] == sorted(ALIASES)
        # A kernel takes it from its package when it is launched for the first time on a device.
        assert "create_binder: ..compiler" in imported["triton.runtime.jit"]

    def test_the_load_is_not_called_at_each_launch_where_it_is_hooked(self, facts: dict[str, Any]) -> None:
        (target,) = (target for target in TABLE.targets if target.hook == "triton_load")
        is_hooked = number(facts["triton"]) >= number(target.since)
        assert ("__getattribute__" in facts["init_handles_called_by"]) == (not is_hooked)

    def test_a_build_runs_the_c_compiler(self, facts: dict[str, Any]) -> None:
        assert facts["builds"]

    def test_the_listener_gets_what_ours_reads(self, facts: dict[str, Any]) -> None:
        if number(facts["triton"]) < (3, 4):
            assert (facts["listener"], facts["times"]) == (None, {})
            return
        assert facts["listener"]["from"] == "knobs.compilation.listener"
        for given in facts["listener"]["given"]:
            assert {"src", "times", "cache_hit"} <= set(given.split(", "))
        assert facts["times"] == {
            "ir_initialization": "int",
            "lowering_stages": "list[tuple[str, int]]",
            "store_results": "int",
        }


def number(version: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (version or "0").split(".")[:2])


def test_torch_loads_the_adapter_which_imports_nothing_of_triton() -> None:
    assert "ledger_triton.autoload:activate" in {
        point.value for point in entry_points(group="torch.backends")
    }
    code = (
        "import sys, ledger_triton.autoload as adapter\nadapter.activate()\n"
        "print(sorted(sys.modules.keys() & {'triton', 'ledger'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_adapter_that_breaks_harms_no_program(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: Path
) -> None:
    def breaks() -> None:
        raise OSError("no more")

    monkeypatch.setenv("COMPILE_LEDGER", str(path))
    monkeypatch.setattr("ledger_triton.hooks.install_on_import", breaks)
    autoload.activate()
    assert "Triton is not recorded: OSError: no more" in caplog.text


def test_doctor_says_where_triton_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger_triton.doctor.package_root", lambda table: None)
    (check,) = doctor.examine()
    assert check.found == "not installed: there is nothing to record"


def test_the_modules_are_tritons() -> None:
    assert {target.module.partition(".")[0] for target in TABLE.targets} == {"triton"}
    assert all(name.startswith("triton.") for name in (COMPILER, KNOBS))
