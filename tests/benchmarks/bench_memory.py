"""What commands take of a session of 8 processes, and of one four times as large: memory, and time an event.

Both are collected and projected before. Each command runs in a process of its own.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from measuring import Figure, Goal

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.large_session import write_large_session

_PROCESSES: Final = 8
_SMALL: Final = int(os.environ.get("BENCH_MEMORY_EVENTS", "50000"))
"""Events of each process. Of much fewer all that a page can show is shown, and its memory grows with them."""
_GROWS_BY: Final = 4
_MB: Final = 1e6
_COMMANDS: Final = {
    "report": ["report", "{ledger}"],
    "report --html": ["report", "{ledger}", "--html", "{out}"],
    "report --flame": ["report", "{ledger}", "--flame", "{out}"],
    "export --format perfetto": ["export", "{ledger}", "--format", "perfetto", "-o", "{out}"],
    "export --format chrome": ["export", "{ledger}", "--format", "chrome", "-o", "{out}"],
    "export --redact": ["export", "{ledger}", "--redact", "-o", "{out}"],
    "verify": ["verify", "{ledger}"],
}


class Used(NamedTuple):
    """What a command took."""

    seconds: float
    """Of processor time."""
    peak_mb: float
    written_mb: float


def main() -> None:
    """Measure every command at both sizes."""
    with tempfile.TemporaryDirectory() as name:
        ledgers: list[Path] = []
        for events in (_SMALL, _SMALL * _GROWS_BY):
            ledgers.append(Path(name) / f"{events}.db")
            write_large_session(ledgers[-1], _PROCESSES, events)
            _used(["collect", str(ledgers[-1])])
        print(f"Reading {_PROCESSES} processes of {_SMALL:,} events, and of {_GROWS_BY} times as many")
        for command, arguments in _COMMANDS.items():
            small, large = (_used(arguments, ledger) for ledger in ledgers)
            print(Figure(f"{command}, memory", small.peak_mb, "MB"))
            print(Figure(f"{command}, memory of the larger", large.peak_mb, "MB"))
            print(Figure(f"{command}, written of the larger", large.written_mb, "MB"))
            more = _PROCESSES * _SMALL * (_GROWS_BY - 1)
            growth = (large.peak_mb - small.peak_mb) * 1024**2 / more
            if command == "verify":  # which reduces each session at once
                print(Figure(f"{command}, memory for each more event", growth, "bytes"))
            else:
                print(Goal(f"{command}, memory for each more event", growth, 50, "bytes"))
            each = large.seconds / small.seconds / _GROWS_BY
            print(Figure(f"{command}, time an event against that of the smaller", each, "x"))


def _used(arguments: list[str], ledger: Path | None = None) -> Used:
    out = ledger.with_suffix(".out") if ledger else Path(os.devnull)
    given = [part.format(ledger=ledger, out=out) for part in arguments]
    command = [sys.executable, "-m", "ledger.cli", *given]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    written = out.stat().st_size if ledger and out.exists() else 0
    if written:
        out.unlink()
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, written / _MB)


if __name__ == "__main__":
    main()
