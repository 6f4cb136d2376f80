"""Keeps what was recorded as lines beside the tests, without what it says of the machine it was made on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger import Event, Ledger
from ledger.events.models import to_line
from ledger.events.redaction import redacted
from tests.support.paths import DATA

_PROGRAMS: Final = ("demo.py", "killed.py", "start.py", "compilations.py")
"""Ours: the README shows their processes by these names."""


def keep(ledger: Path, name: str) -> None:
    """Write all sessions of a ledger to `data/<name>`."""
    with Ledger.open(ledger) as opened:

        def events() -> Iterator[Event]:
            return (event for session in opened.sessions() for event in opened.events(session))

        (DATA / name).write_bytes(b"".join(map(to_line, redacted(events, keep=_PROGRAMS))))
