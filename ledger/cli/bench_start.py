"""Attends one start of `bench`: keeps its output in a file, shows its stages, and ends it at a milestone."""

import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live

from ledger.cli.console.live_view import LiveView, line
from ledger.cli.recorded_run import Attendant, Streams
from ledger.events.rows import EventRow
from ledger.timeline.incremental import body_of

_DRAWN_PER_S: Final = 4
_READ_BYTES: Final = 1 << 16


class StartView(LiveView):
    """The live view of a start, which notices when a milestone is recorded."""

    def __init__(self, until: str | None) -> None:
        super().__init__()
        self._until: Final = until
        self._reached: Final = threading.Event()

    @property
    def is_reached(self) -> bool:
        """Whether the milestone was recorded."""
        return self._reached.is_set()

    def add(self, rows: Sequence[EventRow]) -> None:
        """Add events."""
        super().add(rows)
        if any(row.kind == "milestone_reached" and body_of(row)["name"] == self._until for row in rows):
            self._reached.set()


class StartAttendant(Attendant):
    """Keeps a start's output in a file, shows its stages on a terminal, and ends it at a milestone."""

    has_own_group = True

    def __init__(
        self, title: str, log: BinaryIO, until: str | None, grace_s: float, console: Console
    ) -> None:
        self._view: Final = StartView(until)
        self.streams = Streams(subprocess.DEVNULL, log.fileno(), log.fileno())
        self.interrupted_by: signal.Signals | None = None
        """The signal that we passed on to it, by which somebody wanted an end of the whole bench."""
        self._title: Final = title
        self._console: Final = console
        self._live: Live | None = None
        self._due: Final = [
            (0.0, signal.SIGINT),
            (grace_s / 2, signal.SIGTERM),
            (grace_s, signal.SIGKILL),
        ]
        """What the group gets, and how long after the milestone."""
        self._ending_since_s: float | None = None

    @property
    def view(self) -> StartView:
        """The start's stages."""
        return self._view

    def begin(self) -> None:
        """Start to draw, where there is a terminal."""
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._rendered,
                refresh_per_second=_DRAWN_PER_S,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def forwarded(self, number: signal.Signals) -> None:
        """Remember that the bench is to end."""
        self.interrupted_by = number

    def due_signal(self) -> signal.Signals | None:
        """Return what ends the start, step by step, once its milestone was recorded."""
        if not self._view.is_reached:
            return None
        if self._ending_since_s is None:
            self.is_ending = True
            self._ending_since_s = time.monotonic()
        if self._due and time.monotonic() - self._ending_since_s >= self._due[0][0]:
            return self._due.pop(0)[1]
        return None

    def end(self) -> None:
        """Remove what was drawn."""
        if self._live is not None:
            self._live.stop()

    def _rendered(self) -> RenderableType:
        return Group(line(self._title, "bold"), self._view.render(self._console.size.height - 2))


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log that say something, each as a terminal would leave it."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _READ_BYTES))
        text = file.read().decode("utf-8", "replace")
    # Progress bars draw over their own line.
    lines = [one.rstrip().rpartition("\r")[2] for one in text.split("\n")]
    return [one for one in lines if one.strip()][-count:]
