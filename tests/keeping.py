"""Keeps what was recorded as lines beside the tests, with what it says of the machine blotted out."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from ledger import Ledger
from ledger.events import to_line

DATA = Path(__file__).parent / "data"
CHECKOUT = Path(__file__).parents[1]


def keep(ledger: Path, name: str, folder: Path, python: Path = Path(sys.executable)) -> None:
    """Write all sessions of a ledger to `data/<name>`; `folder` is where they were recorded."""
    with Ledger.open(ledger) as opened:
        lines = b"".join(to_line(event) for session in opened.sessions() for event in opened.events(session))
    for text, blot in _blots(folder, python):
        lines = lines.replace(text.encode(), blot.encode())
    (DATA / name).write_bytes(lines)


def _blots(folder: Path, python: Path) -> Iterator[tuple[str, str]]:
    yield str(folder), "/tmp/demo"
    yield str(python.parent), "/usr/bin"
    yield str(CHECKOUT), "/src"
    yield str(Path.home()), "/home/me"
    yield f'"host":"{socket.gethostname()}"', '"host":"demo"'
