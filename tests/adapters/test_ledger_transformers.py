"""Tiny models of the real transformers on the CPU, as the recorder sees them load, compile and generate."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import pytest

from ledger_engine.signature_check import parameters, reader
from ledger_transformers import autoload, doctor
from ledger_transformers.hook_targets import TABLE
from tests.support.paths import TESTS
from tests.support.recorded_program import RecordedProgram

PROGRAM = TESTS / "programs" / "generate.py"
LLAMA, LLAVA = "LlamaForCausalLM", "LlavaForConditionalGeneration"
LOAD = [("model_load", None), ("model_init", "model_load"), ("weights_load", "model_load")]


def run(folder: Path, *kinds: str, ledger: Path | None = None, code: str | None = None) -> str:
    command = [sys.executable, *(("-c", code) if code else (str(PROGRAM), str(folder), *kinds))]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    if ledger is not None:
        environment["COMPILE_LEDGER"] = str(ledger)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert "compile-ledger" not in done.stderr, done.stderr
    return done.stdout


class Recording(RecordedProgram):
    """What is in a program's ledger."""

    def engine(self) -> list[dict[str, Any]]:
        return [i for i in self.intervals if i["source"] == "engine"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transformers") / "models"
    run(folder)
    return folder


@pytest.fixture(scope="module")
def text(models: Path) -> Recording:
    """Loads a language model and generates with it twice, its forward pass compiled."""
    path = models.parent / "text.db"
    assert run(models, "text", ledger=path) == "7\n7\n"
    return Recording(path)


@pytest.fixture(scope="module")
def image(models: Path) -> Recording:
    """The same, once, with a model that has a vision tower, which is compiled too."""
    path = models.parent / "image.db"
    assert run(models, "image", ledger=path) == "10\n"
    return Recording(path)


class TestLanguageModel:
    def test_its_stages_are_load_and_first_run_and_inside_of_that_the_compile(self, text: Recording) -> None:
        stages = [(i["stage"], i["inside"]) for i in text.engine()]
        assert stages == [*LOAD, ("first_run", None), ("torch_compile", "first_run")]
        assert {i["component"] for i in text.engine()} == {LLAMA}
        # Imports apart: of an optional package that is not there, one fails.
        assert {i["outcome"] for i in text.intervals if i["stage"] != "import"} == {"completed"}

    def test_the_load_has_no_role_and_what_runs_is_the_language_model(self, text: Recording) -> None:
        roles = [(i["stage"], i["role"]) for i in text.engine()]
        assert {role for stage, role in roles[:3]} == {None}
        assert {role for stage, role in roles[3:]} == {"language_model"}

    def test_what_torch_compiles_inside_is_charged_to_the_language_model(self, text: Recording) -> None:
        torch = [i for i in text.intervals if i["source"] == "torch"]
        assert any(i["stage"] == "entire_frame_compile" for i in torch)
        assert {i["role"] for i in torch} == {"language_model"}
        (compiled,) = (i for i in text.engine() if i["stage"] == "torch_compile")
        assert all(
            compiled["start_ns"] <= i["start_ns"] <= i["stop_ns"] <= compiled["stop_ns"] for i in torch
        )
        assert json.loads(compiled["data"]) == {
            "includes": "first_run",
            "backend": "aot_eager",
            "mode": "None",
        }

    def test_torchs_own_record_of_the_compile_is_a_claim(self, text: Recording) -> None:
        frame = [c for c in text.claims if c["stage"] == "entire_frame_compile"]
        assert frame
        assert {c["source"] for c in frame} == {"torch"}

    def test_the_first_token_comes_once_and_before_the_decode_is_compiled(self, text: Recording) -> None:
        (milestone,) = (m for m in text.milestones if m["name"] == "first_token")
        run_, compiled = text.engine()[3:]
        assert run_["start_ns"] < milestone["at_ns"] < compiled["start_ns"]

    def test_every_hook_is_in_place_and_nothing_is_odd(self, text: Recording) -> None:
        (process,) = text.processes
        assert {target.where for target in TABLE.targets} <= set(json.loads(process["hooks"]))
        assert json.loads(process["missing_hooks"]) == []
        assert (text.gaps, text.anomalies) == ([], [])

    def test_a_session_keeps_the_version_and_the_variables_of_transformers(self, text: Recording) -> None:
        # What is known at birth is in the first, what an adapter adds in the last.
        started = text.started[-1]
        assert started.versions["transformers"] == version("transformers")
        assert started.environment["HF_HUB_OFFLINE"] == "1"


class TestEncoder:
    def test_its_first_run_is_inside_the_models(self, image: Recording) -> None:
        stages = [(i["stage"], i["inside"], i["role"], i["component"]) for i in image.engine()[3:]]
        assert stages == [
            ("first_run", None, "language_model", LLAVA),
            ("first_run", "first_run", "encoder", "CLIPVisionModel"),
            ("torch_compile", "first_run", "language_model", LLAVA),
        ]

    def test_its_compile_is_charged_to_it_and_the_decoders_is_not(self, image: Recording) -> None:
        _, encoder, compiled = image.engine()[3:]
        frames = [i for i in image.intervals if i["stage"] == "entire_frame_compile"]
        assert {i["role"] for i in frames} == {"encoder", "language_model"}
        for frame in frames:
            around = encoder if frame["role"] == "encoder" else compiled
            assert around["start_ns"] <= frame["start_ns"] <= frame["stop_ns"] <= around["stop_ns"]


def test_a_model_that_assists_another_is_its_drafter(models: Path, path: Path) -> None:
    assert run(models, "assisted", ledger=path) == "7\n"
    runs = [(i["role"], i["inside"]) for i in Recording(path).engine() if i["stage"] == "first_run"]
    assert runs == [("language_model", None), ("drafter", "first_run")]


def test_a_load_that_fails_says_so_and_raises_what_it_did(models: Path, path: Path) -> None:
    code = (
        "import transformers\n"
        "try:\n"
        f"    transformers.LlamaForCausalLM.from_pretrained({str(models / 'nothing')!r})\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
    )
    error = run(models, code=code, ledger=path).strip()
    (load,) = Recording(path).engine()
    assert (load["stage"], load["outcome"], load["error"]) == ("model_load", "failed", error)


class TestActivation:
    def test_where_recording_is_off_nothing_of_ours_is_imported_or_changed(self, models: Path) -> None:
        code = (
            "import sys, transformers\n"
            "print(hasattr(transformers.PreTrainedModel.from_pretrained, '__func__'))\n"
            "from transformers.generation.utils import GenerationMixin\n"
            "print('hooked' in repr(GenerationMixin.generate.__code__))\n"
            "print(sorted(name for name in sys.modules if name.startswith('ledger')))\n"
        )
        names = [
            "ledger_torch",
            "ledger_torch.autoload",
            "ledger_transformers",
            "ledger_transformers.autoload",
            "ledger_triton",
            "ledger_triton.autoload",
            "ledger_vllm",
            "ledger_vllm.autoload",
        ]
        assert run(models, code=code) == f"True\nFalse\n{names}\n"

    @pytest.mark.parametrize(
        "first", ["import torch", "import transformers", "import transformers.modeling_utils"]
    )
    def test_the_hooks_are_in_place_whoever_imports_torch(self, models: Path, path: Path, first: str) -> None:
        # transformers' own modules import torch, and are then in `sys.modules`, but not complete.
        code = (
            f"{first}\n"
            "from transformers import LlamaForCausalLM\n"
            f"LlamaForCausalLM.from_pretrained({str(models / 'text')!r})\n"
        )
        run(models, code=code, ledger=path)
        recording = Recording(path)
        assert [(i["stage"], i["inside"]) for i in recording.engine()] == LOAD
        assert json.loads(recording.processes[0]["missing_hooks"]) == []

    def test_torch_and_doctor_find_it_by_its_entry_points(self) -> None:
        (point,) = (
            p for p in entry_points(group="torch.backends") if p.name == "compile_ledger_transformers"
        )
        assert point.load() is autoload.activate
        (point,) = (p for p in entry_points(group="compile_ledger.doctor") if p.name == "transformers")
        assert point.load() is doctor.examine


class TestDoctor:
    def test_finds_every_hook_in_the_installed_sources(self) -> None:
        checks = doctor.examine()
        assert [check for check in checks if not check.is_good] == []
        assert f"{len(TABLE.targets)} of {len(TABLE.targets)} are in place" in [
            check.found for check in checks
        ]

    def test_says_what_a_changed_signature_costs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "transformers"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "modeling_utils.py").write_text(
            "class PreTrainedModel:\n"
            "    def from_pretrained(cls): ...\n"
            "    def get_init_context(cls): ...\n"
            "    def get_compiled_call(self, options): ...\n"
        )
        monkeypatch.setattr(doctor, "package_root", lambda table: tmp_path)
        bad = {check.name: check.found for check in doctor.examine() if not check.is_good}
        assert bad == {
            "transformers hooks": "2 of 4 are in place",
            "transformers.modeling_utils.PreTrainedModel.get_compiled_call": (
                "it has no parameter compile_config: torch_compile is not recorded"
            ),
            "transformers.modeling_utils.PreTrainedModel._load_pretrained_model": (
                "there is no such function: weights_load is not recorded"
            ),
        }


KEPT = {
    path.stem.removeprefix("transformers-"): path for path in (TESTS / "transformers_compat").glob("*.json")
}


@pytest.mark.parametrize("name", sorted(KEPT))
class TestKeptSources:
    def test_every_target_is_there_with_the_parameters_that_are_read(self, name: str) -> None:
        facts = json.loads(KEPT[name].read_text(encoding="utf-8"))
        for target in TABLE.targets:
            names = facts["parameters"][f"{target.module}:{target.name}"]
            assert target.fault(None if names is None else names.split(", ")) is None, target

    def test_a_model_is_made_inside_the_contexts_that_the_hook_adds_to(self, name: str) -> None:
        facts = json.loads(KEPT[name].read_text(encoding="utf-8"))
        assert facts["init_context"] == {"made": 1, "entered": 1}


def test_the_installed_transformers_is_as_kept() -> None:
    installed = version("transformers")
    if installed not in KEPT:
        pytest.skip(f"no signatures of transformers {installed} are kept: run make compat")
    facts = json.loads(KEPT[installed].read_text(encoding="utf-8"))
    root = doctor.package_root(TABLE)
    assert root is not None
    for target in TABLE.targets:
        names = facts["parameters"][f"{target.module}:{target.name}"]
        assert parameters(target, reader(root)) == names.split(", ")
