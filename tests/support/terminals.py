"""A terminal with a program on it, as tests of what is drawn need one."""

import fcntl
import os
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.waiting import DEADLINE_S, wait_until


class Terminal:
    """A terminal with a program on it, which it controls."""

    # What draws the view, and what takes it away: all else that arrives is the program's.
    DRAWN = re.compile(rb"(?:\x1bD)+\x1b\[\d+A\x1b7.*?\x1b8|\x1b7\x1b\[\d+B\r\x1b\[J\x1b8", re.DOTALL)

    def __init__(self, command: list[str], pause_s: float = 0.0) -> None:
        self.ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, b"\x1e\x00\x64\x00\x00\x00\x00\x00")  # 30 lines of 100
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST  # what is written comes as it was written
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        self.screen = b""
        self.pause_s = pause_s
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(theirs)

    def read(self, wait_s: float = 0.1) -> bool:
        """Read what is there; return False where nothing more will come."""
        if select.select([self.ours], [], [], wait_s)[0]:
            time.sleep(self.pause_s)
            try:
                self.screen += os.read(self.ours, 4096)
            except OSError:
                return False
        return True

    def wait_for(self, text: str) -> None:
        wait_until(lambda: self.read() and text.encode() in self.screen, f"{text!r} in {self.screen!r}")

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        end = time.monotonic() + DEADLINE_S
        while self.read() and time.monotonic() < end:
            continue
        return self.process.wait(timeout=DEADLINE_S)

    @property
    def output(self) -> bytes:
        """What the program wrote, without the view."""
        return self.DRAWN.sub(b"", self.screen)

    @property
    def view(self) -> bytes:
        """What was drawn below it."""
        return b"".join(self.DRAWN.findall(self.screen))


@contextmanager
def terminal(command: list[str], **rest: Any) -> Iterator[Terminal]:
    opened = Terminal(command, **rest)
    try:
        yield opened
    finally:
        if opened.process.poll() is None:
            opened.process.kill()
            opened.process.wait()
        os.close(opened.ours)
