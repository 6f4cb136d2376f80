"""The GitHub action's steps, run by bash as a runner does, on real programs."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from ledger import Ledger
from tests.support.handbook import DOCS
from tests.support.paths import ROOT

FOLDER: Final = ROOT / ".github" / "actions" / "startup-check"
ACTION: Final[dict[str, Any]] = yaml.safe_load((FOLDER / "action.yml").read_text())
_EXPRESSION: Final = re.compile(r"\$\{\{\s*inputs\.([a-z-]+)\s*\}\}")
_CONDITION: Final = re.compile(r"inputs\.([a-z-]+) != '([a-z]*)'")

PROGRAM: Final = """
import sys
from ledger import Recorder
recorder = Recorder.from_environment()
with recorder.stage("torch_compile", role="encoder", source="monitor"):
    pass
if "ready" in sys.argv:
    recorder.milestone("engine_ready")
sys.exit(7 if "fails" in sys.argv else 0)
"""
WIDE: Final = '[[total]]\nrole = "encoder"\nat_most = "10 h"\n'
RELATIVE: Final = '[[total]]\nrole = "encoder"\nat_most_over_baseline = "10 h"\n'
NARROW: Final = '[[total]]\nrole = "encoder"\nat_most = "0 s"\n'


class Ran(NamedTuple):
    """What a run of the action leaves."""

    exit_code: int
    failed_in: str | None
    """The step that failed; the ones after it did not run."""
    printed: str
    summary: str
    outputs: Mapping[str, str]
    """Of the steps, by name; those of a step without an id are lost, as on GitHub."""


class Action:
    """Runs the action's steps in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "program.py").write_text(PROGRAM)
        (folder / "wide.toml").write_text(WIDE)
        (folder / "narrow.toml").write_text(NARROW)
        (folder / "relative.toml").write_text(RELATIVE)

    def __call__(self, *, path: Path | None = None, **given: str) -> Ran:
        """Run it with these inputs, with _ for each -, and with what is in `path` before all else."""
        inputs = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()}
        inputs |= {"install": "none"} | {name.replace("_", "-"): value for name, value in given.items()}
        assert inputs.keys() == ACTION["inputs"].keys()
        printed, outputs, failed_in, code = "", dict[str, str](), None, 0
        summary = self.folder / "summary.md"
        for step in ACTION["runs"]["steps"]:
            if "if" in step:
                condition = _CONDITION.fullmatch(step["if"])
                assert condition, step["if"]
                if inputs[condition[1]] == condition[2]:
                    continue
            output = self.folder / "output.txt"
            output.write_text("")
            script = self.folder / "script.sh"
            script.write_text(step["run"])
            ran = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
                cwd=self.folder, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "PATH": os.pathsep.join(
                        [*([str(path)] if path else []), str(Path(sys.executable).parent), os.environ["PATH"]]
                    ),
                    "GITHUB_ACTIONS": "true",
                    "GITHUB_OUTPUT": str(output),
                    "GITHUB_STEP_SUMMARY": str(summary),
                    **{name: _evaluated(text, inputs) for name, text in step.get("env", {}).items()},
                },
            )  # fmt: skip
            printed += ran.stdout
            if "id" in step:
                outputs |= dict(line.split("=", 1) for line in output.read_text().splitlines())
            if ran.returncode:
                failed_in, code = step["name"], ran.returncode
                break
        text = summary.read_text() if summary.exists() else ""
        return Ran(code, failed_in, printed, text, outputs)


def _evaluated(text: str, inputs: Mapping[str, str]) -> str:
    replaced = _EXPRESSION.sub(lambda found: inputs[found[1]], text)
    assert _EXPRESSION.search(text) or "${{" not in text
    return replaced


@pytest.fixture
def action(tmp_path: Path) -> Action:
    if shutil.which("compile-ledger", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("compile-ledger is not installed beside this Python")
    return Action(tmp_path)


class TestOnPaper:
    def test_no_input_is_part_of_a_script(self) -> None:
        for step in ACTION["runs"]["steps"]:
            assert step["shell"] == "bash"
            assert "${{" not in step["run"]
            assert "uses" not in step
            for name, value in step.get("env", {}).items():
                # So that none of the recorded program's own variables is shadowed.
                assert name.startswith("STARTUP_CHECK_") or "${{" not in str(value)

    def test_each_input_is_described_and_used(self) -> None:
        used = {name for step in ACTION["runs"]["steps"] for name in _EXPRESSION.findall(str(step))}
        assert used == set(ACTION["inputs"])
        for entry in (*ACTION["inputs"].values(), *ACTION["outputs"].values()):
            assert entry["description"].endswith((".", "`."))

    def test_the_handbook_names_each_input_and_output(self) -> None:
        text = (DOCS / "budgets.md").read_text()
        assert [name for name in (*ACTION["inputs"], *ACTION["outputs"]) if f"`{name}`" not in text] == []

    def test_examples_in_workflows_give_inputs_that_there_are(self) -> None:
        workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
        example = re.findall(r"```yaml\n(.*?)```", (DOCS / "budgets.md").read_text(), flags=re.DOTALL)
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        steps += [step for text in example for step in yaml.safe_load(text)]
        own = [step for step in steps if "startup-check" in str(step.get("uses", ""))]
        assert len(own) >= 2
        for step in own:
            assert set(step["with"]) <= set(ACTION["inputs"])
            assert "budget" in step["with"]


def test_a_start_within_its_budget_passes_and_its_report_is_in_the_summary(action: Action) -> None:
    ran = action(command="python program.py ready", budget="wide.toml", label="nightly")
    assert (ran.exit_code, ran.failed_in) == (0, None), ran.printed
    assert ran.outputs == {"exit-code": "0"}
    assert "::" not in ran.printed
    heading, fence, *screen, end, last = ran.summary.split("\n")[0:1] + ran.summary.split("\n")[2:]
    assert (heading, fence, end, last) == ("### Start-up", "```text", "```", "")
    assert screen[0].startswith("nightly: ready after ")
    assert any("unattributed" in line for line in screen)
    with Ledger.open(action.folder / "startup.db") as ledger:
        (session,) = ledger.sessions()
        assert session in screen[1]


def test_a_start_over_its_budget_fails_with_the_code_of_check_and_is_annotated(action: Action) -> None:
    ran = action(command="python program.py ready", budget="narrow.toml")
    assert (ran.exit_code, ran.failed_in) == (1, "Check"), ran.printed
    assert "::error title=total%3A encoder::" in ran.printed
    assert "### Start-up" in ran.summary


def test_a_ledger_that_is_there_is_checked_without_recording(action: Action) -> None:
    action(command="python program.py ready", budget="wide.toml", ledger="first.db", label="one")
    action(command="python program.py", budget="wide.toml", ledger="first.db", label="two")
    ran = action(ledger="first.db", budget="wide.toml", session="one", baseline="two")
    assert (ran.exit_code, ran.outputs) == (0, {})
    assert not (action.folder / "startup.db").exists()
    last = ran.summary.rpartition("### Start-up")[2]
    assert "one" in last.splitlines()[3]


@pytest.mark.parametrize(
    ("arguments", "exit_code"), [("ready fails", 0), ("fails", 1)], ids=["ready before", "never ready"]
)
def test_a_command_that_fails_breaks_the_budget_unless_it_was_ready(
    action: Action, arguments: str, exit_code: int
) -> None:
    ran = action(command=f"python program.py {arguments}", budget="wide.toml")
    assert ran.exit_code == exit_code, ran.printed
    assert ran.outputs == {"exit-code": "7"}
    assert "::warning title=startup-check::The command ended with exit code 7" in ran.printed
    assert "### Start-up" in ran.summary


def test_a_script_of_several_lines_ends_where_it_fails(action: Action) -> None:
    ran = action(command="false | true\ntouch reached\n", budget="wide.toml")
    assert ran.outputs == {"exit-code": "1"}
    assert not (action.folder / "reached").exists()


@pytest.mark.parametrize(
    ("inputs", "step", "message"),
    [
        ({"budget": "wide.toml"}, "Summarize", "startup.db: there is no ledger here"),
        ({"command": "python program.py", "budget": "no.toml"}, "Check", "no.toml"),
    ],
)
def test_a_missing_file_fails_in_one_line(
    action: Action, inputs: dict[str, str], step: str, message: str
) -> None:
    ran = action(**inputs)
    assert (ran.exit_code, ran.failed_in) == (2, step)
    assert message in ran.printed
    assert "Traceback" not in ran.printed


@pytest.mark.parametrize("text", ["\"; touch pwned; ' $(touch pwned) `touch pwned`\ntouch pwned", "--help"])
def test_an_input_is_data_and_runs_nothing(action: Action, text: str) -> None:
    # Each value reaches all steps that take it: a missing session, budget or baseline ends the last one.
    recorded = {"command": "python program.py", "budget": "wide.toml"}
    for inputs, exit_code, failed_in in (
        ({**recorded, "label": text}, 0, None),
        ({"budget": text, "session": text}, 2, "Check"),
        ({"budget": "relative.toml", "session": text, "baseline": text + "?"}, 2, "Check"),
        ({"budget": "wide.toml", "session": text + "?"}, 2, "Summarize"),
        ({"budget": "wide.toml", "ledger": text}, 2, "Summarize"),
    ):
        ran = action(**inputs)
        assert (ran.exit_code, ran.failed_in) == (exit_code, failed_in), ran.printed
    with Ledger.open(action.folder / "startup.db") as ledger:
        assert ledger.sql("SELECT label FROM sessions ORDER BY started_at")[0] == {"label": text}
    assert not (action.folder / "pwned").exists()


def test_a_label_does_not_end_the_block_of_the_summary(action: Action) -> None:
    ran = action(command="python program.py", budget="wide.toml", label="```\n# owned\n````")
    assert ran.exit_code == 0, ran.printed
    fences = [line for line in ran.summary.splitlines() if line.startswith("`````")]
    assert fences == ["`````text", "`````"]


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment, whose pip finds two versions of something called compile-ledger, and no index."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=True)
    for version in ("1.0", "2.0"):
        _write_wheel(folder, version)
    return folder


@pytest.mark.parametrize(
    ("inputs", "version"),
    [
        ({"install": "compile-ledger"}, "2.0"),
        ({"install": "compile-ledger", "version": "1.0"}, "1.0"),
        ({"install": "{folder}/compile_ledger-1.0-py3-none-any.whl"}, "1.0"),
    ],
)
def test_what_is_named_is_installed(
    action: Action,
    other_python: Path,
    inputs: dict[str, str],
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(other_python))
    ran = action(
        path=other_python / "venv" / "bin",
        budget="wide.toml",
        **{name: value.format(folder=other_python) for name, value in inputs.items()},
    )
    # Nothing was recorded; what matters is that it got past the installation.
    assert ran.failed_in == "Summarize", ran.printed
    shown = subprocess.run(
        [other_python / "venv" / "bin" / "python", "-m", "pip", "show", "compile-ledger"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert f"Version: {version}\n" in shown.stdout


def _write_wheel(folder: Path, version: str) -> None:
    info = f"compile_ledger-{version}.dist-info"
    with zipfile.ZipFile(folder / f"compile_ledger-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: compile-ledger\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
