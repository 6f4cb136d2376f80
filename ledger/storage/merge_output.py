"""Where a merge writes to: a ledger that is there, or a new one, which appears once it is complete.

All that a new one gets is in the sources still. So nothing waits for the disk while it is written, under a
hidden name beside its own. If the merge is killed, the next one goes on with that file. If the machine goes
down, the file may be damaged: the next boot has another name for it, and begins anew.
"""

import os
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError, LedgerNotWritable
from ledger.storage.store import Store
from ledger_birth.kernel import boot_id, hostname

PAGE_BYTES: Final = 16_384
"""Of a ledger that a merge creates: an eighth less work than with pages of SQLite's size."""
_UNFINISHED: Final = ".merging-"
_NAME_SHOWN: Final = 50
"""Leaves room for what follows if the name is as long as the file system allows."""


@contextmanager
def merge_output(path: Path) -> Generator[Store]:
    """Yield the store to merge into: the ledger at a path, or what becomes it at the end.

    Of a new one nothing is left after an error. After Ctrl-C or a kill `unfinished_output` is. Raises as
    `Store.open` does, and LedgerError where another process makes a ledger at the path meanwhile.
    """
    final = Path(os.path.realpath(path))
    unfinished = _unfinished(final)
    _remove_left_over(final, unfinished)
    if unfinished is None or os.path.lexists(final):
        with closing(Store.open(path, page_bytes=PAGE_BYTES)) as store:
            yield store
        return
    with closing(Store.open(unfinished, page_bytes=PAGE_BYTES)) as store:
        # In this mode the lock stays: another merge into the same file waits until this one has ended.
        store.connection.execute("PRAGMA main.locking_mode = EXCLUSIVE")
        with store.transaction():
            is_taken = os.path.lexists(final)
        if not is_taken:
            store.connection.execute("PRAGMA main.synchronous = OFF")
            try:
                yield store
            except Exception:
                unfinished.unlink(missing_ok=True)
                raise
            _sync(store)
            _publish(unfinished, final, path)
            return
    with merge_output(path) as store:
        yield store


def unfinished_output(path: Path) -> Path | None:
    """Return the file with which an interrupted merge into a new ledger goes on; None where none is."""
    unfinished = _unfinished(Path(os.path.realpath(path)))
    return unfinished if unfinished is not None and unfinished.exists() else None


def is_unfinished(path: Path) -> bool:
    """Return whether a file is the unfinished output of a merge."""
    return path.name.startswith(".") and _UNFINISHED in path.name


def _unfinished(final: Path) -> Path | None:
    """Return what the new ledger is called at first; None where no boot can be told from another."""
    boot = boot_id()
    return None if boot is None else final.with_name(f"{_prefix(final)}{boot}")


def _prefix(final: Path) -> str:
    return f".{final.name[:_NAME_SHOWN]}{_UNFINISHED}{hostname()}-"


def _remove_left_over(final: Path, unfinished: Path | None) -> None:
    """Remove what merges of earlier boots have left, and a second name of what is complete."""
    try:
        files = [file for file in final.parent.iterdir() if file.name.startswith(_prefix(final))]
    except OSError:
        return  # whoever opens a file there says why
    for file in files:
        is_this_boot = unfinished is not None and file.name.startswith(unfinished.name)
        if not is_this_boot or (final.exists() and file.samefile(final)):
            file.unlink(missing_ok=True)


def _sync(store: Store) -> None:
    """Have the disk take all that was written: SQLite syncs the whole file after a transaction."""
    store.connection.execute("PRAGMA main.synchronous = EXTRA")
    with store.transaction():
        store.connection.execute(f"PRAGMA user_version = {store.schema_version}")


def _publish(unfinished: Path, final: Path, path: Path) -> None:
    """Give the complete ledger its name, unless another was made under it meanwhile."""
    taken = LedgerError(
        f"{path}: was made meanwhile; merge {unfinished} into it, which has all of this merge"
    )
    try:
        try:
            os.link(unfinished, final)
        except FileExistsError:
            raise taken from None
        except OSError:  # a file system that has no links
            if os.path.lexists(final):
                raise taken from None
            unfinished.rename(final)
        else:
            unfinished.unlink()
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise LedgerNotWritable(f"{path}: can't be written ({error.strerror or error})") from error
