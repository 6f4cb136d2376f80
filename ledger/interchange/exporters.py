"""Exports sessions as jsonl or CSV, or in a format of an installed adapter."""

import importlib.metadata
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Final, Protocol, runtime_checkable

from ledger.errors import LedgerError
from ledger.interchange.csv_tables import CsvExporter
from ledger.interchange.folder_exporters import folder_formats
from ledger.interchange.importers import store_of
from ledger.storage.ledger import Ledger

ENTRY_POINTS: Final = "compile_ledger.exporters"
"""Entry point group. An adapter registers, under a format's name, a function that returns an `Exporter`."""


class Exporter(Protocol):
    """Writes one format."""

    @property
    def is_text(self) -> bool:
        """Whether a terminal can show it."""
        ...

    @property
    def can_redact(self) -> bool:
        """Whether it contains recorded data, so that it can be redacted."""
        ...

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return how to open the written file: a command, or a page's address."""
        ...

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield the file's bytes in order, about one chunk per event.

        Raises LedgerError if these sessions can't be written in this format.
        """
        ...


@runtime_checkable
class EndpointExporter(Exporter, Protocol):
    """Writes a format, or sends it to an endpoint over HTTP."""

    def send(self, ledger: Ledger, sessions: Sequence[str], endpoint: str) -> Iterator[int]:
        """Send the sessions in batches, and yield after each how many parts it had, about one per event.

        Raises LedgerError if these sessions can't be sent, or the endpoint does not take them.
        """
        ...


class LinesExporter:
    """Writes sessions as text, which `import` reads back without loss."""

    is_text = True
    can_redact = True

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return the command that imports it."""
        return f"compile-ledger import {quote(str(written))}"

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield the lines."""
        return ledger.export(*sessions)


def formats() -> list[str]:
    """Return the names of all formats that are one file: our own, and those of the installed adapters."""
    return [*_OWN, *sorted(entry.name for entry in _adapters())]


def exporter_of(name: str) -> Exporter:
    """Return the exporter of a format. Raises LedgerError if there is none."""
    if name in _OWN:
        return _OWN[name]()
    for entry in _adapters():
        if entry.name == name:
            return entry.load()()
    raise LedgerError(f"unknown format {name!r}; available: {', '.join([*formats(), *folder_formats()])}")


def export(
    ledger: Ledger, sessions: Sequence[str], exporter: Exporter, *, redact: bool = False
) -> Iterator[bytes]:
    """Yield sessions in a format; with `redact`, without hosts, users, paths, secrets. Raises LedgerError."""
    if redact and isinstance(exporter, LinesExporter):
        yield from ledger.export(*sessions, redact=True)
        return
    with _exported(ledger, sessions, exporter, redact=redact) as (chosen, ids):
        yield from exporter.chunks(chosen, ids)


def is_endpoint(output: str) -> bool:
    """Whether an output is an address to send to, and no file."""
    return _ENDPOINT.match(output) is not None


def send(
    ledger: Ledger, sessions: Sequence[str], exporter: Exporter, endpoint: str, *, redact: bool = False
) -> Iterator[int]:
    """Send sessions to an endpoint, redacted as by `export`; yield numbers of what was sent.

    Raises LedgerError, also for a format that is only written.
    """
    if not isinstance(exporter, EndpointExporter):
        raise LedgerError("this format is not sent to an endpoint; name a file with -o, or use --format otlp")
    with _exported(ledger, sessions, exporter, redact=redact) as (chosen, ids):
        yield from exporter.send(chosen, ids, endpoint)


_OWN: Final[Mapping[str, Callable[[], Exporter]]] = {"jsonl": LinesExporter, "csv": CsvExporter}
_ENDPOINT: Final = re.compile("https?://", re.IGNORECASE)


@contextmanager
def _exported(
    ledger: Ledger, sessions: Sequence[str], exporter: Exporter, *, redact: bool
) -> Generator[tuple[Ledger, Sequence[str]]]:
    """Yield the ledger that an exporter reads, redacted if wanted, and the ids of the sessions in it."""
    if not redact:
        yield ledger, sessions
        return
    if not exporter.can_redact:
        raise LedgerError(
            "this format can't be redacted, since it only describes the ledger file; "
            "export the sessions as jsonl with --redact, and import that into a ledger to share"
        )
    ids: dict[str, None] = {}  # an id may contain a user or a host as well
    events = ledger.redacted(*sessions)
    store = store_of(event for event in events if ids.setdefault(event.session) is None)
    with Ledger(ledger.path, store, ledger.warning) as redacted_ledger:
        yield redacted_ledger, list(ids)


def _adapters() -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=ENTRY_POINTS)
