"""The command `report`: shows where a session's time went, as text, JSON, a page or flame graphs."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ledger.cli.console import completion
from ledger.cli.console.options import AsJson, Force, NoPager, SessionName
from ledger.cli.console.pager import paged
from ledger.cli.console.printing import Color, open_ledger, printer
from ledger.cli.console.terminal import echo
from ledger.errors import LedgerError
from ledger.reports.first_screen import print_first_screen
from ledger.reports.from_ledger import read_first_screen, read_report
from ledger.reports.json_renderer import to_json
from ledger.reports.text import SECTIONS, print_report
from ledger.storage.ledger import Ledger


def report(
    file: Annotated[Path | None, typer.Argument(help="The ledger.")] = None,
    session: SessionName = None,
    sections: Annotated[
        list[str] | None,
        typer.Option("--section", metavar="NAME", help=f"Show this section in full: {', '.join(SECTIONS)}."),
    ] = None,
    is_whole: Annotated[bool, typer.Option("--all", help="Show all sections that are not empty.")] = False,
    color: Annotated[
        Color, typer.Option(help="Whether to colour; auto does so on a terminal, and heeds NO_COLOR.")
    ] = "auto",
    as_json: AsJson = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Write a self-contained HTML page instead.")
    ] = None,
    flame: Annotated[
        Path | None, typer.Option("--flame", metavar="OUT", help="Write flame graphs for speedscope instead.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="SESSION",
            help="A second session to show beside it on the page.",
            autocompletion=completion.sessions,
        ),
    ] = None,
    fleet: Annotated[
        str | None,
        typer.Option(
            "--fleet",
            metavar="LAKE",
            help="With --html, and in place of FILE: a page over the Parquet files of many machines.",
        ),
    ] = None,
    force: Force = False,
    no_pager: NoPager = False,
) -> None:
    """Show how long a start took, where that went, and what to do.

    By default that of the newest session: until it was ready.

    Example: compile-ledger report startup.db

    Example: compile-ledger report startup.db --section claims --section failed

    Example: compile-ledger report startup.db --session nightly --html startup.html

    Example: compile-ledger report startup.db --flame startup.speedscope.json

    Example: compile-ledger report --fleet lake/ --html fleet.html
    """
    if fleet is not None:
        if html is None:
            raise LedgerError("--fleet needs --html; as text, use `compile-ledger fleet LAKE --query NAME`")
        others = (file, session, sections, flame, against)
        if any(other is not None for other in others) or is_whole or as_json:
            raise LedgerError("--fleet goes with --html and --force alone: it is about all starts of a lake")
        printer(stderr=True).print(Text(_write_fleet_page(fleet, html, force=force)), soft_wrap=True)
        return
    if file is None:
        raise LedgerError("name a ledger, or the Parquet files of many machines with --fleet LAKE")
    _check(as_json, html, flame)
    _check_sections(sections or [])
    if against is not None and html is None:
        raise LedgerError("--against needs --html; to compare as text, use `compile-ledger diff A B`")
    if html is not None or flame is not None:
        from ledger.cli.console.pictures import refuse_pictures

        refuse_pictures((html, flame), force=force)
    with open_ledger(file) as ledger:
        chosen = ledger.session(session)
        if html is not None or flame is not None:
            others = [] if against is None else [ledger.session(against)]
            for sentence in _write_pictures(ledger, [chosen, *others], html, flame, force=force):
                printer(stderr=True).print(Text(sentence), soft_wrap=True)
        elif as_json:
            echo(to_json(read_report(ledger, chosen)))
        elif is_whole or sections:
            with paged(is_wanted=not no_pager, color=color) as console:
                print_report(read_report(ledger, chosen), console, *(sections or []))
        else:
            print_first_screen(read_first_screen(ledger, chosen), printer(color=color))


def _check_sections(names: Sequence[str]) -> None:
    """Raise LedgerError for a section that there is not."""
    for name in names:
        if name not in SECTIONS:
            raise LedgerError(f"there is no section {name!r}; there are {', '.join(SECTIONS)}")


def _check(as_json: bool, html: Path | None, flame: Path | None) -> None:
    """Raise LedgerError if the output options contradict each other."""
    for option, file in (("--html", html), ("--flame", flame)):
        if as_json and file is not None:
            raise LedgerError(f"--json and {option} were both given; give one of them")
    if html is not None and flame is not None and os.path.realpath(html) == os.path.realpath(flame):
        raise LedgerError(f"--html and --flame both name {html}; name two files")


def _write_fleet_page(lake: str, html: Path, *, force: bool) -> str:
    """Write the page of a fleet; return a sentence about it."""
    from ledger.cli.console.fleet_pictures import write_fleet_page
    from ledger.fleet import Fleet

    with Fleet.open(lake) as fleet:
        return write_fleet_page(fleet, lake, html, force=force)


def _write_pictures(
    ledger: Ledger, sessions: Sequence[str], html: Path | None, flame: Path | None, *, force: bool
) -> Iterator[str]:
    """Write the requested files, and yield a sentence about each. Flame graphs show the first session."""
    from ledger.cli.console.pictures import write_flame_graphs, write_page

    if html is not None:
        yield write_page(ledger, sessions, html, force=force)
    if flame is not None:
        yield write_flame_graphs(ledger, sessions[0], flame, force=force)
