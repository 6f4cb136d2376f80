"""The command `demo`: torch compiles two small models, cold and then warm, and the ledger says how long."""

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from ledger.cli.console.printing import printer, table
from ledger.cli.record import run_recorded
from ledger.errors import LedgerError
from ledger.formatting import seconds
from ledger.storage.ledger import Ledger

_PROGRAM: Final = "ledger_torch.demo"
_RUNS: Final = ("cold", "warm")


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The ledger to record into.")] = Path(
        "demo.db"
    ),
) -> None:
    """Compile a small vision encoder and a small language model, cold and then warm, and compare.

    Example: compile-ledger demo -o demo.db
    """
    if importlib.util.find_spec("torch") is None:
        raise LedgerError("the demo compiles with torch, which is not installed: pip install torch")
    console = printer()
    sessions: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="compile-ledger-demo-") as cache:
        for run in _RUNS:
            console.print(Text(f"{run}: compiling, with {'an empty' if run == 'cold' else 'that'} cache"))
            recorded = run_recorded(
                [sys.executable, "-m", _PROGRAM], output, f"demo {run}", live=console.is_terminal,
                environment={"TORCHINDUCTOR_CACHE_DIR": cache},
            )  # fmt: skip
            if recorded.exit_code:
                raise typer.Exit(recorded.exit_code)
            sessions[run] = recorded.session
    with Ledger.open(output) as ledger:
        print_comparison(ledger, sessions, console)
    console.print(
        Text(f"All of it is in {output}. Go on with: compile-ledger report {output}"), soft_wrap=True
    )


def print_comparison(ledger: Ledger, sessions: dict[str, str], console: Console) -> None:
    """Print what compiling took, per role, in each of some sessions, by the name of its run."""
    columns = ["role"]
    totals: dict[str, list[object]] = {}
    for run, session in sessions.items():
        columns += [f"{run}, seconds", f"{run}, added up"]
        rows = ledger.sql(
            """
            SELECT r.role, sum(r.total_ns) AS total_ns,
                   (SELECT sum(s.naive_sum_ns) FROM source_totals s
                    WHERE s.session = r.session AND s.role IS r.role
                      AND s.activity = 'compile') AS naive_sum_ns
            FROM role_totals r
            WHERE r.session = ? AND r.activity = 'compile'
            GROUP BY r.role ORDER BY r.role
            """,
            [session],
        )
        for row in rows:
            line = totals.setdefault(str(row["role"]), [row["role"], *[None] * (len(columns) - 3)])
            line += [seconds(row["total_ns"]), seconds(row["naive_sum_ns"])]
    console.print()
    cells = [line + [None] * (len(columns) - len(line)) for line in totals.values()]
    console.print(
        table(columns, cells, "Compiling: what passed on the clock, and what adding all intervals up gives")
    )
