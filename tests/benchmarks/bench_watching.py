"""A redraw of `watch` on a long session and on a short one: with nothing new, and with 1,000 new events."""

import os
import statistics
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Final

from growing import SESSION, growing
from measuring import Figure, Goal, rounds
from rich.console import Console

from ledger.cli.console.live_view import LiveView
from ledger.cli.watch import _Watched
from ledger.storage.store import Store

_EVENTS: Final = int(os.environ.get("BENCH_EVENTS", "1000000"))
_NEW: Final = 1_000
_PROCESSES: Final = 8
_AT_ONCE: Final = 20_000
_ROUNDS: Final = 31


def main() -> None:
    """Measure a session of a tenth of the events, and one of all, by turns."""
    print(f"Watching a session of {_EVENTS:,} events in {_PROCESSES} processes")
    with _watched(_EVENTS // 10) as short, _watched(_EVENTS) as long:
        for name, new in (("nothing new", 0), (f"{_NEW:,} new events", _NEW)):
            found = [(short.milliseconds(new), long.milliseconds(new)) for _ in range(rounds(_ROUNDS))]
            short_ms, long_ms = map(statistics.median, zip(*found, strict=True))
            print(Figure(f"a redraw with {name}", long_ms, "ms"))
            print(Goal(f"growth against a tenth of the session, {name}", long_ms / short_ms, 1.3, "x"))


class _Session:
    """A session that is watched, as the command does, while it grows."""

    def __init__(self, store: Store, watched: _Watched) -> None:
        self._store = store
        self._watched = watched
        self._events = growing(_PROCESSES)
        self._view = LiveView()
        self._console = Console(file=StringIO(), force_terminal=True, width=100, height=30)

    def milliseconds(self, new: int) -> float:
        """Return the processor time of a redraw with so many new events."""
        with self._store.transaction():
            self._store.append(list(islice(self._events, new)))
        start_s = time.process_time()
        self._view.add(self._watched.new_events())
        self._view.show_warning(self._watched.trouble)
        self._console.print(self._view.render(self._console.size.height - 1))
        return (time.process_time() - start_s) * 1e3


@contextmanager
def _watched(number: int) -> Generator[_Session]:
    """Give a session that has so many events already."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "startup.db"
        with closing(Store.open(path)) as store, closing(_Watched(path, SESSION)) as watched:
            # The floor of inserting is another benchmark's: here events only have to be there.
            store.connection.execute("DROP TRIGGER events_no_replace")
            session = _Session(store, watched)
            for _ in range(0, number, _AT_ONCE):
                session.milliseconds(min(number, _AT_ONCE))
            yield session


if __name__ == "__main__":
    main()
