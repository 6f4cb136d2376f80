"""Writes the page of a fleet (`report --fleet`), and the pages of its worst starts beside it."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from ledger.cli.console.output_files import STANDARD_OUTPUT, refuse_at_once, refuse_existing, replacing
from ledger.cli.console.pictures import refuse_database
from ledger.cli.console.progress import working
from ledger.errors import LedgerError, LedgerNotWritable
from ledger.events.models import Event
from ledger.events.rows import EventRow, from_row
from ledger.fleet import Fleet
from ledger.formatting import counted
from ledger.interchange.importers import store_of
from ledger.reports.html import page, subject_of
from ledger.reports.html.fleet_page import QUERIES, WORST, fleet_page
from ledger.storage.ledger import Ledger

_PAGES: Final = 10
"""Of the worst starts: one takes some seconds to draw."""


def write_fleet_page(fleet: Fleet, lake: str, file: Path, *, force: bool) -> str:
    """Write the page of a fleet and, in a folder beside it, those of its worst starts; say what was written.

    The fleet's page comes last, so that its links lead to something. Raises LedgerError.
    """
    if file == STANDARD_OUTPUT:
        raise LedgerError("the page of a fleet has others beside it; name a file")
    name = lake.rstrip("/").rsplit("/", 1)[-1] or lake
    folder = file.with_name(f"{file.stem}-starts")
    if folder.is_dir():
        for number in range(1, _PAGES + 1):
            own = folder / _page_name(number)
            refuse_at_once(own, partial(_refuse, own, force))
    pages: dict[str, str] = {}
    with replacing(file, partial(_refuse, file, force)) as opened, working("asking the lake") as now:
        answers = {query: list(fleet.query(query)) for query in QUERIES}
        worst = [str(row["session"]) for row in answers[WORST][:_PAGES]]
        if worst:
            _make(folder)
        for number, session in enumerate(worst, 1):
            now(f"drawing start {number} of {len(worst)}")
            own = folder / _page_name(number)
            with replacing(own, partial(_refuse, own, force)) as opened_start:
                opened_start.write(_start_page(fleet, session).encode("utf-8", "replace"))
            pages[session] = f"{folder.name}/{own.name}"
        opened.write(fleet_page(name, answers, pages).encode("utf-8", "replace"))
    beside = f"; the pages of {counted(len(pages), 'start')} are in {folder}" if pages else ""
    return f"{file}: the fleet of {name}{beside}"


def _page_name(number: int) -> str:
    return f"{number:02}.html"


def _start_page(fleet: Fleet, session: str) -> str:
    """Return the page of one start, which is reduced anew from the events that the lake has."""
    with Ledger(Path(session), store_of(_events(fleet, session)), None) as ledger:
        return page([subject_of(ledger, session)])


def _events(fleet: Fleet, session: str) -> Iterable[Event]:
    columns = ", ".join(EventRow._fields)
    quoted = session.replace("'", "''")
    rows = fleet.rows(f"SELECT {columns} FROM events WHERE session = '{quoted}' ORDER BY process, seq")
    return (from_row(EventRow(**row)) for row in rows)  # pyright: ignore[reportArgumentType]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise LedgerNotWritable(f"{folder}: can't be written ({error.strerror or error})") from error


def _refuse(file: Path, force: bool, final: Path) -> None:
    refuse_database(file, final)
    if not force:
        refuse_existing(file, final)
