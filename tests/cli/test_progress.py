"""What takes long says so on a terminal, and writes nothing where there is none."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.cli.console.progress import writing
from ledger.testing import SessionBuilder
from tests.support.small_ledgers import write_sessions
from tests.support.terminals import terminal

AT_ONCE = """
import threading
class Timer:
    ident = 1
    def __init__(self, after_s, start): self.start = start
    def cancel(self): pass
    def join(self): pass
threading.Timer = Timer
from ledger.cli import main
main()
"""
WORKING = (
    "import ledger.cli.console.progress as progress; progress.AFTER_S = {after_s}\n"
    "with progress.working('reading it') as now:\n"
    "    input(); now('drawing it'); input()\n"
    "print('drawn')"
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    builder = SessionBuilder()
    builder.begin()
    builder.stop(2, builder.start(1, "dynamo"))
    builder.end(3)
    return write_sessions(tmp_path / "startup.db", builder)


def test_what_goes_on_is_shown_until_it_is_over() -> None:
    with terminal([sys.executable, "-c", WORKING.format(after_s=0)]) as opened:
        opened.wait_for("reading it")
        opened.type("\n")
        opened.wait_for("drawing it")
        opened.type("\n")
        assert opened.finish() == 0
        # The line is erased again, and the cursor is there.
        assert opened.screen.rindex(b"\x1b[2K") < opened.screen.rindex(b"drawn")
        assert b"\x1b[?25h" in opened.screen


def test_what_is_over_at_once_shows_nothing() -> None:
    with terminal([sys.executable, "-c", WORKING.format(after_s=3600)]) as opened:
        opened.type("\n\n")
        assert opened.finish() == 0
        assert b"reading it" not in opened.screen
        assert b"\x1b[" not in opened.screen


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["report", "{ledger}", "--html", "{out}"], ["reading startup.db", "drawing 1 interval"]),
        (["report", "{ledger}", "--flame", "{out}"], ["reading startup.db", "reading the session"]),
        (["export", "{ledger}", "-o", "{out}", "--format", "chrome"], ["reading startup.db", "preparing"]),
        (["sql", "{ledger}", "SELECT 1"], ["reading startup.db"]),
    ],
)
def test_commands_show_it(ledger: Path, arguments: list[str], shown: list[str]) -> None:
    out = ledger.with_name("out")
    filled = [argument.format(ledger=ledger, out=out) for argument in arguments]
    with terminal([sys.executable, "-c", AT_ONCE, *filled]) as opened:
        assert opened.finish() == 0
        for text in shown:
            assert text in opened.screen.decode()
    piped = subprocess.run(
        [sys.executable, "-c", AT_ONCE, *filled, *(["--force"] if out.exists() else [])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for text in shown:
        assert text not in piped.stdout + piped.stderr
    assert "\x1b" not in piped.stdout + piped.stderr


def test_pieces_go_through_as_they_are_made() -> None:
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield bytes([number])

    with writing(3) as counted:
        taken = iter(counted(pieces()))
        assert next(taken) == b"\0"
        assert made == [0]
        assert list(taken) == [b"\1", b"\2"]
