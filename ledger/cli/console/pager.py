"""Shows output that is longer than the terminal in a pager, as git does."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from rich.console import Console
from rich.text import Text

from ledger.cli.console.printing import Color, printer
from ledger.cli.console.terminal import TerminalConsole

_PAGER: Final = "PAGER"
_DEFAULT: Final = "less"
_NONE: Final = ("", "cat")
_OPTIONS: Final = {"LESS": "FRX", "LV": "-c"}
"""Options by which pagers let colours through, and leave on the screen what was read last."""


@contextmanager
def paged(*, is_wanted: bool = True, color: Color = "auto") -> Generator[Console]:
    """Yield the console to print to. What is longer than the terminal is shown in a pager, after the block.

    Where standard output is no terminal, or no pager is wanted or found, it is printed as ever.
    """
    console = printer(color=color)
    # Colours on demand make a terminal of any console.
    is_terminal = TerminalConsole().is_terminal and not console.is_dumb_terminal
    command = _command() if is_wanted and is_terminal else None
    if command is None:
        yield console
        return
    with console.capture() as capture:
        yield console
    text = capture.get()
    if not _is_longer(text, console) or not _page(text, command):
        console.file.write(text)
        console.file.flush()


def _command() -> Sequence[str] | None:
    """Return the command of the pager; None if there is none, or if it is one that pages nothing."""
    text = os.environ.get(_PAGER, _DEFAULT)
    try:
        command = shlex.split(text)
    except ValueError:  # an open quotation mark
        return None
    return command if text.strip() not in _NONE and shutil.which(command[0]) else None


def _is_longer(text: str, console: Console) -> bool:
    """Return whether a text takes more lines than the terminal has, less one for the next prompt."""
    width, height = console.size
    if text.count("\n") >= height:
        return True
    cells = (Text.from_ansi(line).cell_len for line in text.splitlines())
    return sum(max(1, -(-length // width)) for length in cells) >= height


def _page(text: str, command: Sequence[str]) -> bool:
    """Show a text in a pager until it is left; return False if the pager can't be started."""
    sys.stdout.flush()
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE, env={**_OPTIONS, **os.environ})
    except OSError:
        return False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which is the pager's, for as long as it runs
    try:
        with suppress(BrokenPipeError):
            pager.communicate(text.encode("utf-8", "replace"))
        pager.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return True
