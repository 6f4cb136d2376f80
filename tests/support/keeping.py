"""Keeps what was recorded as lines beside the tests, without what it says of the machine it was made on."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ledger import Event, Ledger, parse_event
from ledger.events.models import to_line
from ledger.events.redaction import redacted
from tests.support.paths import DATA, TESTS

_PROGRAMS: Final = (
    "demo.py", "killed.py", "start.py", "compilations.py", "train.py", "fit.py", "shards.py"
)  # fmt: skip
"""Ours: the README shows their processes by these names."""
_FOLDER: Final = f"{TESTS / 'programs'}/".encode()


def keep(ledger: Path, name: str) -> None:
    """Write all sessions of a ledger to `data/<name>`."""
    with Ledger.open(ledger) as opened:

        def events() -> Iterator[Event]:
            return (event for session in opened.sessions() for event in opened.events(session))

        (DATA / name).write_bytes(_redacted(events))


def keep_compressed(ledger: Path, name: str, sessions: slice) -> None:
    """Write some sessions of a ledger, which has them oldest first, to `data/<name>.jsonl.gz`.

    A program of ours is named without its folder, so that the lines of its code are named too.
    """
    with Ledger.open(ledger) as opened:
        kept = opened.sessions()[sessions]
        lines = [to_line(event).replace(_FOLDER, b"") for one in kept for event in opened.events(one)]
    # Without a time inside, the same lines are the same file.
    compressed = gzip.compress(_redacted(lambda: map(parse_event, lines)), mtime=0)
    (DATA / f"{name}.jsonl.gz").write_bytes(compressed)


def _redacted(events: Callable[[], Iterator[Event]]) -> bytes:
    return b"".join(map(to_line, redacted(events, keep=_PROGRAMS)))
