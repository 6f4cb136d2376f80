"""Writes sessions in the forms that other programs read: our own lines, and what adapters know."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Final, Protocol

from ledger.errors import LedgerError
from ledger.interchange.importers import store_of
from ledger.storage.ledger import Ledger

ENTRY_POINTS: Final = "compile_ledger.exporters"
"""The group in which an adapter names, by the form, a function that returns its `Exporter`."""


class Exporter(Protocol):
    """What writes one form."""

    @property
    def is_text(self) -> bool:
        """Tell whether a terminal can show it."""
        ...

    @property
    def can_redact(self) -> bool:
        """Tell whether it holds what was recorded, so that it can be redacted."""
        ...

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return what opens the file that was written, as a command or for a person to read."""
        ...

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield the bytes, to be written one after another, about a piece for each event.

        Raises LedgerError where these sessions can't be written so.
        """
        ...


class LinesExporter:
    """Writes sessions as text, which `import` takes back without a loss."""

    is_text = True
    can_redact = True

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return the command that takes it back."""
        return f"compile-ledger import {quote(str(written))}"

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield the lines."""
        return ledger.export(*sessions)


def formats() -> list[str]:
    """Return the forms that there are: ours, and those of the installed adapters."""
    return [_LINES, *sorted(entry.name for entry in _adapters())]


def exporter_of(form: str) -> Exporter:
    """Return what writes a form. Raises LedgerError where nothing does."""
    if form == _LINES:
        return LinesExporter()
    for entry in _adapters():
        if entry.name == form:
            return entry.load()()
    raise LedgerError(f"no form {form!r}; there are: {', '.join(formats())}")


def export(
    ledger: Ledger, sessions: Sequence[str], exporter: Exporter, *, redact: bool = False
) -> Iterator[bytes]:
    """Yield sessions in a form, with `redact` without hosts, user names and paths. Raises LedgerError."""
    if not redact:
        yield from exporter.chunks(ledger, sessions)
    elif not exporter.can_redact:
        raise LedgerError(
            "this form has nothing to redact, since it goes with the ledger's own file; "
            "write the sessions as jsonl with --redact, and import them into a ledger to show"
        )
    elif isinstance(exporter, LinesExporter):
        yield from ledger.export(*sessions, redact=True)
    else:
        ids: dict[str, None] = {}  # one may have told a user or a host as well
        events = ledger.redacted(*sessions)
        store = store_of(event for event in events if ids.setdefault(event.session) is None)
        with Ledger(ledger.path, store, ledger.warning) as blotted:
            yield from exporter.chunks(blotted, list(ids))


_LINES: Final = "jsonl"


def _adapters() -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=ENTRY_POINTS)
