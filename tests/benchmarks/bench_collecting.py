"""Collecting: events a second from a journal into the ledger, each validated."""

import tempfile
import time
from pathlib import Path

from measuring import Figure, Goal, rounds

from ledger import Recorder
from ledger.recording.journal import journal_folder
from ledger.storage.collector import collect
from ledger.storage.store import Store

_EVENTS = 200_000
_ROUNDS = 3


def main() -> None:
    """Collect one large journal, several times into new ledgers, and take the fastest."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "written.db"
        recorder = Recorder.open(path)
        for _ in range(_EVENTS // 2):
            with recorder.stage("torch_compile", role="encoder", source="monitor", component="VisionBlock"):
                pass
        seconds = min(_collect(path, Path(name) / f"{round_}.db") for round_ in range(rounds(_ROUNDS)))
        recorder.close()
    print(f"Collecting {_EVENTS:,} events")
    print(Figure("events a second", _EVENTS / seconds, "1/s"))
    print(Goal("time for 100,000 events", seconds / _EVENTS * 100_000, 1.0, "s"))


def _collect(written: Path, ledger: Path) -> float:
    store = Store.open(ledger)
    start = time.perf_counter()
    collected = collect(store, journal_folder(written), remove=False)
    seconds = time.perf_counter() - start
    store.close()
    assert collected.events >= _EVENTS
    assert not collected.rejected
    return seconds


if __name__ == "__main__":
    main()
