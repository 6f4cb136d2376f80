"""The recordings that the pages show, as events and as ledgers."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from ledger import Event, Ledger, parse_event
from ledger.cli import app
from ledger.events.models import to_line
from ledger.testing import MemoryLedger
from tests.support import starts
from tests.support.paths import DATA

RECORDINGS: Final = ("demo", "vllm", "starts", "compilations")


@cache
def recorded(name: str) -> Ledger:
    """Return a recording as a ledger in memory."""
    return MemoryLedger(events(name))


def events(name: str) -> Iterator[Event]:
    """Yield the events of a recording."""
    if name == "starts":
        for label in ("warm", "cold"):
            for start in starts.kept(label):
                yield from start
    else:
        yield from map(parse_event, (DATA / f"{name}.jsonl").read_bytes().splitlines())


def write_ledger(name: str, path: Path) -> None:
    """Write a recording as a ledger, and the lines that it is imported from beside it."""
    lines = path.with_name(f"{name}.jsonl")
    lines.write_bytes(b"".join(map(to_line, events(name))))
    imported = CliRunner().invoke(app, ["import", "--unchecked", str(lines), "-o", str(path)])
    assert imported.exit_code == 0, imported.output
