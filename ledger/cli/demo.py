"""The command `demo`: torch compiles two small models, cold and then warm, and compares the times."""

import importlib.util
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json, printer, table
from ledger.cli.recorded_run import Attendant, Streams, on_terminal, run_recorded
from ledger.durations import seconds
from ledger.errors import MissingExtra
from ledger.storage.ledger import Ledger
from ledger.timeline.records import RoleTotal, SourceTotal

_PROGRAM: Final = "ledger_torch.demo"
_RUNS: Final = ("cold", "warm")


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The ledger to record into.")] = Path(
        "demo.db"
    ),
    as_json: AsJson = False,
) -> None:
    """Compile two small models, cold and then warm, and compare.

    One is a vision encoder, one a language model.

    Example: compile-ledger demo -o demo.db
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingExtra.of("the demo", "torch", "torch")
    console = printer(stderr=as_json)
    sessions: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="compile-ledger-demo-") as cache:
        for run in _RUNS:
            cache_state = "an empty cache" if run == "cold" else "the cache of the first run"
            console.print(Text(f"{run}: compiling, with {cache_state}"))
            recorded = run_recorded(
                [sys.executable, "-m", _PROGRAM], output, f"demo {run}",
                _BesideJson if as_json else on_terminal if console.is_terminal else Attendant,
                environment={"TORCHINDUCTOR_CACHE_DIR": cache},
            )  # fmt: skip
            if recorded.exit_code:
                raise typer.Exit(recorded.exit_code)
            sessions[run] = recorded.session
    with Ledger.open(output) as ledger:
        if as_json:
            print_json({"ledger": str(output), "sessions": sessions, "compiling": _times(ledger, sessions)})
        else:
            print_comparison(ledger, sessions, console)
    console.print(Text(f"Recorded in {output}. Next: compile-ledger report {output}"), soft_wrap=True)


class _BesideJson(Attendant):
    """Leaves standard output to the answer."""

    streams = Streams(stdout=2)


def print_comparison(ledger: Ledger, sessions: dict[str, str], console: Console) -> None:
    """Print what compiling took, per role, in each of some sessions, by the name of its run."""
    columns = ["role", *(name for run in sessions for name in (f"{run}, seconds", f"{run}, added up"))]
    cells = [
        [
            times["role"],
            *(seconds(times.get(f"{run}_{what}")) for run in sessions for what in ("ns", "added_up_ns")),
        ]
        for times in _times(ledger, sessions)
    ]
    console.print()
    console.print(
        table(columns, cells, "Compiling: what passed on the clock, and what adding all intervals up gives")
    )


def _times(ledger: Ledger, sessions: dict[str, str]) -> list[dict[str, object]]:
    """Return what compiling took, per role: of each run on the clock, and added up."""
    rows: dict[str | None, dict[str, object]] = {}
    for run, session in sessions.items():
        timeline = ledger.timeline(session)
        totals = _by_role((one.role, one.total_ns) for one in timeline.role_totals if _compiles(one))
        sums = _by_role((one.role, one.naive_sum_ns) for one in timeline.source_totals if _compiles(one))
        for role in sorted(totals, key=lambda role: role or ""):
            row = rows.setdefault(role, {"role": role})
            row |= {f"{run}_ns": totals[role], f"{run}_added_up_ns": sums[role]}
    return list(rows.values())


def _compiles(total: RoleTotal | SourceTotal) -> bool:
    return total.activity == "compile"


def _by_role(totals: Iterable[tuple[str | None, int]]) -> Counter[str | None]:
    """Add durations up by role."""
    sums: Counter[str | None] = Counter()
    for role, ns in totals:
        sums[role] += ns
    return sums
