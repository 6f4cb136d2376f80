"""Records how a process begins: its interpreter's start, and then its imports. Called by a `.pth` file.

A process of which nothing else is recorded leaves from here as well, without anything else of ours in it;
where `ledger` is imported, its recorder goes on with the same journal, numbers and lock.
"""

import errno
import os
import sys

from ledger_birth import BEGAN_NS, __version__, process_exit
from ledger_birth.environment import (
    FILE_VARIABLE,
    LABEL_VARIABLE,
    SESSION_VARIABLE,
    allowed_environment,
    new_session_id,
    own_command,
    process_name,
    program,
)
from ledger_birth.import_timing import ImportTiming
from ledger_birth.kernel import created_ns, tick_ns
from ledger_birth.line_writer import LineWriter
from ledger_birth.past_intervals import PastInterval, write_intervals
from ledger_birth.self_description import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from ledger_birth.json_text import Plain

_OWN_COMMANDS = ("compile-ledger", "ledger.cli")
"""What reads ledgers is not recorded into the one that it reads, where recording is on for a whole shell."""


class Birth:
    """This process's recording from its birth on."""

    def __init__(self, target: Target) -> None:
        self.lines = LineWriter(target, describe_program)
        self.is_handed_over = False
        """Whether a recorder closes the journal."""
        self._follows_multiprocessing = False
        self.imports = ImportTiming(self.lines, self._after_outermost)
        process_exit.watch(self)

    def begin(self) -> None:
        """Write that the process is here, and time its imports from now on."""
        for hook, reason in self.imports.install().items():
            self.lines.said.info.add_missing(hook, reason)
        if (created := created_ns()) is None or created > BEGAN_NS:
            write_intervals(self.lines, [])
            return
        start = PastInterval(
            b'"stage":"interpreter_start","source":"python","activity":"startup","data":{"resolution_ns":%d}'
            % tick_ns(),
            created,
        )
        start.stop_ns = BEGAN_NS
        write_intervals(self.lines, [start])

    def _after_outermost(self) -> None:
        if not self._follows_multiprocessing:
            self._follows_multiprocessing = process_exit.follow_multiprocessing()

    def before_exit(self) -> None:
        """Nothing: imports are recorded as they end."""

    def close_at_exit(self, outcome: "Literal['completed', 'failed']") -> None:
        """Say that the process left, where no recorder does."""
        self.imports.uninstall()
        if not self.is_handed_over:
            self.lines.leave(outcome, outcome, is_exiting=True)

    def after_fork(self) -> None:
        """In a forked child: it records as a process of its own, where there is something to record."""
        if self.lines.is_closed and self.lines.child is None:
            self.imports.uninstall()  # closed before the fork
            return
        self.lines = self.lines.forked()
        self.imports.after_fork(self.lines)


_birth: "Birth | None" = None


def begin() -> bool:
    """Begin to record this process. Raises nothing, and is done with at the first call."""
    global _birth
    try:
        if _birth is None and _is_recorded() and (target := target_from_environment()) is not None:
            _birth = Birth(target)
            _birth.begin()
    except Exception:
        # Python must start as without us; that nothing was recorded from the birth on is to be seen there.
        return True
    return True


def hand_over(ledger: "str | os.PathLike[str]", session: str) -> "LineWriter | None":
    """Return this process's writer, for a recorder to go on with and to close; None where there is none.

    Into another ledger or session a recorder has a writer of its own.
    """
    if _birth is None or _birth.lines.is_closed:
        return None
    target = _birth.lines.target
    if (os.path.abspath(target.ledger), target.session) != (os.path.abspath(ledger), session):
        return None
    _birth.is_handed_over = True
    return _birth.lines


def describe_program() -> "dict[str, Plain]":
    """Return the fields of `session_started`, as far as they are known at birth."""
    return {
        "command": own_command(),
        "versions": {"compile_ledger": __version__, "python": sys.version.split()[0]},
        "environment": allowed_environment(),
    }


def target_from_environment() -> "Target | None":
    """Return where to record, and hand it on to the processes that this one starts; None where off.

    Raises OSError where the ledger's path is relative and the working directory is gone, or where no ledger
    can be.
    """
    # The one look-up that every program pays in which recording is off.
    if not (file := os.environ.get(FILE_VARIABLE)):
        return None
    ledger = ledger_path(file)
    session = os.environ.get(SESSION_VARIABLE)
    label = os.environ.get(LABEL_VARIABLE) or None
    target = Target(ledger, session or new_session_id(), label, begins_session=not session)
    # A child may have another working directory, and must join this session instead of making its own.
    os.environ[FILE_VARIABLE] = target.ledger
    os.environ[SESSION_VARIABLE] = target.session
    return target


def ledger_path(file: str) -> str:
    """Return the absolute path of a ledger. Raises OSError where there is something else, such as a folder.

    Journals lie beside their ledger, under its name: without a ledger nobody would find them.
    """
    ledger = file if os.path.isabs(file) else os.path.join(os.getcwd(), file)
    if "\0" in ledger:
        raise OSError(errno.EINVAL, "it has a null character", file)
    if os.path.isdir(ledger):
        raise IsADirectoryError(errno.EISDIR, "it is a folder; name a file in it", file)
    if os.path.exists(ledger) and not os.path.isfile(ledger):
        raise FileExistsError(errno.EEXIST, "it is no regular file", file)
    return ledger.rstrip("/")


def _is_recorded() -> bool:
    """Return whether this process is the host's, and not one that only serves it, or us."""
    if not _is_main_interpreter():
        return False
    _, text = program()
    # multiprocessing's tracker does nothing but wait, from which its parent's time would look like its own.
    return os.path.basename(text) not in _OWN_COMMANDS and process_name() != "resource_tracker"


def _is_main_interpreter() -> bool:
    """Return whether this is not a subinterpreter, in which `.pth` files run again, nor another thread."""
    # As `signal.set_wakeup_fd`, without importing what that module imports.
    set_wakeup_fd: Callable[[int], int] = sys.modules["_signal"].set_wakeup_fd
    try:
        # Sets none where there is none: only the main interpreter's main thread may.
        if (descriptor := set_wakeup_fd(-1)) != -1:
            set_wakeup_fd(descriptor)
    except ValueError:
        return False
    return True
