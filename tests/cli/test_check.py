"""`check` as a user and a CI system run it: the table, the exit codes, JUnit's XML, annotations."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ledger import Budget, Ledger, reduce
from ledger.analysis.budget import evaluate
from ledger.analysis.budget.ci_output import annotations, junit
from ledger.analysis.budget.model import TABLES
from ledger.testing import SessionBuilder
from tests.support.journals import write

S = 1_000_000_000
Run = Callable[..., subprocess.CompletedProcess[str]]

BUDGET = """
baseline = "main"

[[total]]
role = "encoder"
activity = "compile"
at_most = "20 s"

[[total]]
role = "encoder"
component = "Block"
at_most_over_baseline = "10 %"
beyond_spread = true

[[anomalies]]
at_most = 0
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ledger.cli", "check", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    return run


def start_up(session: str, label: str, block_s: float, at: int, role: str = "encoder") -> SessionBuilder:
    builder = SessionBuilder(session)
    builder.begin(label=label, wall_ns=at * S, host=socket.gethostname())
    for stage, seconds in (("Embed", 4.0), ("Block", block_s)):
        begin_ns = builder.events[-1].at_ns
        interval = builder.start(begin_ns, "torch_compile", role=role, component=stage, source="monitor")
        builder.stop(begin_ns + round(seconds * S), interval)
    builder.end(100 * S)
    return builder


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Three starts of `main`, one of `same` and, the newest, one of `slow`."""
    path = tmp_path / "startup.db"
    starts = [start_up(f"m{number}", "main", 10 + number / 10, number) for number in range(3)]
    starts += [start_up("same", "same", 10.1, 10), start_up("slow", "slow", 17, 11)]
    for start in starts:
        write(path, start.session, start.events)
    Ledger.open(path).close()
    (tmp_path / "budget.toml").write_text(BUDGET)
    return path


def test_what_is_within_the_budget_exits_with_0(run: Run, ledger: Path) -> None:
    done = run("startup.db", "--budget", "budget.toml", "--session", "same")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 of 4 limits hold" in done.stdout
    assert "BROKEN" not in done.stdout


def test_what_is_over_exits_with_1_and_says_where(run: Run, ledger: Path) -> None:
    done = run("startup.db", "--budget", "budget.toml")
    assert (done.returncode, done.stderr) == (1, "")
    for text in (
        "session slow “slow”",
        "2 of 4 limits hold, 2 broken",
        "total: encoder, compile: 21.000 s measured; at most 20 s allowed: 1.000 s over",
        "in process process (process) of session slow",
        "interval 4: 17.000 s, torch_compile Block",
        "at most 10 % over “main”, beyond its spread: 11.110 s",
        "the baseline's median is 10.100 s over 3 sessions, from 10.000 s to 10.200 s",
    ):
        assert text in done.stdout


def test_the_session_and_the_baseline_can_be_chosen(run: Run, ledger: Path, tmp_path: Path) -> None:
    assert run("startup.db", "-b", "budget.toml", "-s", "main").returncode == 1  # its own baseline
    assert run("startup.db", "-b", "budget.toml", "-s", "main", "--baseline", "same").returncode == 0
    other = tmp_path / "other.db"
    write(other, "old", start_up("old", "main", 5, 1).events)
    done = run("startup.db", "-b", "budget.toml", "-s", "same", "--baseline", "other.db:main")
    assert done.returncode == 1
    assert "at most 10 % over “other.db:main”" in done.stdout


def test_json_has_every_row_with_its_numbers(run: Run, ledger: Path) -> None:
    done = run("startup.db", "--budget", "budget.toml", "--json", "--github")
    assert done.returncode == 1
    printed = json.loads(done.stdout)
    assert printed["is_within"] is False
    assert (printed["sessions"], printed["baseline"]) == (["slow"], "main")
    assert printed["baseline_sessions"] == ["m0", "m1", "m2"]
    session, absolute, relative, anomalies = printed["limits"]
    assert (session["kind"], session["is_broken"]) == ("session", False)
    assert (absolute["allowed"], absolute["measured"], absolute["over"]) == (20 * S, 21 * S, S)
    assert absolute["trace"][0]["interval"] == 4
    assert (relative["allowed"], relative["is_relative"]) == (11_110_000_000, True)
    assert (anomalies["unit"], anomalies["measured"], anomalies["over"]) == ("count", 0, None)
    assert done.stderr.count("::error title=") == 2


def test_junit_has_a_test_case_for_each_limit(run: Run, ledger: Path, tmp_path: Path) -> None:
    done = run("startup.db", "--budget", "budget.toml", "--junit", "check.xml")
    assert done.returncode == 1
    suite = checked_junit((tmp_path / "check.xml").read_bytes())
    assert suite.get("name") == "budget.toml"
    cases = {case.get("name"): case for case in suite}
    case = cases["total: encoder, compile: at most 20 s"]
    assert (case.get("classname"), case.get("time")) == ("budget.total", "21.000000")
    failure = case.find("failure")
    assert failure is not None
    assert "1.000 s over" in str(failure.get("message"))
    assert "interval 4: 17.000 s, torch_compile Block" in str(failure.text)
    assert cases["anomalies: all: at most 0"].find("failure") is None
    # Named so that a CI system knows it again in the next run.
    assert cases["session 1: completed or ready"].get("classname") == "budget.session"


def checked_junit(content: bytes) -> ElementTree.Element:
    """Return the only suite of a report, after what JUnit's schema asks for."""
    root = ElementTree.fromstring(content)
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    cases = list(suite)
    failures = [failure for case in cases for failure in case]
    assert {case.tag for case in cases} == {"testcase"}
    assert {failure.tag for failure in failures} <= {"failure"}
    for element in (root, suite):
        assert element.get("tests") == str(len(cases))
        assert element.get("failures") == str(len(failures))
        assert element.get("errors") == "0"
        assert float(str(element.get("time"))) == pytest.approx(sum(float(str(c.get("time"))) for c in cases))
    assert all(
        case.get("name") and case.get("classname") and float(str(case.get("time"))) >= 0 for case in cases
    )
    assert all(failure.get("message") and failure.get("type") and failure.text for failure in failures)
    return suite


HOSTILE = "a\"<b>&'\x00\x1b[31m\ufffe]]>\r\n::error title=x,y:z::%0A💥é"


@pytest.mark.filterwarnings("error")
def test_hostile_names_break_neither_xml_nor_workflow_commands() -> None:
    builder = start_up("s", HOSTILE, 17, 0, role=HOSTILE)
    limits = {"name": HOSTILE, "role": HOSTILE, "at_most": "1 s"}
    budget = Budget.from_mapping(
        {"total": [limits, {"each": "component", "at_most": "1 s"}, {"each": "role", "at_most": "1 s"}]}
    )
    verdicts = evaluate(budget, [reduce(builder.events)], None)
    assert len(verdicts.broken) == 4
    # A file's name may have a lone surrogate.
    suite = checked_junit(junit(verdicts, HOSTILE + "\ud800"))
    assert "💥é" in str(suite[1].get("name"))
    lines = list(annotations(verdicts))
    assert len(lines) == 4
    for line in lines:
        assert line.splitlines() == [line]
        title, separator, message = line.removeprefix("::error title=").partition("::")
        assert separator
        assert title
        assert not set(title) & set(":,")
        assert "%0A" in message


def test_github_gets_an_annotation_for_each_broken_limit(run: Run, ledger: Path) -> None:
    done = run("startup.db", "--budget", "budget.toml", "--github")
    lines = [line for line in done.stdout.splitlines() if line.startswith("::")]
    assert len(lines) == 2
    assert lines[0].startswith(
        "::error title=total%3A encoder%2C compile::total: encoder, compile: 21.000 s measured; at most 20 s"
    )
    assert (
        "%0Ain process process (process) of session slow%0A  interval 4: 17.000 s, torch_compile Block"
        in lines[0]
    )
    # A ratio has a per cent sign.
    assert "at most 10 %25 over" in lines[1]
    assert "::" not in run("startup.db", "-b", "budget.toml", "-s", "same", "--github").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere.db", "-b", "budget.toml"), "nowhere.db: there is no ledger here"),
        (("startup.db", "-b", "nowhere.toml"), "nowhere.toml: the budget can't be read"),
        (("startup.db", "-b", "budget.toml", "-s", "none"), "no session 'none'"),
        (("startup.db", "-b", "budget.toml", "--baseline", "x"), "baseline: startup.db: no session 'x'"),
        (("startup.db", "-b", "budget.toml", "--junit", "no/where.xml"), "no/where.xml: can't be written"),
        (("startup.db", "-b", "wrong.toml"), "wrong.toml: [[total]] 1, at_most: 20 is not a duration"),
        (("startup.db", "-b", "relative.toml"), 'write baseline = "LABEL" at the top of the budget'),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line_and_exits_with_2(
    arguments: tuple[str, ...], told: str, run: Run, ledger: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong.toml").write_text("[[total]]\nat_most = 20\n")
    (tmp_path / "relative.toml").write_text('[[total]]\nat_most_over_baseline = "10 %"\n')
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_budget_is_asked_for(run: Run, ledger: Path) -> None:
    done = run("startup.db")
    assert done.returncode == 2
    assert "--budget" in done.stderr


def test_the_example_is_a_budget(run: Run, tmp_path: Path) -> None:
    done = run("--example")
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "example.toml").write_text(done.stdout)
    assert {limit.kind for limit in Budget.read(tmp_path / "example.toml").limits} == set(TABLES)
