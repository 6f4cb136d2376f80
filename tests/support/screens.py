"""First screens of reports, as a terminal of 80 columns and 24 lines shows them, and where they are kept."""

import io
import re
from typing import Any, Final

from rich.console import Console

from ledger import Ledger
from ledger.reports.first_screen import print_first_screen
from ledger.reports.from_ledger import read_first_screen
from ledger.reports.model import Report
from tests.support import handbook
from tests.support.paths import TESTS

FOLDER: Final = TESTS / "reports" / "screens"
WIDTH: Final = 80
HEIGHT: Final = 24
_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")


def screen(ledger: Ledger, session: str | None = None) -> str:
    """Return what is printed of a session, of the newest one unless another is named."""
    return printed(read_first_screen(ledger, session or ledger.sessions()[-1]))


def coloured_screen(ledger: Ledger, session: str | None = None) -> str:
    """Return the same as a terminal with eight colours gets it."""
    report = read_first_screen(ledger, session or ledger.sessions()[-1])
    return printed(report, _console(color_system="standard", force_terminal=True))


def without_colour(text: str) -> str:
    """Return a coloured screen as one without colour."""
    return "\n".join(line.rstrip() for line in _STYLE.sub("", text).splitlines()) + "\n"


def is_kept(name: str, text: str) -> None:
    """Assert that a screen is what is kept of it; with UPDATE_DOCS=1 keep it."""
    handbook.matches_file(FOLDER / name, text)


def _console(**options: Any) -> Console:
    return Console(file=io.StringIO(), width=WIDTH, height=HEIGHT, _environ={}, **options)


def printed(report: Report, console: Console | None = None) -> str:
    """Return the first screen of a report, without colours where no console is given."""
    console = console or _console()
    print_first_screen(report, console)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"
