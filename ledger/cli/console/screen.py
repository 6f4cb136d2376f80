"""Shows a command's output and, below it, a live view, on one terminal.

The command writes to a pseudo-terminal, so that it behaves as on the real one, and all that it writes goes to
the real one as it is, byte for byte. The cursor stays where the command left it, and the view is drawn below:

    loaded 3 of 12 shards
    shards: 25%|##        | 3/12 _        <- the cursor
                                          <- an empty line, for a person who answers a question with return
    process   open stages         …       <- the view

So what a person types, or a shell prints when the command is stopped, appears where it would without us.
Before anything of the command's is written the view is erased, and nothing else ever is.
"""

import fcntl
import os
import re
import select
import struct
import termios
import threading
import time
from collections.abc import Callable
from io import StringIO
from typing import Final

from rich.console import Console, RenderableType

_STDOUT: Final = 1
_STDERR: Final = 2
_DRAW_EVERY_S: Final = 0.25
_GATHER_S: Final = 0.02
_LITTLE_BYTES: Final = 4096
"""After so little, a moment is waited for more: a program that prints line by line costs fewer drawings."""
_READ_AT_ONCE_BYTES: Final = 1 << 20
_PTY_HOLDS_BYTES: Final = 1 << 18
"""More than a pseudo-terminal keeps: all that was written before a moment is in the next so many bytes."""
_LONGEST_HELD_BYTES: Final = 1 << 16
_USUAL_SIZE: Final = (80, 24)
_LEAST_LINES: Final = 4
"""On a terminal with fewer there is no view: the command's output needs them."""

_UNFINISHED: Final = re.compile(
    rb"(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?)?"
    rb"|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z"
)
"""An escape sequence, or a character of UTF-8, that is cut: nothing may be written before the rest of it."""
_CURSOR_LINE: Final = re.compile(rb"\n|\x1b\[([0-9]*)([ABEF])")

# DECSC and DECRC keep the cursor, its colours, and whether it waits behind the last column.
_SAVE: Final = b"\x1b7"
_RESTORE: Final = b"\x1b8"
_SCROLL_DOWN: Final = b"\x1bD"
_UP: Final = b"\x1b[%dA"
_DOWN: Final = b"\x1b[%dB"
_ERASE_REST: Final = b"\x1b[K"
_ERASE_BELOW: Final = b"\x1b[J"
_NO_COLOUR: Final = b"\x1b[0m"


class Output:
    """A command's output on its way to the terminal: holds back a line that may be finished in a moment."""

    def __init__(self) -> None:
        self._unfinished = b""
        self._is_line_open = False
        self.lines_below = 0
        """How many lines below the cursor are the command's: it went up to write over some, as bars do."""

    def take(self, data: bytes) -> bytes:
        """Take what the command wrote, and return what of it can be shown at once."""
        self._unfinished += data
        if len(self._unfinished) > _LONGEST_HELD_BYTES:
            return self.flush()
        return self._give(self._unfinished.rfind(b"\n") + 1)

    def flush(self) -> bytes:
        """Return the unfinished line, after a pause: a question, a progress bar."""
        cut = _UNFINISHED.search(self._unfinished, max(0, len(self._unfinished) - _LONGEST_HELD_BYTES))
        return self._give(cut.start() if cut else len(self._unfinished))

    def finish(self) -> bytes:
        """Return the rest, and the end of the last line where it has none."""
        rest = self._give(len(self._unfinished))
        if self.lines_below:
            rest += _DOWN % self.lines_below
        return rest + (b"\r\n" if self._is_line_open else b"")

    def _give(self, end: int) -> bytes:
        given, self._unfinished = self._unfinished[:end], self._unfinished[end:]
        if given:
            self._is_line_open = not given.endswith(b"\n")
        for move in _CURSOR_LINE.finditer(given):
            number = int(move[1] or 1)
            self.lines_below = max(0, self.lines_below + (number if move[2] in (b"A", b"F") else -number))
        return given


class Screen:
    """The terminal on stderr, shared between a command's output and a view below it.

    `render` returns the view in so many lines at most, and is called in the screen's own thread. Raises
    OSError where the system has no pseudo-terminal.
    """

    def __init__(self, render: Callable[[int], RenderableType]) -> None:
        self._render = render
        self._output = Output()
        self._view: list[bytes] = []
        self._draw_at_s = 0.0
        self._drawn_below: int | None = None
        """How far below the cursor the view begins; None where there is none."""
        self._finishing = threading.Event()
        self._closing = threading.Lock()
        self._is_closed = False
        self._console = Console(
            file=StringIO(), force_terminal=True, markup=False, emoji=False, highlight=False
        )
        # The command's side stays open here too, so that it may close and open it again as it likes.
        self._ours, self._commands = os.openpty()
        self._terminal = os.dup(_STDERR)
        os.set_blocking(self._ours, False)
        attributes = termios.tcgetattr(_STDERR)
        # The real terminal turns \n into \r\n, where it is set to.
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(self._commands, termios.TCSANOW, attributes)
        self.resize()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    @property
    def stdout(self) -> int | None:
        """The descriptor that the command gets as stdout; None where its own is another place, and stays."""
        is_same = os.isatty(_STDOUT) and os.fstat(_STDOUT).st_rdev == os.fstat(_STDERR).st_rdev
        return self._commands if is_same else None

    @property
    def stderr(self) -> int:
        """The descriptor that the command gets as stderr."""
        return self._commands

    def start(self) -> None:
        """Begin to show, now that the command has its side: no thread may exist before."""
        self._thread.start()

    def resize(self) -> None:
        """Give the command's side the size of the real terminal."""
        with self._closing:
            if not self._is_closed:
                columns, lines = self._size()
                size = struct.pack("HHHH", lines, columns, 0, 0)
                fcntl.ioctl(self._commands, termios.TIOCSWINSZ, size)

    def finish(self) -> None:
        """Show the rest of what the command has written until now, then take the view away."""
        self._finishing.set()

    def is_finished(self, wait_s: float) -> bool:
        """Return whether that is done; a terminal that was stopped, or is slow, can keep it waiting."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Give the pseudo-terminal back; a screen that was started does so itself."""
        with self._closing:
            self._is_closed = True
            for descriptor in (self._ours, self._commands, self._terminal):
                os.close(descriptor)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._ours, select.POLLIN)
        try:
            while not self._finishing.is_set():
                data = b""
                if poll.poll(max(0.0, self._draw_at_s - time.monotonic()) * 1000):
                    data = self._read(_READ_AT_ONCE_BYTES)
                    if len(data) < _LITTLE_BYTES:
                        self._finishing.wait(_GATHER_S)
                        data += self._read(_READ_AT_ONCE_BYTES)
                self._show(data)
            # Processes that the command left behind may go on writing: they are not waited for.
            last = self._output.take(self._read(_PTY_HOLDS_BYTES)) + self._output.finish()
            self._write(self._erased() + last + _NO_COLOUR)
        except OSError:
            return  # the terminal is gone: there is nobody to show anything to
        finally:
            # From here on what is written to it fails, as it does when a terminal is gone, and does not wait.
            self.close()

    def _read(self, limit: int) -> bytes:
        """Return what is there: `limit` bytes at most, or a few more."""
        data = bytearray()
        while len(data) < limit:
            try:
                data += os.read(self._ours, limit)
            except BlockingIOError:
                break
        return bytes(data)

    def _show(self, data: bytes) -> None:
        """Write what the command wrote, and draw the view anew below it."""
        shown = self._output.take(data)
        is_due = time.monotonic() >= self._draw_at_s
        if is_due:
            self._draw_at_s = time.monotonic() + _DRAW_EVERY_S
            shown += self._output.flush()
        elif not shown:
            return
        # Where only the view changes, it is drawn over itself, which does not flicker.
        erased = self._erased() if shown else b""
        self._write(erased + shown + self._drawing(is_due))

    def _erased(self) -> bytes:
        """Return what takes the view away: all that is below it is ours."""
        below, self._drawn_below = self._drawn_below, None
        if below is None or not self._is_in_foreground():
            return b""
        return _SAVE + _DOWN % below + b"\r" + _ERASE_BELOW + _RESTORE

    def _drawing(self, is_due: bool) -> bytes:
        """Return what draws the view and leaves the cursor where it is."""
        columns, lines = self._size()
        if lines < _LEAST_LINES or not self._is_in_foreground():
            return b""
        below = min(self._output.lines_below, lines - 1) + 1
        if is_due:
            self._view = self._rendered(columns, lines - 1)
        view = [b"", *self._view][: lines - below]
        if not view:
            return b""
        self._drawn_below = below
        height = below + len(view) - 1
        # Scrolled first, since a cursor is kept as a place on the screen.
        place = _SCROLL_DOWN * height + _UP % height + _SAVE
        drawn = b"\r\n".join(line + _ERASE_REST for line in view)
        return place + _DOWN % below + _NO_COLOUR + b"\r" + drawn + _ERASE_BELOW + _RESTORE

    def _rendered(self, columns: int, lines: int) -> list[bytes]:
        # A line that fills the last column too would be two lines to some terminals.
        self._console.size = (columns - 1, lines)
        try:
            with self._console.capture() as capture:
                self._console.print(self._render(lines - 1))
            text = capture.get().removesuffix("\n")
        except Exception as error:  # whatever can't be shown, the command's output goes on
            text = f"no live view: {type(error).__name__}"
        return text.encode("utf-8", "replace").split(b"\n")

    def _is_in_foreground(self) -> bool:
        """Return whether the terminal is ours to draw on: a shell may have put us in the background."""
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            return True  # it is not our controlling terminal: nobody says

    def _size(self) -> tuple[int, int]:
        columns, lines = os.get_terminal_size(self._terminal)
        return columns or _USUAL_SIZE[0], lines or _USUAL_SIZE[1]

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._terminal, rest) :]
            except BlockingIOError:
                # Somebody who shares the terminal has set it to non-blocking: wait here instead.
                writable = select.poll()
                writable.register(self._terminal, select.POLLOUT)
                writable.poll()


def is_drawable() -> bool:
    """Return whether stderr is a terminal on which the cursor can be moved."""
    return os.isatty(_STDERR) and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def keep_standard_descriptors() -> None:
    """Fill 0, 1 and 2 where they are closed, so that no file of ours gets a number that others print to."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= _STDERR:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
