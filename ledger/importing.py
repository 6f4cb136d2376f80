"""Brings what others have written into the ledger: logs, traces. Adapters say what a file is, and read it."""

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from ledger.errors import NotRecognised
from ledger.events import Event, to_row
from ledger.store import Store, without_cycle_search

ENTRY_POINTS: Final = "compile_ledger.importers"
"""The group in which an adapter names a function without arguments that returns an `Importer`."""

HEAD_BYTES: Final = 65_536
"""How much of a file an importer is shown to tell what it is."""

_EVENTS_AT_ONCE: Final = 2_000

Progress = Callable[[int], None]
"""Called with a number of bytes that were read, again and again."""


class Unread(NamedTuple):
    """Something that an importer could not read, and that is kept as it is."""

    line: int
    """Its number in the file, from 1."""
    reason: str
    text: str


class Importer(Protocol):
    """What reads one kind of file, or of folder.

    What it makes up, session and process ids above all, comes from the content alone: the same file twice
    changes nothing. It reads a file of any size in constant memory.
    """

    @property
    def name(self) -> str:
        """What it reads, as a person would say it: "a log of vLLM's"."""
        ...

    def recognises(self, path: Path, head: bytes) -> bool:
        """Tell whether a path is what it reads; `head` is the beginning of a file, empty for a folder."""
        ...

    def size(self, path: Path) -> int:
        """Return how many bytes `read` will tell of in all."""
        ...

    def read(self, path: Path, progress: Progress) -> Iterator[Event | Unread]:
        """Yield what is in there: each process's events numbered 0, 1, 2, … in all, in any order."""
        ...


class Imported(NamedTuple):
    """What an import did."""

    importer: str
    sessions: tuple[str, ...] = ()
    events: int = 0
    known: int = 0
    """Events that the ledger had already."""
    unread: int = 0


def importers() -> list[Importer]:
    """Return the importers of the installed adapters."""
    return [entry.load()() for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)]


def importer_of(path: Path) -> Importer:
    """Return who reads a path. Raises NotRecognised where there is nobody, or nothing to read."""
    if path.is_dir():
        head = b""
    else:
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError as error:
            raise NotRecognised(f"{path}: {error.strerror}") from error
        if not head:
            raise NotRecognised(f"{path}: an empty file: there is nothing to import")
    known = importers()
    for importer in known:
        if importer.recognises(path, head):
            return importer
    kinds = " or ".join(importer.name for importer in known) or "anything that an installed adapter reads"
    raise NotRecognised(f"{path}: not {kinds}")


def import_into(store: Store, path: Path, importer: Importer, progress: Progress) -> Imported:
    """Append what a path holds, some thousand events at a time; all of it again changes nothing."""
    done = Imported(importer.name)
    sessions: dict[str, None] = {}
    for some in _batches(importer.read(path, progress)):
        events = [item for item in some if not isinstance(item, Unread)]
        unread = [item for item in some if isinstance(item, Unread)]
        sessions.update(dict.fromkeys(event.session for event in events))
        with without_cycle_search(), store.transaction():
            appended = store.append([to_row(event, _wall_ns(event)) for event in events])
            for item in unread:
                store.reject(str(path), item.line, item.reason, item.text)
        done = done._replace(
            events=done.events + appended.new,
            known=done.known + appended.known,
            unread=done.unread + len(unread),
        )
    return done._replace(sessions=tuple(sessions))


def _wall_ns(event: Event) -> int | None:
    return getattr(event, "wall_ns", None)


def _batches(items: Iterable[Event | Unread]) -> Iterator[list[Event | Unread]]:
    batch: list[Event | Unread] = []
    for item in items:
        batch.append(item)
        if len(batch) >= _EVENTS_AT_ONCE:
            yield batch
            batch = []
    yield batch
