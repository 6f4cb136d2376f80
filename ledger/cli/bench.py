"""The command `bench`: starts a command cold and warm in turns, and compares the two kinds of start."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from ledger.analysis.breakdown_comparison import BreakdownComparison, Medians, StageKey, compare_breakdowns
from ledger.analysis.cohorts import Side, side_of
from ledger.analysis.comparison import compare
from ledger.cli.bench_start import StartAttendant, last_lines
from ledger.cli.cold_and_warm import CacheFolders, PlannedStart, planned_starts
from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json, print_warning, printer, table
from ledger.cli.console.terminal import TerminalConsole, print_line
from ledger.cli.diff import answer, comparison_as_json, how_tested
from ledger.cli.nothing_recorded import why_unrecorded
from ledger.cli.recorded_run import SIGNALLED, run_recorded, say
from ledger.durations import seconds, signed
from ledger.errors import LedgerError, LedgerNotWritable, MissingExtra
from ledger.formatting import NO_STAGE, counted, one_line
from ledger.storage.ledger import Ledger

_STAGES_SHOWN: Final = 12
_LINES_SHOWN: Final = 10
_LOGS: Final = ".logs"
_INTERRUPTED: Final = 130
_FIRST: Final = "cold-1"


class Start(NamedTuple):
    """A start that was made, and how long it took."""

    label: str
    is_cold: bool
    session: str
    duration_ns: int
    """From the command to `ended_by`."""
    ended_by: str


class Comparison(NamedTuple):
    """What `bench` found out."""

    cold: Side
    warm: Side
    answer: str
    """How the warm starts differ from the cold ones, or why that can't be told."""
    how_tested: str
    difference: Mapping[str, object] | None
    breakdown: BreakdownComparison


def bench(
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="The command and its arguments, after --.")
    ],
    cold: Annotated[int, typer.Option("--cold", min=1, help="How many cold starts.")] = 3,
    warm: Annotated[int, typer.Option("--warm", min=1, help="How many warm starts.")] = 3,
    prepare: Annotated[
        str | None,
        typer.Option(
            "--prepare", metavar="CMD", help="A shell command to run before each start; no part of its time."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="MILESTONE",
            help="End the command once this is recorded: server_ready, engine_ready, first_token or another.",
        ),
    ] = None,
    grace: Annotated[
        float,
        typer.Option(
            "--grace", metavar="SECONDS", min=0, help="How long it may take to end then, before it is killed."
        ),
    ] = 30.0,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The ledger to record into; created if missing."),
    ] = Path("bench.db"),
    as_json: AsJson = False,
) -> None:
    """Start a command cold and warm in turns, and compare the two.

    Each start is recorded.

    Example: compile-ledger bench --until server_ready -- vllm serve Qwen/Qwen2.5-VL-3B-Instruct

    Cold means that nothing is cached of what torch, Triton and the engine compile; warm, that it runs with
    the caches of a start that ended. They are in a folder of the bench's own beside FILE, new for each cold
    start and removed at the end; yours are not touched. Weights, Python's byte code and the system's page
    cache stay as they are: see --prepare.

    Each start is a session, labelled cold-1, warm-1, …; what it prints is in FILE.logs. --until sends SIGINT,
    then SIGTERM, then SIGKILL to the command's process group, and that end is no failure. The first start
    that fails ends the bench with its exit code.
    """
    options = _Options(command, output, prepare, until, grace)
    console = TerminalConsole(stderr=True)
    starts: list[Start] = []
    try:
        with CacheFolders(output) as caches:
            planned = planned_starts(cold, warm)
            for number, start in enumerate(planned, 1):
                if start.is_cold:
                    caches.renew()
                title = f"{start.label}, start {number} of {len(planned)}"
                starts.append(_made(start, title, options, caches.environment(), console))
                _print_start(starts[-1], console)
    except KeyboardInterrupt:
        say(f"stopped after {counted(len(starts), 'start')}; see {output}")
        raise typer.Exit(_INTERRUPTED) from None
    with Ledger.open(output) as ledger:
        print_warning(ledger)
        found = _compared(ledger, starts)
    if as_json:
        print_json(_as_json(options, starts, found))
    else:
        _print(found, options, printer())


class _Options(NamedTuple):
    command: Sequence[str]
    output: Path
    prepare: str | None
    until: str | None
    grace_s: float

    def log(self, label: str) -> Path:
        return self.output.with_name(self.output.name + _LOGS) / f"{label}.log"


def _made(
    start: PlannedStart, title: str, options: _Options, environment: Mapping[str, str], console: Console
) -> Start:
    """Make a start. Raises typer.Exit where it fails, and LedgerError."""
    log = options.log(start.label)
    with _opened(log) as opened:
        if options.prepare is not None:
            _prepare(options.prepare, start, log, opened)
        attendant = StartAttendant(title, opened, options.until, options.grace_s, console)
        recorded = run_recorded(
            options.command, options.output, start.label, lambda: attendant, environment=environment
        )
    if attendant.interrupted_by is not None:
        say(f"stopped by {attendant.interrupted_by.name} in {start.label}; see {options.output}")
        raise typer.Exit(SIGNALLED + attendant.interrupted_by)
    if recorded.exit_code and not attendant.is_ending:
        if recorded.is_started:
            _explain_failure(f"{start.label} failed with exit code {recorded.exit_code}", log, start, options)
        raise typer.Exit(recorded.exit_code)
    if recorded.still_running:
        number = counted(recorded.still_running, "process", "processes")
        say(f"{number} of {start.label} still running; --prepare can end what disturbs the next start")
    if start.label == _FIRST and (reason := why_unrecorded(options.command, recorded.extent)):
        say(reason)
    return _start_of(start, recorded.session, log, options)


def _opened(log: Path) -> BinaryIO:
    try:
        log.parent.mkdir(exist_ok=True)
        return log.open("wb")
    except OSError as error:
        raise LedgerNotWritable(
            f"{log}: can't be written ({error.strerror}); choose another place with -o"
        ) from error


def _prepare(command: str, start: PlannedStart, log: Path, opened: BinaryIO) -> None:
    code = subprocess.run(
        command, shell=True, stdin=subprocess.DEVNULL, stdout=opened, stderr=opened, check=False
    ).returncode
    if code:
        code = code if code > 0 else SIGNALLED - code
        say(f"--prepare failed before {start.label} with exit code {code}; what it printed is in {log}")
        raise typer.Exit(code)


def _explain_failure(what: str, log: Path, start: PlannedStart, options: _Options) -> None:
    for line in last_lines(log, _LINES_SHOWN):
        print_line(f"  {line}")
    report = f"compile-ledger report {options.output} --session {start.label}"
    say(f"{what}; its output ends with the lines above: see {log}, and `{report}`")


def _start_of(start: PlannedStart, session: str, log: Path, options: _Options) -> Start:
    with Ledger.open(options.output) as ledger:
        reached = ledger.sql("SELECT name FROM milestones WHERE session = ?", [session])
        [window] = ledger.sql(
            'SELECT duration_ns, ended_by FROM startup_windows WHERE session = ? AND "window" = 0', [session]
        )
    if options.until is not None and options.until not in [row["name"] for row in reached]:
        raise LedgerError(
            f"{start.label} ended before {options.until} was recorded; what it printed is in {log}"
        )
    return Start(*start, session, int(str(window["duration_ns"])), str(window["ended_by"]))


def _print_start(start: Start, console: Console) -> None:
    console.print(Text(f"{start.label}: {start.ended_by} after {seconds(start.duration_ns)} s"))


def _compared(ledger: Ledger, starts: Sequence[Start]) -> Comparison:
    cold = side_of("cold", ledger, [start.session for start in starts if start.is_cold])
    warm = side_of("warm", ledger, [start.session for start in starts if not start.is_cold])
    breakdown = compare_breakdowns(cold.timelines, warm.timelines)
    try:
        comparison = compare(cold.timelines, warm.timelines)
    except MissingExtra as error:  # after hours of starts, what there is must be shown
        return Comparison(cold, warm, str(error), "", None, breakdown)
    return Comparison(
        cold,
        warm,
        answer(comparison, cold.name, warm.name),
        how_tested(comparison),
        comparison_as_json(cold, warm, comparison),
        breakdown,
    )


def _print(found: Comparison, options: _Options, console: Console) -> None:
    for line in filter(None, (found.answer, found.how_tested)):
        console.print(
            Text(line, style="bold" if line == found.answer else ""), soft_wrap=not console.is_terminal
        )
    console.print()
    breakdown = found.breakdown
    ready = " or ".join(breakdown.ended_by)
    rows = [_row(_name(key), medians) for key, medians in breakdown.stages[:_STAGES_SHOWN]]
    if others := [key for key, _ in breakdown.stages[_STAGES_SHOWN:]]:
        rows.append(_row(counted(len(others), "more stage"), breakdown.together(others)))
    rows.append(_row(f"from command to {ready}", breakdown.whole))
    console.print(table(["stage", "cold", "warm", "warm - cold"], rows, "Medians, in seconds"))
    console.print("Each row is a median by itself, so the rows need not add up to the last one.")
    report = f"compile-ledger report {options.output} --session {_FIRST}"
    logs = options.log(_FIRST).parent
    console.print(Text(f"Recorded in {options.output}, output in {logs}. Next: {report}"), soft_wrap=True)


def _row(name: str, medians: Medians) -> list[object]:
    return [name, seconds(medians.a_ns), seconds(medians.b_ns), signed(medians.difference_ns)]


def _name(key: StageKey) -> str:
    role = f" of {key.role}" if key.role is not None else ""
    return one_line(f"{key.stage or NO_STAGE}{role}")


def _as_json(options: _Options, starts: Sequence[Start], found: Comparison) -> dict[str, object]:
    return {
        "ledger": str(options.output),
        "until": options.until,
        "starts": [start._asdict() for start in starts],
        "answer": found.answer,
        "difference": found.difference,
        "breakdown": {
            "ended_by": found.breakdown.ended_by,
            **_medians_as_json(found.breakdown.whole),
            "stages": [
                {**key._asdict(), **_medians_as_json(medians)} for key, medians in found.breakdown.stages
            ],
        },
    }


def _medians_as_json(medians: Medians) -> dict[str, int]:
    return {"cold_ns": medians.a_ns, "warm_ns": medians.b_ns, "difference_ns": medians.difference_ns}
