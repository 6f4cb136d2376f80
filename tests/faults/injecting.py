"""Prepares operations, draws faults for them, and injects one: in a process and a folder of its own."""

import gc
import importlib
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

import vl_convert

from tests.faults.operations import Operation, run, state, violations
from tests.faults.shim import ACTIONS, Action, arm, count, counted

_Answer = TypeVar("_Answer")

_HANGS_AFTER_S: Final = 60
"""An operation that takes longer hangs."""
_DRAWN_ONCE: Final = ("javascript_bundle", "vegalite_to_vega")
"""Of vl_convert: they take seconds, touch no file of ours, and give the same for the same."""


class Kind(NamedTuple):
    """An operation and what becomes of a call in it."""

    operation: Operation
    action: Action


class Injection(NamedTuple):
    """One fault: it befalls the nth call, from 0 on, that its action may befall."""

    kind: Kind
    nth: int


class Outcome(NamedTuple):
    """What came of an injection."""

    trouble: str
    """What did not hold; empty where all did."""
    seconds: float


class _Undisturbed(NamedTuple):
    """What came of an operation without a fault."""

    calls: list[int]
    """How often each action could have befallen it."""
    left: dict[str, object]
    modules: list[str]
    """What it imported."""
    drawn: dict[str, object]


@dataclass(frozen=True)
class _Ended(Generic[_Answer]):
    """What came of a call in a forked process."""

    answer: _Answer | None
    """What it returned; None where it did not."""
    code: int = 0
    """Minus the signal that ended the process; 0 where none did."""
    trouble: str = ""
    """What it raised, or that it hung."""


class Injector:
    """Operations that were done once undisturbed, and are done again under faults.

    A process that is forked from this one may inject as well, at the same time.
    """

    def __init__(self, folder: Path, operations: Sequence[Operation]) -> None:
        self._folder: Final = folder
        self._calls: Final[dict[Kind, int]] = {}
        self._expected: Final[dict[str, dict[str, object]]] = {}
        self._drawn: Final[dict[str, object]] = {}
        for name in _DRAWN_ONCE:
            setattr(vl_convert, name, _remembered(getattr(vl_convert, name), self._drawn))
        for operation in operations:
            self._prepare(operation)
        self.kinds: Final = [kind for kind, calls in self._calls.items() if calls]
        gc.collect()
        gc.freeze()  # the children share these pages

    def draw(self, seed: int, injections: int) -> list[Injection]:
        """Draw faults: every kind in turn, each at a random one of its calls."""
        chance = random.Random(seed)
        kinds = [self.kinds[number % len(self.kinds)] for number in range(injections)]
        return [Injection(kind, chance.randrange(self._calls[kind])) for kind in kinds]

    def inject(self, injection: Injection) -> Outcome:
        """Do an operation under a fault, and see what is left of it."""
        (operation, action), nth = injection
        began = time.monotonic()
        folder = self._copy(operation)

        def under_fault() -> int:
            arm(folder, action, nth)
            return run(operation, folder)

        def check() -> str:
            expected = self._expected[operation.name]
            return "; ".join(violations(operation, folder, expected, ended.answer or ended.code))

        ended = _in_child(under_fault)
        trouble = ended.trouble
        if not trouble:
            checked = _in_child(check)
            trouble = checked.trouble or checked.answer or ""
        shutil.rmtree(folder.parent)
        return Outcome(trouble, time.monotonic() - began)

    def _prepare(self, operation: Operation) -> None:
        """Make an operation's files, do it once, and import here what it needed: children then have it."""
        prepared = self._folder / "prepared" / operation.name
        prepared.mkdir(parents=True)
        made = _in_child(lambda: operation.prepare(prepared))
        assert not made.trouble, (operation.name, made.trouble)
        folder = self._copy(operation)

        def do_and_count() -> _Undisturbed:
            before = set(sys.modules)
            count(folder)
            code = run(operation, folder)
            assert code == 0, code
            calls = [counted(action) for action in ACTIONS]
            left = state(operation, folder)
            return _Undisturbed(
                calls, left, [name for name in sys.modules if name not in before], self._drawn
            )

        done = _in_child(do_and_count)
        assert done.answer is not None, (operation.name, done.trouble or done.code)
        calls, self._expected[operation.name], modules, drawn = done.answer
        self._calls.update((Kind(operation, action), n) for action, n in zip(ACTIONS, calls, strict=True))
        self._drawn.update(drawn)
        shutil.rmtree(folder.parent)
        for name in modules:
            try:
                importlib.import_module(name)
            except ImportError:
                continue  # a module that another one makes up

    def _copy(self, operation: Operation) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._folder)) / "work"
        shutil.copytree(self._folder / "prepared" / operation.name, folder)
        return folder


def _remembered(function: Callable[..., object], results: dict[str, object]) -> Callable[..., object]:
    def remembered(*arguments: object, **named: object) -> object:
        key = repr((function.__name__, arguments, named))
        if key not in results:
            results[key] = function(*arguments, **named)
        return results[key]

    return remembered


def _in_child(call: Callable[[], _Answer]) -> _Ended[_Answer]:
    """Return what a call returns in a forked process, or how that ended."""
    ours, theirs = os.pipe()
    if not (pid := os.fork()):
        signal.alarm(_HANGS_AFTER_S)
        try:
            ended = _Ended(call())
        except BaseException:
            ended = _Ended(None, trouble=traceback.format_exc())
        # There may be more of it than fits into the pipe.
        with os.fdopen(theirs, "wb") as pipe:
            pickle.dump(ended, pipe)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        text = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        return _Ended(None, code, f"hung for {_HANGS_AFTER_S} s" if code == -signal.SIGALRM else "")
    return pickle.loads(text)
