"""Runs a command with recording on in all its processes, and stays out of its way.

Three things go on while the command runs, in a thread each, so that none of them waits for another: signals
and the command's end here, journals into the ledger in `BackgroundCollection`, and what is shown meanwhile
in an `Attendant`.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final, NamedTuple

from ledger.cli.background_collection import BackgroundCollection
from ledger.cli.console.live_view import LiveView
from ledger.cli.console.screen import Screen, is_drawable, keep_standard_descriptors
from ledger.cli.console.terminal import print_line
from ledger.cli.nothing_recorded import Extent
from ledger.cli.process_groups import has_members, send
from ledger.clock import monotonic_ns
from ledger.errors import LedgerNotWritable
from ledger.recording.journal import journal_folder
from ledger.recording.recorder import Recorder
from ledger.recording.settings import Settings, environment_for
from ledger.storage.store import Store
from ledger.vocabulary import COMMAND_ENDED, COMMAND_STARTED
from ledger_birth.environment import new_session_id

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


class Streams(NamedTuple):
    """The descriptors that a command gets; None for those of this process."""

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None


class Attendant:
    """What attends a command while it runs: where its output goes, and what is shown meanwhile.

    This one leaves it this process's streams, and shows nothing.
    """

    streams = Streams()
    has_own_group = False
    """Whether the command gets a process group of its own: all signals then go to the whole group."""
    is_ending = False
    """Whether the command was told to end, so that its exit code is no failure."""

    @property
    def view(self) -> LiveView | None:
        """What new events are added to."""
        return None

    def begin(self) -> None:
        """The command was started: only now may there be threads."""

    def resize(self) -> bool:
        """The terminal has another size; return whether the command is to be told."""
        return False

    def forwarded(self, number: signal.Signals) -> None:
        """A signal was passed on to the command."""

    def due_signal(self) -> signal.Signals | None:
        """Return a signal that the command's group should get now. Called again and again."""
        return None

    def end(self) -> None:
        """The command has ended, or could not be started."""


class OnTerminal(Attendant):
    """Shows a command's output on the terminal, and the live view below it."""

    def __init__(self, view: LiveView, screen: Screen) -> None:
        self.streams = Streams(stdout=screen.stdout, stderr=screen.stderr)
        self._view: Final = view
        self._screen: Final = screen
        self._is_started = False

    @property
    def view(self) -> LiveView:
        """The live view below the output."""
        return self._view

    def begin(self) -> None:
        """Start to draw."""
        self._is_started = True
        self._screen.start()

    def resize(self) -> bool:
        """Give the command's terminal the size of the real one."""
        self._screen.resize()
        return True

    def end(self) -> None:
        """Wait until the terminal has taken all output or, if it is stuck, until somebody sends a signal."""
        if not self._is_started:
            self._screen.close()
            return
        self._screen.finish()
        if self._screen.is_finished(_PATIENCE_S):
            return
        _drop_pending_signals()
        while not self._screen.is_finished(_TICK_S) and not signal.sigtimedwait(_FORWARDED, 0):
            continue


def on_terminal() -> Attendant:
    """Return what shows a command with a live view; without one where stderr is no terminal for it."""
    if not is_drawable():
        return Attendant()
    view = LiveView()
    try:
        return OnTerminal(view, Screen(view.render))
    except OSError:
        return Attendant()  # a system without pseudo-terminals: the command gets the real one


def run_recorded(
    command: Sequence[str],
    ledger: Path,
    label: str | None,
    attend: Callable[[], Attendant] = Attendant,
    *,
    session: str | None = None,
    environment: Mapping[str, str] = {},
) -> Recorded:
    """Run a command as a new session of a ledger, and return once all that it recorded is in there.

    `session` is the id of one that is also recorded elsewhere, such as on another host.

    `attend` is called once the ledger is known to take events. `environment` is added to the command's. To
    be called from the main thread, with no other thread beside it: it forwards this process's signals for as
    long as the command runs. Raises LedgerError, with nothing started, if the ledger can't be recorded into.
    """
    ledger = ledger.absolute()
    keep_standard_descriptors()
    store = _opened(ledger)
    try:
        settings = Settings(ledger, session or new_session_id(), label, True, tuple(command))
        return _run(command, store, settings, attend(), environment)
    finally:
        store.close()


def _run(
    command: Sequence[str],
    store: Store,
    settings: Settings,
    attendant: Attendant,
    environment: Mapping[str, str],
) -> Recorded:
    recorder = Recorder(settings)
    collecting = BackgroundCollection(store, settings, attendant.view)
    with _signals_taken() as restore_signals:

        def before_exec() -> None:
            if attendant.has_own_group:
                os.setsid()  # without a terminal either, for which it would be stopped in the background
            restore_signals()

        recorder.milestone(COMMAND_STARTED)
        try:
            child = subprocess.Popen(
                command,
                env={**environment_for(settings), **environment},
                stdin=attendant.streams.stdin,
                stdout=attendant.streams.stdout,
                stderr=attendant.streams.stderr,
                # Inherited descriptors belong to the command: a shell's <(…), a supervisor's sockets.
                close_fds=False,
                preexec_fn=before_exec,
            )
        except OSError as error:
            exit_code, problem = _not_started(command, error)
            failure = exit_code
            attendant.end()
        else:
            problem = None
            attendant.begin()
            collecting.start()
            exit_code = _exit_code(child, attendant)
            ended_ns = monotonic_ns()
            failure = 0 if attendant.is_ending else exit_code
            recorder.milestone(COMMAND_ENDED)
            _record_exit(recorder, child.pid, failure, collecting.left_ns(child.pid), ended_ns)
            if attendant.is_ending:
                _end_group(child.pid, attendant)
        recorder.close(session="failed" if failure else "completed")
        if not problem:
            attendant.end()
    if problem:
        say(problem)
    collected = collecting.finish()
    for trouble in collected.troubles:
        say(trouble)
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


def _exit_code(child: subprocess.Popen[bytes], attendant: Attendant) -> int:
    """Pass signals on to the command until it has ended; return its exit code, as a shell reports it."""
    while (code := child.poll()) is None:
        if (due := attendant.due_signal()) is not None:
            send(child.pid, due)
        info = signal.sigtimedwait(_TAKEN, _TICK_S)
        if info is None or info.si_signo == signal.SIGCHLD:
            continue
        if info.si_signo == signal.SIGWINCH:
            # The command got the signal too, and may have read the size before it changed.
            if not attendant.resize():
                continue
        elif _has_it_already(info, child, attendant):
            continue
        number = signal.Signals(info.si_signo)
        attendant.forwarded(number)
        if attendant.has_own_group:
            send(child.pid, number)
            continue
        with suppress(PermissionError):  # it has become another user's, as sudo does
            child.send_signal(number)
    return code if code >= 0 else SIGNALLED - code


def _end_group(group: int, attendant: Attendant) -> None:
    """Go on ending the group of a command that was told to end: some of it may outlive the command."""
    while has_members(group):
        if (due := attendant.due_signal()) is not None:
            send(group, due)
        if due == signal.SIGKILL:
            return
        signal.sigtimedwait({signal.SIGCHLD}, _TICK_S)


def _has_it_already(
    info: signal.struct_siginfo, child: subprocess.Popen[bytes], attendant: Attendant
) -> bool:
    """Return whether the command got the signal that we got, or sent it."""
    if info.si_code != _SI_KERNEL:
        return info.si_pid == child.pid
    if attendant.has_own_group:
        return False
    # A terminal that goes away signals only its session leader.
    return info.si_signo != signal.SIGHUP or os.getsid(0) != os.getpid()


def _not_started(command: Sequence[str], error: OSError) -> tuple[int, str]:
    name = command[0]
    if not isinstance(error, FileNotFoundError):
        return NOT_EXECUTABLE, f"{name}: can't be executed ({error.strerror}); is it a program?"
    if found := shutil.which(name):
        return NOT_FOUND, f"{found}: the interpreter that its first line names does not exist"
    return NOT_FOUND, f"{name}: command not found; name one on the PATH, or give a path"


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
    probe = folder / f"{os.getpid()}-{token_hex(4)}.probe"
    for attempt in range(_PROBE_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # What somebody else has put there is neither written, nor what it links to, nor removed.
            with probe.open("xb") as file:
                try:
                    file.write(_PROBE)
                    file.flush()
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


def say(line: str) -> None:
    """Say something of our own on stderr."""
    with suppress(OSError, SystemExit):  # stderr may be closed
        print_line(f"compile-ledger: {line}")
