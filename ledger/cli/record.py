"""The command `record`: runs a command with recording on in all its processes, and stays out of its way.

Three things go on while the command runs, in a thread each, so that none of them waits for another: signals
and the command's end here, journals into the ledger in `BackgroundCollection`, output and live view in
`Screen`.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from ledger.cli.background_collection import BackgroundCollection
from ledger.cli.console.live_view import LiveView
from ledger.cli.console.printing import printer
from ledger.cli.console.screen import Screen, is_drawable, keep_standard_descriptors
from ledger.cli.nothing_recorded import Extent, why_unrecorded
from ledger.clock import monotonic_ns
from ledger.errors import LedgerError, LedgerNotWritable
from ledger.recording.journal import journal_folder
from ledger.recording.recorder import Recorder
from ledger.recording.settings import Settings, environment_for
from ledger.storage.store import Store
from ledger.vocabulary import COMMAND_ENDED, COMMAND_STARTED
from ledger_birth.environment import new_session_id

REFUSED: Final = 125
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
SIGNALLED: Final = 128

_FORWARDED: Final = frozenset(
    {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)
_TAKEN: Final = _FORWARDED | {signal.SIGCHLD, signal.SIGWINCH}
_SI_KERNEL: Final = 0x80
"""The `si_code` of a signal from a terminal: it goes to the whole foreground group, so to the command too."""
_TICK_S: Final = 0.25
_LOCK_WAIT_MS: Final = 1_000
_PROBE_ATTEMPTS: Final = 5
_PROBE: Final = b"compile-ledger was here\n"
_PATIENCE_S: Final = 1.0


class Recorded(NamedTuple):
    """How a recorded command ended."""

    session: str
    exit_code: int
    """The command's: 128 + n where signal n ended it, 126 or 127 where it could not be started."""
    is_started: bool
    still_running: int
    """Processes of the session that outlive the command; the next to read the ledger collects them."""
    extent: Extent
    """How much the command's processes recorded; "stages" if that is unknown."""


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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live view and no report.")] = False,
) -> None:
    """Run a command with recording on in all its processes, and print a report.

    Example: compile-ledger record -o startup.db --label cold -- vllm serve Qwen/Qwen2.5-VL-3B-Instruct

    The live view and the report go to stderr. The exit code is the command's, or 128 + n if signal n ended
    it. 127: command not found; 126: it can't be executed; 125: FILE can't be recorded into, nothing started.
    """
    try:
        recorded = run_recorded(command, output, label, live=not quiet)
    except LedgerError as error:
        _say(str(error))
        raise typer.Exit(REFUSED) from None
    if recorded.is_started and not quiet:
        # The report comes last, so that nothing scrolls it away.
        if recorded.still_running:
            _say(
                f"{recorded.still_running} of the session's processes are still running; their events are "
                "collected when the ledger is next read"
            )
        if reason := why_unrecorded(command, recorded.extent):
            _say(reason)
        _report(output, recorded)
    raise typer.Exit(recorded.exit_code)


def run_recorded(
    command: Sequence[str],
    ledger: Path,
    label: str | None,
    *,
    live: bool,
    environment: Mapping[str, str] = {},
) -> Recorded:
    """Run a command as a new session of a ledger, and return once all that it recorded is in there.

    `live` asks for the live view, shown only if stderr is a terminal. `environment` is added to the
    command's. To be called from the main thread, with no other thread beside it: it forwards this
    process's signals for as long as the command runs. Raises LedgerError, with nothing started, if the
    ledger can't be recorded into.
    """
    ledger = ledger.absolute()
    keep_standard_descriptors()
    store = _opened(ledger)
    try:
        settings = Settings(ledger, new_session_id(), label, True, tuple(command))
        return _run(command, store, settings, live=live, environment=environment)
    finally:
        store.close()


def _run(
    command: Sequence[str], store: Store, settings: Settings, *, live: bool, environment: Mapping[str, str]
) -> Recorded:
    recorder = Recorder(settings)
    view = LiveView()
    screen = _screen(view) if live else None
    collecting = BackgroundCollection(store, settings, view if screen else None)
    with _signals_taken() as restore_signals:
        recorder.milestone(COMMAND_STARTED)
        try:
            child = subprocess.Popen(
                command,
                env={**environment_for(settings), **environment},
                stdout=screen and screen.stdout,
                stderr=screen and screen.stderr,
                # Inherited descriptors belong to the command: a shell's <(…), a supervisor's sockets.
                close_fds=False,
                preexec_fn=restore_signals,
            )
        except OSError as error:
            exit_code, problem = _not_started(command, error)
            if screen:
                screen.close()
        else:
            problem = None
            if screen:
                screen.start()
            collecting.start()
            exit_code = _exit_code(child, screen)
            ended_ns = monotonic_ns()
            recorder.milestone(COMMAND_ENDED)
            _record_exit(recorder, child.pid, exit_code, collecting.left_ns(child.pid), ended_ns)
        recorder.close(session="failed" if exit_code else "completed")
        if screen and not problem:
            _take_away(screen)
    if problem:
        _say(problem)
    collected = collecting.finish()
    for trouble in collected.troubles:
        _say(trouble)
    return Recorded(settings.session, exit_code, problem is None, collected.still_running, collected.extent)


def _record_exit(recorder: Recorder, pid: int, exit_code: int, left_ns: int | None, ended_ns: int) -> None:
    """Record how the command's process ended, and how long that took after its own last event.

    Only we can see that. Of one that ended well and never said that it left there is nothing to record.
    """
    is_left = left_ns is not None and left_ns <= ended_ns
    if not is_left and not exit_code:
        return
    data: dict[str, object] = {"child_pid": pid}
    error = None
    if exit_code:
        data["exit_code"] = exit_code
        with suppress(ValueError):  # a program may return such a code by itself, and no signal has its number
            error = signal.Signals(exit_code - SIGNALLED).name
    interval = recorder.start("process_exit", source="python", at_ns=left_ns if is_left else ended_ns)
    recorder.stop(
        interval, at_ns=ended_ns, outcome="failed" if exit_code else "completed", error=error, data=data
    )


def _exit_code(child: subprocess.Popen[bytes], screen: Screen | None) -> int:
    """Pass signals on to the command until it has ended; return its exit code, as a shell reports it."""
    while (code := child.poll()) is None:
        info = signal.sigtimedwait(_TAKEN, _TICK_S)
        if info is None or info.si_signo == signal.SIGCHLD:
            continue
        if info.si_signo == signal.SIGWINCH:
            if screen is None:
                continue
            # The command got the signal too, and may have read the size before it changed.
            screen.resize()
        elif _has_it_already(info, child):
            continue
        with suppress(PermissionError):  # it has become another user's, as sudo does
            child.send_signal(info.si_signo)
    return code if code >= 0 else SIGNALLED - code


def _has_it_already(info: signal.struct_siginfo, child: subprocess.Popen[bytes]) -> bool:
    """Return whether the command got the signal that we got, or sent it."""
    if info.si_code != _SI_KERNEL:
        return info.si_pid == child.pid
    # A terminal that goes away signals only its session leader.
    return info.si_signo != signal.SIGHUP or os.getsid(0) != os.getpid()


def _not_started(command: Sequence[str], error: OSError) -> tuple[int, str]:
    name = command[0]
    if not isinstance(error, FileNotFoundError):
        return NOT_EXECUTABLE, f"{name}: can't be executed ({error.strerror}); is it a program?"
    if found := shutil.which(name):
        return NOT_FOUND, f"{found}: the interpreter that its first line names does not exist"
    return NOT_FOUND, f"{name}: command not found; name one on the PATH, or give a path"


def _take_away(screen: Screen) -> None:
    """Wait until the terminal has taken all output or, if it is stuck, until somebody sends a signal."""
    screen.finish()
    if screen.is_finished(_PATIENCE_S):
        return
    _drop_pending_signals()
    while not screen.is_finished(_TICK_S) and not signal.sigtimedwait(_FORWARDED, 0):
        continue


@contextmanager
def _signals_taken() -> Generator[Callable[[], None]]:
    """Block the signals that are passed on, so that none ends this process before its command.

    Yields a function that restores the original signal handling in a forked child.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    is_child_ignored = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    if is_child_ignored:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else the command's exit code would be lost

    def restore() -> None:
        if is_child_ignored:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        yield restore
    finally:
        # Pending signals were meant for the command, which has ended.
        _drop_pending_signals()
        restore()


def _drop_pending_signals() -> None:
    while signal.sigtimedwait(_TAKEN, 0):
        continue


def _screen(view: LiveView) -> Screen | None:
    if not is_drawable():
        return None
    try:
        return Screen(view.render)
    except OSError:
        return None  # a system without pseudo-terminals: the command gets the real one


def _opened(ledger: Path) -> Store:
    """Return the ledger after checking that events can be written to it. Raises LedgerError."""
    store = Store.open(ledger)
    try:
        with store.transaction():
            # Opening an existing ledger writes nothing. This changes nothing either, but needs write access.
            store.connection.execute("UPDATE versions SET reducer_version = reducer_version")
        _probe(journal_folder(ledger))
        store.connection.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT_MS}")
    except BaseException:
        store.close()
        raise
    return store


def _probe(folder: Path) -> None:
    probe = folder / f"{os.getpid()}.probe"
    for attempt in range(_PROBE_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(_PROBE)
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            # A collector may just have removed the empty folder.
            if not isinstance(error, FileNotFoundError) or attempt == _PROBE_ATTEMPTS - 1:
                raise LedgerNotWritable(
                    f"{folder}: can't be written ({error.strerror}); choose another place with -o"
                ) from error
        else:
            return


def _report(ledger_file: Path, recorded: Recorded) -> None:
    from ledger.cli.console.final_screen import print_final_screen

    try:
        print_final_screen(ledger_file, recorded.session, printer(stderr=True))
    except KeyboardInterrupt:
        _say(f"interrupted; `compile-ledger report {ledger_file}` prints the report")
    except (Exception, SystemExit) as error:  # rich exits if stderr is a closed pipe
        _say(f"no report: {error}")


def _say(line: str) -> None:
    with suppress(OSError, SystemExit):  # stderr may be closed
        Console(stderr=True, soft_wrap=True).print(Text(f"compile-ledger: {line}"))
