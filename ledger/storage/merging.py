"""Merges ledgers: what one has of events, rejected lines and waiting journals is added to another.

SQLite copies the rows from file to file, in steps that are each one transaction: done again, a merge that was
killed goes on where it was, and memory does not grow with the ledgers.
"""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError, LedgerMissing, NotALedger
from ledger.recording.journal import journal_folder, journals
from ledger.recording.journal import size_of as journal_size
from ledger.storage.collector import collect
from ledger.storage.ledger_files import SQLITE_HEADER, refuse_no_file
from ledger.storage.merge_output import is_unfinished
from ledger.storage.merging_events import MERGED_WHOLE, Merged, merge_events
from ledger.storage.read_ahead import read_ahead
from ledger.storage.session_copies import SessionCopier
from ledger.storage.store import Store, sqlite_errors_translated
from ledger_birth.journal_writer import FOLDER_SUFFIX

_CACHE_KIB: Final = 65_536
"""Of pages: a step's fit, so that none is written twice."""
_COPY_REJECTED: Final = """
    INSERT OR IGNORE INTO main.rejected_lines (file, line, reason, text)
    SELECT file, line, reason, text FROM source.rejected_lines ORDER BY id
"""


_NUMBER: Final = """
    SELECT coalesce(sum(event_count), 0)
        + (
            SELECT count(*) FROM source.events
            WHERE id > (SELECT coalesce(max(last_event_id), 0) FROM source.projected_sessions)
        )
    FROM source.projected_sessions
"""
"""How many events there are, without a look at each."""


def ledgers_in(paths: list[Path]) -> list[Path]:
    """Return the ledgers among files and in folders, those included that are journals alone so far.

    Raises LedgerMissing where a path is not there, or a folder has no ledger.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [each for each in sorted(path.rglob("*")) if _is_ledger(each)]
            alone = [
                each.with_name(each.name.removesuffix(FOLDER_SUFFIX))
                for each in sorted(path.rglob(f"*{FOLDER_SUFFIX}"))
            ]
            if not inside and not alone:
                raise LedgerMissing(f"{path}: there is no ledger in this folder")
            found += [*inside, *alone]
        elif path.exists() or journal_folder(path).is_dir():
            refuse_no_file(path)
            found.append(path)
        else:
            raise LedgerMissing(f"{path}: there is no ledger here")
    return list(dict.fromkeys(found))


def size_of(source: Path) -> int:
    """Return how many bytes the ledger at a path has, and its journals."""
    sizes = [path.stat().st_size for path in (source,) if path.exists()]
    return sum(sizes) + sum(map(journal_size, journals(journal_folder(source))))


def merge_all(store: Store, sources: Sequence[Path], progress: Callable[[int], None] | None = None) -> Merged:
    """Merge ledgers, one after the other; while one is merged, the next is read ahead. Raises LedgerError."""
    merged = Merged()
    into = [] if store.path is None else [store.path]
    for source, following in zip_longest(sources, sources[1:]):
        with read_ahead(following, [source, *into]):
            merged = merged.plus(merge(store, source, progress))
    return merged


def merge(store: Store, source: Path, progress: Callable[[int], None] | None = None) -> Merged:
    """Add to a store what the ledger at a path has, and its journals; both stay as they are.

    Sessions of which the store has nothing yet are copied with their projections, where the source's are
    current. Of all others the events are added, and what is derived from them is stale until the store's
    projections are brought up to date. `progress` is called with numbers of bytes that are done: `size_of`
    all together. Raises LedgerError.
    """
    merged = Merged()
    progress = progress or _no_progress
    if source.exists():
        with attached(store, source):
            merged = _merge_attached(store, source.stat().st_size, progress)
    waiting = collect(store, journal_folder(source), remove=False, progress=progress)
    return merged.plus(Merged(waiting.events, waiting.duplicates, rejected=waiting.rejected))


def _merge_attached(store: Store, size: int, progress: Callable[[int], None]) -> Merged:
    store.connection.execute(f"PRAGMA main.cache_size = -{_CACHE_KIB}")
    [(number,)] = store.select(_NUMBER)
    bytes_an_event = size / max(1, int(str(number)))
    told = 0

    def done(events: int) -> None:
        nonlocal told
        some = min(round(events * bytes_an_event), size - told)
        told += some
        progress(some)

    copier = SessionCopier(store)
    events, sessions = copier.copy(copier.new_sessions(), done)
    merged = merge_events(store, sessions, done).plus(Merged(events))
    copier.copy_projections(copier.unprojected(MERGED_WHOLE))
    with store.transaction():
        rejected = store.connection.execute(_COPY_REJECTED).rowcount
    progress(size - told)
    return merged.plus(Merged(rejected=rejected))


def _no_progress(_: int) -> None:
    """Tell nobody."""


@contextmanager
def attached(store: Store, source: Path) -> Generator[None]:
    """Let statements of a store name another ledger's tables with `source.`, to read them."""
    if store.path is not None and os.path.samefile(store.path, source):
        raise LedgerError(f"{source}: is what is merged into; name another file with -o")
    Store.open_to_read(source).close()  # raises where it is no ledger, or a newer one
    with sqlite_errors_translated(source):
        store.connection.execute("ATTACH ? AS source", [f"{source.absolute().as_uri()}?mode=ro"])
        try:
            yield
        finally:
            store.connection.execute("DETACH source")


def _is_ledger(path: Path) -> bool:
    if not path.is_file() or is_unfinished(path):
        return False
    try:
        with path.open("rb") as file:
            if file.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                return False
        Store.open_to_read(path).close()
    except (OSError, NotALedger):
        return False
    return True
