"""The command `record`: runs a command with recording on in all its processes, and prints a report."""

from pathlib import Path
from typing import Annotated, Final

import typer

from ledger.cli.console.printing import printer
from ledger.cli.nothing_recorded import why_unrecorded
from ledger.cli.recorded_run import Attendant, Recorded, on_terminal, run_recorded, say
from ledger.errors import LedgerError
from ledger.formatting import one_line

REFUSED: Final = 125
_LONGEST_ID: Final = 200


def record(
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="The command and its arguments, after --.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The ledger to record into; created if missing."),
    ] = Path("startup.db"),
    label: Annotated[
        str | None, typer.Option("--label", "-l", help="A name by which to find the session.")
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            "-s",
            metavar="ID",
            help="The session's id, the same on every host of a start over several.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live view and no report.")] = False,
) -> None:
    """Record a command in all its processes, and print a report.

    Example: compile-ledger record -o startup.db --label cold -- vllm serve Qwen/Qwen2.5-VL-3B-Instruct

    Example: compile-ledger record -o node0.db --session run-17 -- torchrun --nnodes 2 train.py

    The live view and the report go to stderr. The exit code is the command's, or 128 + n if signal n ended
    it. 127: command not found; 126: it can't be executed; 125: FILE can't be recorded into, nothing started.
    """
    try:
        attend = Attendant if quiet else on_terminal
        recorded = run_recorded(command, output, label, attend, session=_session_id(session))
    except LedgerError as error:
        say(str(error))
        raise typer.Exit(REFUSED) from None
    if recorded.is_started and not quiet:
        # The report comes last, so that nothing scrolls it away.
        if recorded.still_running:
            say(
                f"{recorded.still_running} of the session's processes are still running; their events are "
                "collected when the ledger is next read"
            )
        if reason := why_unrecorded(command, recorded.extent):
            say(reason)
        _report(output, recorded)
    raise typer.Exit(recorded.exit_code)


def _session_id(given: str | None) -> str | None:
    """Return the id that was given, as the command's processes are handed it. Raises LedgerError."""
    if given is not None and (not given or given != one_line(given) or len(given) > _LONGEST_ID):
        raise LedgerError(f"{given!r}: is no id; take up to {_LONGEST_ID} characters on one line")
    return given


def _report(ledger_file: Path, recorded: Recorded) -> None:
    from ledger.cli.console.final_screen import print_final_screen

    try:
        print_final_screen(ledger_file, recorded.session, printer(stderr=True))
    except KeyboardInterrupt:
        say(f"interrupted; `compile-ledger report {ledger_file}` prints the report")
    except (Exception, SystemExit) as error:  # rich exits if stderr is a closed pipe
        say(f"no report: {error}")
