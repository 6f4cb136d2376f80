"""Records what a test compiles into a ledger of its own, and holds budgets against it."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger import Budget, Ledger, Recorder, Timeline, Verdicts, check_budget
from ledger_torch import recording_to

_BEGIN: Final = "test_started"


class CompileLedger:
    """What one test compiled."""

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self.path: Final = path
        """The ledger, for every command of `compile-ledger`."""
        self.recorder: Final = recorder
        """For stages, roles and claims that only the test knows."""

    @property
    def timeline(self) -> Timeline:
        """What was recorded so far, reduced."""
        with Ledger.open(self.path) as ledger:
            return ledger.timeline(self.recorder.session)

    def check(
        self, budget: Budget | str | os.PathLike[str] | Mapping[str, object], *, baseline: str | None = None
    ) -> Verdicts:
        """Hold a budget, a TOML file or a mapping like one, against what was recorded so far.

        `baseline` is FILE:LABEL, for limits over one. Raises LedgerError where budget or baseline is wrong.
        """
        if isinstance(budget, Mapping):
            budget = Budget.from_mapping(budget)
        elif not isinstance(budget, Budget):
            budget = Budget.read(budget)
        with Ledger.open(self.path) as ledger:
            return check_budget(
                ledger, budget, session=self.recorder.session, baseline=baseline, may_run=True
            )

    def assert_within(
        self, budget: Budget | str | os.PathLike[str] | Mapping[str, object], *, baseline: str | None = None
    ) -> None:
        """Do as `check`, and raise AssertionError where a limit is broken, with what the command prints."""
        __tracebackhide__ = True
        verdicts = self.check(budget, baseline=baseline)
        if verdicts.broken:
            raise AssertionError(f"{verdicts}\nrecorded in {self.path}")


@contextmanager
def recorded(path: Path, label: str) -> Generator[CompileLedger]:
    """Record into a new ledger what torch compiles in this process while the body runs."""
    recorder = Recorder.open(path, label=label)
    try:
        # There is a ledger to look at, even where nothing is compiled.
        recorder.milestone(_BEGIN)
        with recording_to(recorder):
            yield CompileLedger(path, recorder)
    finally:
        recorder.close()
