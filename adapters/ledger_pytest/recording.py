"""Records a test's compiles into its own ledger, and checks them against budgets."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger import Budget, Ledger, Recorder, Timeline, Verdicts, check_budget
from ledger_torch import recording_to

_BEGIN: Final = "test_started"


class CompileLedger:
    """The recording of one test's compiles."""

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self.path: Final = path
        """The ledger, for every command of `compile-ledger`."""
        self.recorder: Final = recorder
        """For stages, roles and claims that only the test knows."""

    @property
    def timeline(self) -> Timeline:
        """The timeline of what was recorded so far."""
        with Ledger.open(self.path) as ledger:
            return ledger.timeline(self.recorder.session)

    def check(
        self, budget: Budget | str | os.PathLike[str] | Mapping[str, object], *, baseline: str | None = None
    ) -> Verdicts:
        """Check what was recorded so far against a budget: an object, a TOML file or a mapping like one.

        `baseline` is FILE:LABEL, for relative limits. Raises LedgerError if budget or baseline is invalid.
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
        """Call `check`; raise AssertionError with the verdicts if a limit is broken."""
        __tracebackhide__ = True
        verdicts = self.check(budget, baseline=baseline)
        if verdicts.broken:
            raise AssertionError(f"{verdicts}\nrecorded in {self.path}")


@contextmanager
def recorded(path: Path, label: str) -> Generator[CompileLedger]:
    """Record into a new ledger what torch compiles in this process while the body runs."""
    recorder = Recorder.open(path, label=label)
    try:
        # Creates the ledger even if nothing is compiled.
        recorder.milestone(_BEGIN)
        with recording_to(recorder):
            yield CompileLedger(path, recorder)
    finally:
        recorder.close()
