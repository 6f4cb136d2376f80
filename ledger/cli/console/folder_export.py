"""Exports sessions into a folder that keeps those of many ledgers, and says what was done."""

from collections.abc import Sequence

from ledger.cli.console.progress import reading
from ledger.cli.console.terminal import echo
from ledger.formatting import counted
from ledger.interchange.folder_exporters import FolderExporter, FolderWritten, export_to_folder
from ledger.storage.ledger import Ledger

_REFUSED_SHOWN = 3


def export_showing(
    ledger: Ledger, sessions: Sequence[str], exporter: FolderExporter, folder: str, *, redact: bool = False
) -> FolderWritten:
    """Export sessions with a bar, and print what was done. Raises LedgerError."""
    total = event_count(ledger, sessions)
    with reading("exporting", total) as progress:
        done = export_to_folder(ledger, sessions, exporter, folder, redact=redact, progress=progress)
    echo(
        f"{folder}: {counted(done.written, 'session')} written with {counted(done.events, 'event')}, "
        f"{done.unchanged:,} already there",
        err=True,
    )
    for session in done.refused[:_REFUSED_SHOWN]:
        echo(
            f"refused: {session}: {folder} has events of it that this ledger lacks; merge the ledgers first",
            err=True,
        )
    if (more := len(done.refused) - _REFUSED_SHOWN) > 0:
        echo(f"refused: {more:,} more", err=True)
    return done


def event_count(ledger: Ledger, sessions: Sequence[str]) -> int:
    """Return how many events some sessions have."""
    wanted = set(sessions)
    rows = ledger.select("SELECT session, event_count FROM sessions")
    return sum(int(str(count)) for session, count in rows if session in wanted)
