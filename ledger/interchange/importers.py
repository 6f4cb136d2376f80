"""Imports files into a ledger: exported sessions, and whatever the installed adapters read."""

import importlib.metadata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar, runtime_checkable

from ledger.clock import Anchor
from ledger.errors import ConflictingEvents, UnrecognisedFile
from ledger.events.jsonl import Bad, Line, checked_lines, looks_like_lines, unchecked_lines
from ledger.events.models import Event, EventBase, ProcessJoined, ProcessLost, SessionStarted, to_line
from ledger.events.redaction.secrets_only import without_secrets
from ledger.events.rows import EventRow, from_row, to_row
from ledger.gc_pause import gc_paused
from ledger.interchange.unreadable import what_is_missing
from ledger.interchange.unwrapping import Part, without_stamps
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store
from ledger_birth.secrets_hidden import hide_secrets

ENTRY_POINTS: Final = "compile_ledger.importers"
"""Entry point group. An adapter registers a function without arguments that returns an `Importer`."""

HEAD_BYTES: Final = 1 << 20
"""How much of a file an importer gets to recognise it by."""

_BATCH_SIZE: Final = 2_000

_Item = TypeVar("_Item")

Progress = Callable[[int], None]
"""Called repeatedly with the number of bytes read since the last call."""


class UnreadLine(NamedTuple):
    """A line that an importer could not read, kept as it is."""

    line: int
    """Its number in the file, from 1."""
    reason: str
    text: str


class Importer(Protocol):
    """Reads one kind of file or folder.

    Session and process ids must depend on the content alone, so that importing a file twice changes nothing.
    Files of any size must be read in constant memory.
    """

    @property
    def name(self) -> str:
        """What it reads, for messages: "a log of vLLM's"."""
        ...

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether it can read a path; `head` is the beginning of a file, empty for a folder."""
        ...

    def size(self, path: Path) -> int:
        """Return how many bytes `read` will report in all."""
        ...

    def read(self, path: Path, progress: Progress) -> Iterator[Event | UnreadLine]:
        """Yield events and unreadable lines, in any order; each process's events are numbered 0, 1, 2, …."""
        ...


@runtime_checkable
class ExplainingImporter(Protocol):
    """An importer that can say why it does not read what is nearly of its kind."""

    def what_is_missing(self, head: bytes) -> str | None:
        """Return what a file lacks, and what could be read instead; None for a file of another kind."""
        ...


class LinesImporter:
    """Reads exported sessions. With `is_checked`, a file must be complete and unchanged, or nothing is read.

    Otherwise all lines that are events are taken, as in a copy of a journal, or a file cut or edited by hand.
    """

    name = "a session as text"

    def __init__(self, *, is_checked: bool = True) -> None:
        self.is_checked: Final = is_checked

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the beginning of a file contains a line of an exported session."""
        return looks_like_lines(head)

    def size(self, path: Path) -> int:
        """Return the file's size."""
        return path.stat().st_size

    def check(self, path: Path, progress: Progress) -> None:
        """Read the whole file to check that it is complete and unchanged. Raises LedgerError."""
        for line in self._lines(path) if self.is_checked else ():
            progress(line.size)

    def read(self, path: Path, progress: Progress) -> Iterator[Event | UnreadLine]:
        """Yield the file's events; if unchecked, also the lines that are not events. Raises LedgerError."""
        for line in self._lines(path):
            progress(line.size)
            if isinstance(line.content, EventBase):
                yield line.content
            elif isinstance(line.content, Bad):
                text = line.content.text.decode("utf-8", "backslashreplace")
                yield UnreadLine(line.number, line.content.reason, text)

    def conflicts(self, path: Path, rows: Collection[EventRow]) -> Iterator[UnreadLine]:
        """Yield the lines whose events conflict with others in the ledger or earlier in the file.

        Raises ConflictingEvents instead if `is_checked`.
        """
        events = {(row.session, row.process, row.seq): from_row(row) for row in rows}
        for line in self._lines(path) if events else ():
            if isinstance(line.content, EventBase):
                session, process, seq = key = (line.content.session, line.content.process, line.content.seq)
                if events.get(key) != line.content:
                    continue
                reason = f"another event has the key ({session}, {process}, {seq})"
                if self.is_checked:
                    raise ConflictingEvents(
                        f"{path}, line {line.number}: {reason}, in the ledger or earlier in this file; "
                        "nothing was imported; name another ledger with -o"
                    )
                yield UnreadLine(line.number, reason, to_line(line.content).decode().rstrip())

    def _lines(self, path: Path) -> Iterator[Line]:
        return checked_lines(path) if self.is_checked else unchecked_lines(path)


_FIRST_UNREAD: Final = 3


class Imported(NamedTuple):
    """The outcome of an import."""

    importer: str
    sessions: tuple[str, ...] = ()
    events: int = 0
    duplicates: int = 0
    """Events that the ledger already had."""
    conflicting: int = 0
    """Events left out because another version of the importer read them differently."""
    unread: int = 0
    first_unread: tuple[UnreadLine, ...] = ()
    kept_labels: tuple[str | None, ...] = ()
    """Labels that sessions have in the ledger already, instead of the one that was given."""


def importers(*, is_checked: bool = True) -> list[Importer]:
    """Return the importer of exported sessions, and those of the installed adapters."""
    adapters = importlib.metadata.entry_points(group=ENTRY_POINTS)
    return [LinesImporter(is_checked=is_checked), *(entry.load()() for entry in adapters)]


def importers_of(
    parts: Sequence[Part], folder: Path, as_it_is: Path | None = None, *, is_checked: bool = True
) -> list[tuple[Part, Importer]]:
    """Return those of a file's logs for which there is an importer. Raises UnrecognisedFile if there is none.

    What is read without a container's stamps alone is written to `folder` without them. `as_it_is` is the
    file that was taken apart: what looked like a container may have been none.
    """
    found: list[tuple[Part, Importer]] = []
    errors: list[UnrecognisedFile] = []
    for part in parts:
        of_part: list[UnrecognisedFile] = []
        for is_stamped in (True, False) if part.is_stamped else (True,):
            readable = part if is_stamped else without_stamps(part, folder)
            try:
                found.append((readable, importer_of(readable.path, is_checked=is_checked)))
                break
            except UnrecognisedFile as error:
                of_part.append(error)
        errors += of_part[:1]
    if not found and as_it_is is not None and parts[0].containers and as_it_is.is_file():
        try:
            found.append((Part(as_it_is), importer_of(as_it_is, is_checked=is_checked)))
        except UnrecognisedFile as error:
            # What was inside of it says more.
            errors.append(error)
    if not found:
        containers = " in ".join(reversed(parts[0].containers))
        raise UnrecognisedFile(f"{errors[0]}" + (f"; this was in {containers}" if containers else ""))
    return found


def importer_of(path: Path, *, is_checked: bool = True) -> Importer:
    """Return the importer for a path. Raises UnrecognisedFile if there is none, or nothing to read.

    `is_checked`: refuse exported sessions that are incomplete or were changed.
    """
    head = b"" if path.is_dir() else _head(path)
    installed = importers(is_checked=is_checked)
    for importer in installed:
        if importer.recognises(path, head):
            return importer
    for importer in installed if b"\0" not in head else ():
        if (
            isinstance(importer, ExplainingImporter)
            and (missing := importer.what_is_missing(head)) is not None
        ):
            raise UnrecognisedFile(f"{path}: {missing}")
    raise UnrecognisedFile(f"{path}: {_refusal(path, head, installed)}")


def _refusal(path: Path, head: bytes, installed: Sequence[Importer]) -> str:
    missing = "a folder without a file that is known" if path.is_dir() else what_is_missing(head)
    return f"{missing}; what can be read: {', '.join(importer.name for importer in installed)}"


def _head(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise UnrecognisedFile(
            f"{path}: not a regular file; it must be read twice, so save it to a file first, or pipe it into "
            "`compile-ledger import -`"
        )
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise UnrecognisedFile(f"{path}: {error.strerror}") from error
    if not head:
        raise UnrecognisedFile(f"{path}: an empty file; nothing to import")
    return head


def import_into(
    store: Store,
    path: Path,
    importer: Importer,
    progress: Progress,
    *,
    name: str | None = None,
    label: str | None = None,
) -> Imported:
    """Append the events of a file, a few thousand at a time. Importing it again changes nothing.

    `name` is what `rejected_lines` calls the file, by default its path. `label` becomes that of sessions that
    have none and are new to the ledger; exported sessions are never labelled.

    A checked session is imported in one transaction: all of it or, on an error, nothing. Raises LedgerError,
    including ConflictingEvents.
    """
    done = Imported(importer.name)
    sessions: dict[str, None] = {}
    kept: dict[str | None, None] = {}
    anchors: dict[tuple[str, str], Anchor] = {}
    lines = importer if isinstance(importer, LinesImporter) else None
    is_atomic = lines is not None and lines.is_checked
    with store.transaction() if is_atomic else nullcontext():
        for batch in _batches(importer.read(path, progress)):
            events = [item for item in batch if not isinstance(item, UnreadLine)]
            if lines is None:
                events = [without_secrets(_labelled(store, event, label)) for event in events]
                kept.update(
                    (e.label, None) for e in events if isinstance(e, SessionStarted) and e.label != label
                )
            unread = [item for item in batch if isinstance(item, UnreadLine)]
            sessions.update(dict.fromkeys(event.session for event in events))
            with gc_paused(), nullcontext() if is_atomic else store.transaction():
                new, duplicates, conflicting = store.append([_row(event, anchors) for event in events])
                if lines is not None:
                    unread += lines.conflicts(path, conflicting)
                    conflicting = []
                for item in unread:
                    text = item.text if lines is not None else hide_secrets(item.text)
                    store.reject(name or str(path), item.line, item.reason, text)
            done = done._replace(
                events=done.events + new,
                duplicates=done.duplicates + duplicates,
                conflicting=done.conflicting + len(conflicting),
                unread=done.unread + len(unread),
                first_unread=(*done.first_unread, *unread)[:_FIRST_UNREAD],
            )
    return done._replace(sessions=tuple(sessions), kept_labels=tuple(kept))


def _labelled(store: Store, event: Event, label: str | None) -> Event:
    """Return an event that starts a session with the label that it has in the ledger, else the given one."""
    if not isinstance(event, SessionStarted) or event.label is not None:
        return event
    for row in store.rows(event.session, "kind = 'session_started'"):
        if (row.process, row.seq) == (event.process, event.seq):
            there = from_row(row)
            label = there.label if isinstance(there, SessionStarted) else None
    return event.model_copy(update={"label": label})


def _row(event: Event, anchors: dict[tuple[str, str], Anchor]) -> EventRow:
    """Return an event as a row, with its wall-clock time if its process has an anchor already."""
    if isinstance(event, ProcessJoined) and event.anchor is not None:
        anchors.setdefault((event.session, event.process), event.anchor)
    process = event.lost if isinstance(event, ProcessLost) else event.process
    anchor = anchors.get((event.session, process))
    return to_row(event, anchor.wall_of(event.at_ns) if anchor else None)


def store_of(events: Iterable[Event], path: Path | None = None) -> Store:
    """Return a store of events, in memory or in a new file.

    Raises ConflictingEvents if two different ones share a key.
    """
    store = Store.in_memory() if path is None else Store.open(path)
    anchors: dict[tuple[str, str], Anchor] = {}
    with gc_paused(), store.transaction():
        for batch in _batches(events):
            if conflicting := store.append([_row(event, anchors) for event in batch]).conflicting:
                raise ConflictingEvents(f"another event has the key {conflicting[0][:3]}")
    bring_up_to_date(store)
    return store


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    for item in items:
        batch.append(item)
        if len(batch) >= _BATCH_SIZE:
            yield batch
            batch = []
    yield batch
