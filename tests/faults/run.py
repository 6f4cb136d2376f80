"""Injects faults: `python -m tests.faults.run [--injections N] [--seed S …]`; at length by `make faults`.

An injection is an operation with one fault in one system call, drawn at random: a kind is an operation and
what became of the call. The same seed gives the same injections, however many workers there are. What did not
hold is printed when it is found, with the command that injects the very same fault again; at the end comes
how often each operation was tried. The exit code is 1 where anything did not hold.

Each injection has a process and a folder of its own. The process is forked from a worker, which has imported
all that the operations need: to import it anew each time took three quarters of the time.
"""

import argparse
import multiprocessing
import os
import shlex
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.faults.injecting import Injection, Injector, Kind, Outcome
from tests.faults.operations import OPERATIONS
from tests.faults.shim import ACTIONS, preload_and_restart

_MODULE: Final = "tests.faults.run"
_TOLD_EACH_S: Final = 60.0
"""How often a line is written where there is no terminal."""


def main() -> int:
    """Draw and inject; return the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {_MODULE}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--injections", type=int, default=1_000, help="for each seed")
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="at the same time")
    parser.add_argument(
        "--operation", nargs="+", choices=[each.name for each in OPERATIONS], help="only these"
    )
    parser.add_argument(
        "--again", nargs=3, metavar=("OPERATION", "ACTION", "CALL"), help="this one, once; its repetition"
    )
    options = parser.parse_args()
    only = options.again[:1] if options.again else options.operation
    operations = [each for each in OPERATIONS if not only or each.name in only]
    console = Console(soft_wrap=True)
    with tempfile.TemporaryDirectory() as name:
        with console.status("preparing"):
            injector = Injector(Path(os.path.realpath(name)), operations)
        if options.again:
            [operation] = operations
            [action] = [each for each in ACTIONS if each.name == options.again[1]]
            injections = [Injection(Kind(operation, action), int(options.again[2]))]
        else:
            injections = [each for seed in options.seed for each in injector.draw(seed, options.injections)]
        summary = Summary(injections, console)
        for injection, outcome in outcomes(injector, injections, options.workers):
            summary.add(injection, outcome)
        summary.close()
    return 1 if summary.violations else 0


def outcomes(
    injector: Injector, injections: Sequence[Injection], workers: int
) -> Iterator[tuple[Injection, Outcome]]:
    """Inject in several processes at the same time, and yield what came of it, as soon as it is known."""
    global _injector
    _injector = injector
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        try:
            waiting = {pool.submit(_inject, *_names(each)): each for each in injections}
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_injector: Injector
"""Of a worker, from the process that it was forked from."""


def _names(injection: Injection) -> tuple[str, str, int]:
    """Return what names an injection: an operation itself can't be sent to a worker."""
    return injection.kind.operation.name, injection.kind.action.name, injection.nth


def _inject(operation: str, action: str, nth: int) -> Outcome:
    [kind] = [
        kind for kind in _injector.kinds if (kind.operation.name, kind.action.name) == (operation, action)
    ]
    return _injector.inject(Injection(kind, nth))


class Summary:
    """How far it is, what did not hold, and a table at the end."""

    def __init__(self, injections: Sequence[Injection], console: Console) -> None:
        self._total: Final = len(injections)
        self._kinds: Final = len({each.kind for each in injections})
        self._tried: Final[Counter[Kind]] = Counter()
        self._seconds: Final[defaultdict[str, float]] = defaultdict(float)
        self.violations: Final[Counter[str]] = Counter()
        """By operation."""
        self._console: Final = console
        self._progress: Final = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task: Final = self._progress.add_task("", total=self._total)
        self._began: Final = time.monotonic()
        self._told = self._began
        self._say_how_far()
        self._progress.start()

    def add(self, injection: Injection, outcome: Outcome) -> None:
        """Count an injection, and print at once what did not hold."""
        operation = injection.kind.operation.name
        self._tried[injection.kind] += 1
        self._seconds[operation] += outcome.seconds
        if outcome.trouble:
            self.violations[operation] += 1
            again = shlex.join(["python", "-m", _MODULE, "--again", *map(str, _names(injection))])
            self._console.print(f"{again}\n    {outcome.trouble}", markup=False, highlight=False)
        self._progress.advance(self._task)
        self._say_how_far()

    def close(self) -> None:
        """Print the table."""
        self._progress.stop()
        table = Table("operation", "kinds", "injections", "violations", "seconds each")
        for operation in dict.fromkeys(kind.operation.name for kind in self._tried):
            kinds = [kind for kind in self._tried if kind.operation.name == operation]
            tried = sum(self._tried[kind] for kind in kinds)
            mean = self._seconds[operation] / tried
            table.add_row(
                operation, f"{len(kinds)}", f"{tried:,}", f"{self.violations[operation]}", f"{mean:.2f}"
            )
        table.add_section()
        tried = self._tried.total()
        mean = sum(self._seconds.values()) / max(tried, 1)
        table.add_row("all", f"{len(self._tried)}", f"{tried:,}", f"{self.violations.total()}", f"{mean:.2f}")
        self._console.print(table)
        self._console.print(f"{time.monotonic() - self._began:.0f} s")

    def _say_how_far(self) -> None:
        text = f"{self._kinds} kinds, {self.violations.total()} violations"
        self._progress.update(self._task, description=text)
        now = time.monotonic()
        if self._progress.disable and now - self._told > _TOLD_EACH_S:
            self._told = now
            tried = self._tried.total()
            left_s = (now - self._began) / tried * (self._total - tried)
            print(
                f"{text}, {tried:,} of {self._total:,} injections, {left_s / 60:.0f} minutes left", flush=True
            )


if __name__ == "__main__":
    preload_and_restart(_MODULE)
    sys.exit(main())
