"""Arms the preloaded library: the nth system call on files below a folder fails, or is the last one done."""

import ctypes
import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

_SOURCE: Final = Path(__file__).with_name("shim.c")
_LIBRARY: Final = "shim.so"
CALLS: Final = {
    "open": 1, "read": 2, "write": 4, "sync": 8, "truncate": 16, "unlink": 32, "mkdir": 64, "lock": 128,
    "rename": 256,
}  # fmt: skip
_FAIL, _KILL_BEFORE, _KILL_AFTER, _SHORT = range(4)
_COUNT_ONLY: Final = -1


class Action(NamedTuple):
    """What becomes of the call."""

    name: str
    calls: tuple[str, ...]
    """Which calls can end so."""
    number: int
    error: int = 0


ALL: Final = tuple(CALLS)
ACTIONS: Final = (
    Action("killed before", ALL, _KILL_BEFORE),
    Action("killed after", ALL, _KILL_AFTER),
    Action("short", ("write", "read"), _SHORT),
    Action("EIO", ("read", "write", "sync", "truncate"), _FAIL, errno.EIO),
    Action("ENOSPC", ("open", "write", "mkdir", "sync"), _FAIL, errno.ENOSPC),
    Action("EACCES", ("open", "unlink", "mkdir", "rename"), _FAIL, errno.EACCES),
    Action("EMFILE", ("open",), _FAIL, errno.EMFILE),
    Action("EROFS", ("open", "unlink", "mkdir", "rename"), _FAIL, errno.EROFS),
    Action("ENOLCK", ("lock",), _FAIL, errno.ENOLCK),
)


def preload_and_restart(module: str) -> None:
    """Run this program again with the library preloaded, unless it is. The library is built for it."""
    if (preloaded := os.environ.get("LD_PRELOAD", "")).endswith(_LIBRARY):
        os.unlink(preloaded)  # it is mapped by now
        os.rmdir(os.path.dirname(preloaded))
        del os.environ["LD_PRELOAD"]  # programs that are started from here would look for it
        return
    library = Path(tempfile.mkdtemp()) / _LIBRARY
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, "LD_PRELOAD": str(library)})


def arm(folder: Path, action: Action, nth: int) -> None:
    """Let the nth of an action's calls on files below a folder, from 0 on, end so. In this process alone."""
    _arm(folder, _mask(action), nth, action.number, action.error)


def count(folder: Path) -> None:
    """Count the calls on files below a folder, and let all succeed."""
    _arm(folder, sum(CALLS.values()), _COUNT_ONLY, _FAIL, 0)


def counted(action: Action) -> int:
    """Return how many calls there were that an action may befall."""
    seen = ctypes.CDLL(None).fault_seen
    seen.restype = ctypes.c_long
    return int(seen(_mask(action)))


def _arm(folder: Path, calls: int, nth: int, action: int, error: int) -> None:
    ctypes.CDLL(None).fault_arm(os.fsencode(folder) + b"/", calls, ctypes.c_long(nth), action, error)


def _mask(action: Action) -> int:
    return sum(CALLS[call] for call in action.calls)
