"""Whatever a host program does, nothing gets out or hangs, and what was acknowledged is there or counted.

`HOST_PROGRAMS=5000` runs so many programs, which are others each time; without it there are as many as take
some seconds. With `--hypothesis-seed N` they are the same each time.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from ledger import Event, GapNoted, MilestoneReached, StageStarted, StageStopped, TotalClaimed
from ledger.events.models import to_line
from tests.support.journals import events_in
from tests.support.paths import ROOT

PROGRAMS = int(os.environ.get("HOST_PROGRAMS", "150"))
PHASES = [phase for phase in Phase if phase != Phase.shrink or "HOST_PROGRAMS" not in os.environ]
"""Without looking for the smallest program that fails, of many."""
FAILED_ONCE: dict[str, dict[str, Any]] = {
    # The fork met the other thread in pydantic's first look at what to leave out: the child hung.
    "a fork beside a thread's first claim": {
        "steps": [
            ["thread", [["note", 9], ["drop", False]], True],
            ["thread", [["drop", False], ["leave", 2], ["claim", 1.5]], False],
            ["fork", [], True, "raise"],
        ],
        "late": [],
        "ends": "terminate",
    },
    # The handler raised while Python forgot a thread, and Python printed that.
    "a signal handler that raises beside a thread that ends": {
        "steps": [["thread", [], False], ["signal", [], True], ["thread", [], False], ["signal", [], True]],
        "late": [],
        "ends": "leave",
    },
}
TIMES = 25
"""How often these are run: what befell them needs two threads to meet."""
RAISED_WHERE_PYTHON_IGNORES_IT = re.compile(
    r"Exception ignored in: <function WeakSet\..*\n"
    r"Traceback \(most recent call last\):\n"
    r"  File \".*_weakrefset\.py\", line .*, in _remove\n(?:    .*\n|\n)*"
    r"  File \".*host_programs\.py\", line .*, in handle\n(?:    .*\n|\n)*"
    r"(?:\S+\.)?Stop: ?\n"
)
"""A host's signal handler that comes while Python forgets a thread. Nothing of ours is in it."""
COUNTED = ("events_not_written", "event_not_valid")

number = st.integers(0, 20)
times = st.none() | st.sampled_from([-5, 0, 7, 2**63, 2**70, "123", 1.5])
seconds = st.sampled_from([1.5, -9223372036.854775, 9.3e9, float("nan"), float("inf"), "1", 10**400, None])
simple = st.one_of(
    st.sampled_from([["milestone"], ["gap"], ["stage"], ["role"], ["generator"], ["join"], ["close"]]),
    st.tuples(st.just("claim"), seconds),
    st.tuples(st.just("start"), times),
    st.tuples(st.just("stop"), number, times),
    st.tuples(st.just("again"), number),
    st.tuples(st.just("leave"), number),
    st.tuples(st.just("note"), number),
    st.tuples(st.just("decorated"), st.integers(0, 3)),
    st.tuples(st.just("odd"), st.integers(0, 100), number),
    st.tuples(st.just("drop"), st.booleans()),
    st.tuples(st.just("harm"), st.sampled_from(["remove", "rename"])),
)
ends = st.sampled_from(["return", "leave", "kill", "terminate", "raise"])


def around(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    programs = st.lists(steps, max_size=5)
    return st.one_of(
        st.tuples(st.just("thread"), programs, st.booleans()),
        st.tuples(st.just("tasks"), st.lists(programs, min_size=1, max_size=3)),
        st.tuples(st.just("fork"), programs, st.booleans(), ends),
        st.tuples(st.just("signal"), programs, st.booleans()),
    )


steps = st.recursive(simple, around, max_leaves=8)


class Runner:
    """The process that runs the programs, one after the other."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="host-programs-"))
        self.number = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.host_programs"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, program: dict[str, Any]) -> None:
        """Run a program, and check what it left."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.number += 1
        folder = self.folder / str(self.number)
        folder.mkdir()
        path = folder / "startup.db"
        print(json.dumps({"path": str(path), **program}), file=self.process.stdin, flush=True)
        ended = json.loads(self.process.stdout.readline())
        assert ended is not None, (path.parent / "errors").read_text()
        check(path)
        shutil.rmtree(folder)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        shutil.rmtree(self.folder)


def mark_of(event: Event) -> str | None:
    if isinstance(event, MilestoneReached):
        return event.name
    if isinstance(event, TotalClaimed):
        return event.text
    if isinstance(event, GapNoted):
        return event.detail
    if isinstance(event, StageStarted):
        return event.component
    if isinstance(event, StageStopped):
        return None if event.data is None else str(event.data.get("mark"))
    return None


def check(path: Path) -> None:
    """Nothing was raised or printed; each acknowledged event, and each number, is there or counted."""
    told = (path.parent / "acknowledged").read_text().splitlines()
    raised = [json.loads(line[1:]) for line in told if line.startswith("!")]
    assert raised == []
    errors = RAISED_WHERE_PYTHON_IGNORES_IT.sub("", (path.parent / "errors").read_text()).splitlines()
    assert [line for line in errors if not line.startswith("compile-ledger: ")] == []
    events = events_in(path)
    # A journal that was put back may be there twice; but no number has two events.
    by_line = {to_line(event): event for event in events}
    keys = Counter((event.process, event.seq) for event in by_line.values())
    assert [event for event in by_line.values() if keys[event.process, event.seq] > 1] == []
    counted: defaultdict[str, int] = defaultdict(int)
    for event in by_line.values():
        if isinstance(event, GapNoted) and event.what in COUNTED:
            counted[event.process] += event.count
    for process in {event.process for event in events}:
        numbers = {event.seq for event in events if event.process == process}
        holes = max(numbers) + 1 - len(numbers)
        assert holes <= counted[process], f"{process} has {holes} holes, and counted {counted[process]}"
    missing = set(told) - {mark_of(event) for event in events}
    assert len(missing) <= sum(counted.values()), f"missing, and not counted: {sorted(missing)}"


class HostProgram(RuleBasedStateMachine):
    """A program of the host's, step by step; it runs where it is whole."""

    runner: ClassVar[Runner]

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Any] = []
        self.late: list[Any] = []
        self.ends = "leave"

    @rule(step=steps)
    def do(self, step: Any) -> None:
        self.steps.append(step)

    @rule(step=simple)
    def do_simply(self, step: Any) -> None:
        self.steps.append(step)

    @rule()
    def use_up_the_stack(self) -> None:
        if ["deep"] not in self.steps:
            self.steps.append(["deep"])

    @rule(late=st.lists(simple.filter(lambda step: step[0] not in ("close", "harm")), max_size=3))
    def record_at_last(self, late: list[Any]) -> None:
        self.ends = "return"
        self.late = late

    @rule(ends=ends)
    def end(self, ends: str) -> None:
        self.ends = ends

    def teardown(self) -> None:
        if self.steps:
            self.runner.run({"steps": self.steps, "late": self.late, "ends": self.ends})


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


def test_whatever_a_host_program_does_is_recorded_or_counted(runner: Runner) -> None:
    HostProgram.runner = runner
    run_state_machine_as_test(
        HostProgram,
        settings=settings(
            max_examples=PROGRAMS, stateful_step_count=12, deadline=None, database=None, phases=PHASES,
            suppress_health_check=list(HealthCheck), print_blob=True,
        ),
    )  # fmt: skip
    assert runner.number >= PROGRAMS // 2


@pytest.mark.parametrize("name", FAILED_ONCE)
def test_a_program_that_failed_once_holds(runner: Runner, name: str) -> None:
    for _ in range(TIMES):
        runner.run(FAILED_ONCE[name])
