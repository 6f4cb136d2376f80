"""Injects faults: `python -m tests.faults.run [--injections N] [--seed S …]`; at length by `make faults`.

An injection is an operation with one fault in one system call, drawn at random: a kind is an operation and
what became of the call. It prints how often each was tried, and what did not hold; the exit code is 1 where
anything did not. Each injection has a process of its own, forked from this one, which has imported all of it.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from tests.faults.operations import OPERATIONS, Operation, run, state, violations
from tests.faults.shim import ACTIONS, Action, arm, count, counted, preload_and_restart

_SECONDS: Final = 60
"""An operation that takes longer hangs."""


class Kind(NamedTuple):
    """An operation and what becomes of a call in it."""

    operation: Operation
    action: Action


def main() -> int:
    """Draw and inject; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--injections", type=int, default=1_000, help="for each seed")
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        faults = _Faults(Path(os.path.realpath(name)))
        for seed in options.seed:
            chance = random.Random(seed)
            for number in range(options.injections):
                faults.inject(number, chance)
        faults.print_table(Console())
        return 1 if faults.violations else 0


class _Faults:
    """Prepared folders, and what came of the injections."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._calls: dict[Kind, int] = {}
        self._expected: dict[str, dict[str, object]] = {}
        self._tried: Counter[Kind] = Counter()
        self.violations: list[tuple[Kind, int, str]] = []
        for operation in OPERATIONS:
            self._prepare(operation)
        self._kinds = [kind for kind, calls in self._calls.items() if calls]

    def inject(self, number: int, chance: random.Random) -> None:
        """Inject one fault: every kind in turn, at a random one of its calls."""
        kind = self._kinds[number % len(self._kinds)]
        nth = chance.randrange(self._calls[kind])
        folder = self._copy(kind.operation)

        def under_fault() -> str:
            arm(folder, kind.action, nth)
            return str(run(kind.operation, folder))

        def check() -> str:
            expected = self._expected[kind.operation.name]
            return "; ".join(violations(kind.operation, folder, expected, int(code)))

        self._tried[kind] += 1
        code, trouble = _in_child(under_fault)
        if not trouble:
            found, trouble = _in_child(check)
            trouble = trouble or found
        if trouble:
            self.violations.append((kind, nth, trouble))
        shutil.rmtree(folder.parent)

    def print_table(self, console: Console) -> None:
        """Print what was tried, by operation, and each violation."""
        table = Table("operation", "kinds", "injections", "violations")
        for operation in OPERATIONS:
            kinds = [kind for kind in self._tried if kind.operation is operation]
            tried = sum(self._tried[kind] for kind in kinds)
            broken = sum(kind.operation is operation for kind, _, _ in self.violations)
            table.add_row(operation.name, str(len(kinds)), f"{tried:,}", str(broken))
        table.add_section()
        total = f"{sum(self._tried.values()):,}"
        table.add_row("all", str(len(self._tried)), total, str(len(self.violations)))
        for kind, nth, text in self.violations:
            console.print(f"{kind.operation.name}, {kind.action.name} in call {nth}: {text}", markup=False)
        console.print(table)

    def _prepare(self, operation: Operation) -> None:
        prepared = self._folder / "prepared" / operation.name
        prepared.mkdir(parents=True)
        _, trouble = _in_child(lambda: operation.prepare(prepared) or "")
        assert not trouble, (operation.name, trouble)
        folder = self._copy(operation)

        def counts() -> str:
            count(folder)
            run(operation, folder)
            return json.dumps([counted(action) for action in ACTIONS])

        answer, trouble = _in_child(counts)
        assert not trouble, (operation.name, trouble)
        for action, calls in zip(ACTIONS, json.loads(answer), strict=True):
            self._calls[Kind(operation, action)] = calls
        self._expected[operation.name] = state(operation, folder)
        shutil.rmtree(folder.parent)

    def _copy(self, operation: Operation) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._folder)) / "work"
        shutil.copytree(self._folder / "prepared" / operation.name, folder)
        return folder


def _in_child(call: Callable[[], str]) -> tuple[str, str]:
    """Return what a call returns in a forked process, -n where signal n ended it, and what it raised."""
    ours, theirs = os.pipe()
    if not (pid := os.fork()):
        signal.alarm(_SECONDS)
        try:
            answer = call(), ""
        except BaseException:
            answer = "", traceback.format_exc()
        os.write(theirs, json.dumps(answer).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return str(-number), "hung" if number == signal.SIGALRM else ""
    answer, trouble = json.loads(text)
    return answer, trouble


if __name__ == "__main__":
    preload_and_restart("tests.faults.run")
    sys.exit(main())
