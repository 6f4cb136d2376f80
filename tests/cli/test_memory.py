"""What reads a session in processes of their own takes the same memory of one that is four times as large.

A part of the session is always in memory: its claims, and names. So both sessions have the same number of
processes and claims. Projecting is not in here: what reduces a session at once is measured on its own.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support.large_session import write_large_session

PROCESSES: Final = 4
SMALL, LARGE = 5_000, 20_000
"""Events of each process."""
MORE_INTERVALS: Final = PROCESSES * (LARGE - SMALL) // 2
BYTES_EACH: Final = 1_000
"""Of those intervals, for what fills first and then grows no more. To hold them took 2,100 and more."""


_COLLECT: Final = """
import sys
from pathlib import Path
from ledger.recording.journal import journal_folder
from ledger.storage.collector import collect
from ledger.storage.store import Store

store = Store.open(Path(sys.argv[1]))
collect(store, journal_folder(store.path))
store.close()
"""


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, Path]:
    """Return two ledgers that are collected and projected, by their events a process."""
    folder = tmp_path_factory.mktemp("ledgers")
    found: dict[int, Path] = {}
    for events in (SMALL, LARGE):
        found[events] = folder / f"{events}.db"
        write_large_session(found[events], PROCESSES, events)
        peak_bytes(["collect", str(found[events])])
    return found


def peak_bytes(arguments: list[str], program: tuple[str, str] = ("-m", "ledger.cli")) -> int:
    """Run a command, or another program, and return the largest resident size that it had."""
    with subprocess.Popen(
        [sys.executable, *program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said.decode()
    return usage.ru_maxrss * 1024


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "{ledger}"],
        ["report", "{ledger}", "--flame", "{out}"],
        ["export", "{ledger}", "--format", "perfetto", "-o", "{out}"],
        ["export", "{ledger}", "--format", "chrome"],
        ["export", "{ledger}"],
        ["export", "{ledger}", "--redact"],
    ],
    ids=["report", "flame", "perfetto", "chrome", "jsonl", "redacted"],
)
def test_memory_does_not_grow_with_the_session(
    ledgers: Mapping[int, Path], tmp_path: Path, arguments: list[str]
) -> None:
    small, large = (
        peak_bytes([part.format(ledger=path, out=tmp_path / f"{events}.out") for part in arguments])
        for events, path in ledgers.items()
    )
    assert (large - small) / MORE_INTERVALS < BYTES_EACH, f"{small / 1e6:.0f} MB, then {large / 1e6:.0f} MB"


def test_memory_of_collecting_alone_does_not_grow_with_the_journals(tmp_path: Path) -> None:
    """The command `collect` projects as well; a process that ends collects alone."""
    peaks: list[int] = []
    for events in (SMALL, LARGE):
        ledger = tmp_path / f"{events}.db"
        write_large_session(ledger, PROCESSES, events)
        peaks.append(peak_bytes([str(ledger)], ("-c", _COLLECT)))
    small, large = peaks
    assert (large - small) / MORE_INTERVALS < BYTES_EACH, f"{small / 1e6:.0f} MB, then {large / 1e6:.0f} MB"
