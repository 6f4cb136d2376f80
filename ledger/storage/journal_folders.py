"""What a collector does with a folder of journals: whether to read there, alone, and to tidy up behind it."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from ledger.errors import LedgerNotWritable
from ledger.recording.journal import journal_folder, journals, shown
from ledger.storage.waiting import SAID_AFTER_S, say_wait
from ledger_birth.journal_writer import TRUST_VARIABLE, UNNAMED_SUFFIX, foreign_owner

_LOCK_FILE: Final = "collector.lock"
_LOCK_LOOK_S: Final = 0.02
_UNNAMED_KEPT_S: Final = 60.0


def distrust(folder: Path) -> str | None:
    """Return why the journals in a folder are not read: it is another user's. None where they are.

    Whoever owns it decides what is in it. A link belongs to who made it, whatever it leads to.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        if (owner := foreign_owner(folder)) is not None:
            return (
                f"{shown(folder)}: belongs to another user (uid {owner}), so its journals are not read; "
                f"set {TRUST_VARIABLE}=1 if you trust them"
            )
    return None


def waiting_behind_link(ledger: Path) -> str | None:
    """Return that journals wait beside the file that a ledger's path leads to, and not beside the path."""
    real = Path(os.path.realpath(ledger))
    folder = journal_folder(real)
    if os.path.realpath(folder) == os.path.realpath(journal_folder(ledger)):
        return None
    if not (found := journals(folder)):
        return None
    number = "a journal waits" if len(found) == 1 else f"{len(found)} journals wait"
    return (
        f"{shown(ledger)}: is a link to {shown(real)}, beside which {number} to be collected; name that file"
    )


@contextmanager
def only_collector(folder: Path | None, wait_s: float) -> Generator[bool]:
    """Hold the folder's lock, so that collectors do not do each other's work; yield whether it was had.

    No folder, no lock: two collectors at once are slow, but lose nothing, since SQLite has a lock itself.
    """
    if folder is None:
        yield True
        return
    try:
        lock = _open_lock(folder / _LOCK_FILE)
    except FileNotFoundError:
        yield True  # the folder went with its last journal
        return
    except OSError as error:
        raise LedgerNotWritable(f"{folder}: can't be written ({error.strerror})") from error
    with lock:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if (waited_s := time.monotonic() - began) >= wait_s:
                    yield False
                    return
                if waited_s >= SAID_AFTER_S:
                    say_wait(f"{folder}: another process collects them; waiting up to {wait_s:.0f} s")
                time.sleep(_LOCK_LOOK_S)
            except OSError:
                break  # a file system without locks
            else:
                break
        yield True


def _open_lock(path: Path) -> BinaryIO:
    """Open the lock's file, or make it. Raises OSError where a link, a pipe or the like has its name."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    lock = os.fdopen(os.open(path, flags, 0o600), "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(lock.fileno()).st_mode):
        lock.close()
        raise OSError(errno.EINVAL, f"{_LOCK_FILE} is not a regular file", os.fspath(path))
    return lock


def tidy(folder: Path) -> None:
    """Remove what is left of writers that died before their first line, and the folder once it is empty."""
    for unnamed in folder.glob("*" + UNNAMED_SUFFIX):
        # Another collector, or a writer that begins, may be quicker anywhere in here.
        with suppress(OSError):
            if time.time() - unnamed.lstat().st_mtime > _UNNAMED_KEPT_S:
                unnamed.unlink()
    with suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {_LOCK_FILE}:
            (folder / _LOCK_FILE).unlink(missing_ok=True)
            folder.rmdir()
