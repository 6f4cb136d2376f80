"""Shows a command's output and, below it, a live view, on one terminal.

The command writes to a pseudo-terminal, so that it behaves as on a real one, and its output is passed on to
the real one byte for byte. The cursor stays where the command left it, and the view is drawn below:

    loaded 3 of 12 shards
    shards: 25%|##        | 3/12 _        <- the cursor
                                          <- an empty line, so that return can be pressed to answer a prompt
    process   stage               …       <- the view

So input, or what a shell prints when the command is stopped, appears where it would without the view.
Before any of the command's output is written the view is erased, and nothing else ever is.
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

from rich.console import RenderableType

from ledger.cli.console.terminal import TerminalConsole

_STDOUT: Final = 1
_STDERR: Final = 2
_DRAW_EVERY_S: Final = 0.25
_GATHER_S: Final = 0.02
_SMALL_READ_BYTES: Final = 4096
"""After a read this small, wait a moment for more: saves redraws for programs that print line by line."""
_READ_AT_ONCE_BYTES: Final = 1 << 20
_PTY_BUFFER_BYTES: Final = 1 << 18
"""More than a pseudo-terminal buffers: reading this much gets everything written so far."""
_MAX_PENDING_BYTES: Final = 1 << 16
_USUAL_SIZE: Final = (80, 24)
_MIN_LINES: Final = 4
"""A terminal with fewer lines gets no view: the command's output needs them."""

_UNFINISHED: Final = re.compile(
    rb"(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?)?"
    rb"|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z"
)
"""An incomplete escape sequence or UTF-8 character: nothing may be written before the rest of it."""
_CURSOR_LINE: Final = re.compile(rb"\n|\x1b\[([0-9]*)([ABEF])")

# DECSC and DECRC save the cursor, its colours, and a pending wrap at the last column.
_SAVE: Final = b"\x1b7"
_RESTORE: Final = b"\x1b8"
_SCROLL_DOWN: Final = b"\x1bD"
_UP: Final = b"\x1b[%dA"
_DOWN: Final = b"\x1b[%dB"
_ERASE_REST: Final = b"\x1b[K"
_ERASE_BELOW: Final = b"\x1b[J"
_NO_COLOUR: Final = b"\x1b[0m"


class Output:
    """A command's output on its way to the terminal: buffers a line that may be completed in a moment."""

    def __init__(self) -> None:
        self._pending = b""
        self._is_line_open = False
        self.lines_below = 0
        """How many lines of the command are below the cursor, if it moved up as progress bars do."""

    def take(self, data: bytes) -> bytes:
        """Add output of the command, and return the part that can be shown at once."""
        self._pending += data
        if len(self._pending) > _MAX_PENDING_BYTES:
            return self.flush()
        return self._release(self._pending.rfind(b"\n") + 1)

    def flush(self) -> bytes:
        """Return the pending part after a pause: it is a prompt or a progress bar."""
        cut = _UNFINISHED.search(self._pending, max(0, len(self._pending) - _MAX_PENDING_BYTES))
        return self._release(cut.start() if cut else len(self._pending))

    def finish(self) -> bytes:
        """Return the rest, with a newline at the end if it lacks one."""
        rest = self._release(len(self._pending))
        if self.lines_below:
            rest += _DOWN % self.lines_below
        return rest + (b"\r\n" if self._is_line_open else b"")

    def _release(self, end: int) -> bytes:
        released, self._pending = self._pending[:end], self._pending[end:]
        if released:
            self._is_line_open = not released.endswith(b"\n")
        for move in _CURSOR_LINE.finditer(released):
            number = int(move[1] or 1)
            self.lines_below = max(0, self.lines_below + (number if move[2] in (b"A", b"F") else -number))
        return released


class Screen:
    """The terminal on stderr, shared between a command's output and a view below it.

    `render` gets a maximum number of lines, returns the view, and is called in the screen's own thread.
    Raises OSError if the system has no pseudo-terminals.
    """

    def __init__(self, render: Callable[[int], RenderableType]) -> None:
        self._render = render
        self._output = Output()
        self._view: list[bytes] = []
        self._draw_at_s = 0.0
        self._drawn_below: int | None = None
        """How many lines below the cursor the view begins; None if no view is drawn."""
        self._finishing = threading.Event()
        self._closing = threading.Lock()
        self._is_closed = False
        self._console = TerminalConsole(
            file=StringIO(), force_terminal=True, markup=False, emoji=False, highlight=False
        )
        # The command's side stays open here too, so that the command may close and reopen it.
        self._ours, self._commands = os.openpty()
        self._terminal = os.dup(_STDERR)
        os.set_blocking(self._ours, False)
        attributes = termios.tcgetattr(_STDERR)
        # The real terminal turns \n into \r\n, if it is set to.
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(self._commands, termios.TCSANOW, attributes)
        self.resize()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    @property
    def stdout(self) -> int | None:
        """The descriptor that the command gets as stdout; None if it keeps its own, not this terminal."""
        is_same = os.isatty(_STDOUT) and os.fstat(_STDOUT).st_rdev == os.fstat(_STDERR).st_rdev
        return self._commands if is_same else None

    @property
    def stderr(self) -> int:
        """The descriptor that the command gets as stderr."""
        return self._commands

    def start(self) -> None:
        """Start the thread. The command must have been started: no thread may exist when it is forked."""
        self._thread.start()

    def resize(self) -> None:
        """Give the command's side the size of the real terminal."""
        with self._closing:
            if not self._is_closed:
                columns, lines = self._size()
                size = struct.pack("HHHH", lines, columns, 0, 0)
                fcntl.ioctl(self._commands, termios.TIOCSWINSZ, size)

    def finish(self) -> None:
        """Show the rest of the command's output, then remove the view."""
        self._finishing.set()

    def is_finished(self, wait_s: float) -> bool:
        """Return whether `finish` is done; a stopped or slow terminal can delay it."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Close the pseudo-terminal; a screen that was started does so itself."""
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
                    if len(data) < _SMALL_READ_BYTES:
                        self._finishing.wait(_GATHER_S)
                        data += self._read(_READ_AT_ONCE_BYTES)
                self._show(data)
            # Processes that the command left behind may go on writing; don't wait for them.
            last = self._output.take(self._read(_PTY_BUFFER_BYTES)) + self._output.finish()
            self._write(self._erased() + last + _NO_COLOUR)
        except OSError:
            return  # the terminal is gone
        finally:
            # From here on writes to it fail at once, as they do when a terminal is gone.
            self.close()

    def _read(self, limit: int) -> bytes:
        """Return the available bytes, about `limit` at most."""
        data = bytearray()
        while len(data) < limit:
            try:
                data += os.read(self._ours, limit)
            except BlockingIOError:
                break
        return bytes(data)

    def _show(self, data: bytes) -> None:
        """Write the command's output, and redraw the view below it."""
        shown = self._output.take(data)
        is_due = time.monotonic() >= self._draw_at_s
        if is_due:
            self._draw_at_s = time.monotonic() + _DRAW_EVERY_S
            shown += self._output.flush()
        elif not shown:
            return
        # If only the view changes, it is drawn over itself, which avoids flicker.
        erased = self._erased() if shown else b""
        self._write(erased + shown + self._drawing(is_due))

    def _erased(self) -> bytes:
        """Return the bytes that erase the view: everything from its first line down."""
        below, self._drawn_below = self._drawn_below, None
        if below is None or not self._is_in_foreground():
            return b""
        return _SAVE + _DOWN % below + b"\r" + _ERASE_BELOW + _RESTORE

    def _drawing(self, is_due: bool) -> bytes:
        """Return the bytes that draw the view and leave the cursor where it is."""
        columns, lines = self._size()
        if lines < _MIN_LINES or not self._is_in_foreground():
            return b""
        below = min(self._output.lines_below, lines - 1) + 1
        if is_due:
            self._view = self._rendered(columns, lines - 1)
        view = [b"", *self._view][: lines - below]
        if not view:
            return b""
        self._drawn_below = below
        height = below + len(view) - 1
        # Scroll first, since the saved cursor is a position on the screen.
        place = _SCROLL_DOWN * height + _UP % height + _SAVE
        drawn = b"\r\n".join(line + _ERASE_REST for line in view)
        return place + _DOWN % below + _NO_COLOUR + b"\r" + drawn + _ERASE_BELOW + _RESTORE

    def _rendered(self, columns: int, lines: int) -> list[bytes]:
        # Some terminals wrap a line that fills the last column.
        self._console.size = (columns - 1, lines)
        try:
            with self._console.capture() as capture:
                self._console.print(self._render(lines - 1))
            text = capture.get().removesuffix("\n")
        except Exception as error:  # the command's output must go on
            text = f"live view failed: {type(error).__name__}"
        return text.encode("utf-8", "replace").split(b"\n")

    def _is_in_foreground(self) -> bool:
        """Return whether we may draw on the terminal: a shell may have put us in the background."""
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            return True  # not our controlling terminal: no job control

    def _size(self) -> tuple[int, int]:
        columns, lines = os.get_terminal_size(self._terminal)
        return columns or _USUAL_SIZE[0], lines or _USUAL_SIZE[1]

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._terminal, rest) :]
            except BlockingIOError:
                # Another process that shares the terminal has set it to non-blocking: wait here instead.
                writable = select.poll()
                writable.register(self._terminal, select.POLLOUT)
                writable.poll()


def is_drawable() -> bool:
    """Return whether stderr is a terminal on which the cursor can be moved."""
    return os.isatty(_STDERR) and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def keep_standard_descriptors() -> None:
    """Open 0, 1 and 2 on /dev/null if they are closed, so that no file of ours becomes a standard stream."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= _STDERR:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
