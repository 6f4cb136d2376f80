"""The command `check`: checks recorded sessions against a budget."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ledger.analysis.budget import Budget, Verdict, Verdicts, check_budget
from ledger.analysis.budget.ci_output import annotations, junit
from ledger.analysis.budget.verdicts import COLUMNS, plain
from ledger.cli.console import completion
from ledger.cli.console.input_files import readable
from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import open_ledger, print_json, printer, table
from ledger.cli.console.standard_streams import reader_may_leave
from ledger.cli.console.terminal import echo
from ledger.errors import LedgerError

BROKEN = 1


def _print_example(is_wanted: bool) -> None:
    if is_wanted:
        echo((files("ledger.analysis.budget") / "example.toml").read_text(encoding="utf-8"), nl=False)
        raise typer.Exit


def check(
    file: Annotated[Path, typer.Argument(help="The ledger.")],
    budget: Annotated[Path, typer.Option("--budget", "-b", help="The limits, in TOML; see --example.")],
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            "-s",
            help="A session id or a prefix of one, or a label: all its sessions are checked.",
            autocompletion=completion.sessions,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="The baseline, in place of the budget's: NAME, FILE or FILE:NAME."),
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="OUT", help="Write JUnit XML, one test case per limit.")
    ] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print broken limits as GitHub Actions annotations.")
    ] = False,
    as_json: AsJson = False,
    example: Annotated[
        bool,
        typer.Option(
            "--example", callback=_print_example, is_eager=True, help="Print an example budget and exit."
        ),
    ] = False,
) -> None:
    """Check the newest session, or the one you name, against a budget.

    Exits with code 1 if a limit is broken. With several sessions, an absolute limit applies to the highest
    measurement. A limit relative to a baseline compares medians; the baseline consists of sessions that
    completed or became ready, and of imported ones.

    Example: compile-ledger check startup.db --budget budget.toml --baseline main.db:main --junit check.xml
    """
    with readable(budget) as readable_budget:
        limits = Budget.read(readable_budget)
    with open_ledger(file) as ledger:
        verdicts = check_budget(ledger, limits, session=session, baseline=baseline)
    if junit_file is not None:
        try:
            junit_file.write_bytes(junit(verdicts, str(budget)))
        except OSError as error:
            raise LedgerError(f"{junit_file}: can't be written ({error.strerror})") from error
    with reader_may_leave():
        if as_json:
            print_json(_as_json(verdicts))
        else:
            print_verdicts(verdicts, printer())
        if github:
            # With --json, stdout is for whatever parses it. The runner reads annotations from stderr too.
            for line in annotations(verdicts):
                echo(line, err=as_json)
    if verdicts.broken:
        raise typer.Exit(BROKEN)


def print_verdicts(verdicts: Verdicts, console: Console) -> None:
    """Print every limit as a row, followed by the details of the broken ones."""
    rows = [list(map(plain, row.cells)) for row in verdicts.rows]
    console.print(table(COLUMNS, rows))
    console.print(Text(verdicts.summary, style="bold"))
    for left_out in verdicts.baseline_left_out:
        console.print(Text(plain(f"not included in the baseline: {left_out}")), soft_wrap=True)
    for line in verdicts.explained:
        console.print(Text(line), soft_wrap=True)


def _as_json(verdicts: Verdicts) -> Mapping[str, object]:
    return {
        "is_within": not verdicts.broken,
        "sessions": verdicts.sessions,
        "baseline": verdicts.baseline,
        "baseline_sessions": verdicts.baseline_sessions,
        "baseline_left_out": [left_out._asdict() for left_out in verdicts.baseline_left_out],
        "limits": [_row_as_json(row) for row in verdicts.rows],
    }


def _row_as_json(row: Verdict) -> Mapping[str, object]:
    return {**row._asdict(), "over": row.over, "trace": [trace._asdict() for trace in row.trace]}
