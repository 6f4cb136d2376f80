"""What a page is made of: sections, and in each a part for every session."""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ledger.reports.html.breakdown import Bar
from ledger.reports.html.found import SHOWN, FoundRow
from ledger.reports.html.tables import Column, Table
from ledger.reports.html.waterfall import Waterfall

_NARROW: Final = ("totals", "by-role", "intervals")
"""Tables whose first columns say enough on a narrow screen, or that have too many rows to be lists there."""


class Chart(NamedTuple):
    """A place for a chart; `described` says what it shows to those who can't see it."""

    name: str
    kind: str
    described: str


@dataclass(slots=True)
class Part:
    """What a section has to say of one session."""

    side: str
    notes: list[str] = field(default_factory=list[str])
    bars: list[Bar] = field(default_factory=list[Bar])
    has_waterfall: bool = False
    findings: list[FoundRow] = field(default_factory=list[FoundRow])
    charts: list[Chart] = field(default_factory=list[Chart])
    tables: list[tuple[str, Table]] = field(default_factory=list[tuple[str, Table]])


@dataclass(slots=True)
class Section:
    """A question, and the answer for each session."""

    name: str
    title: str
    lead: str
    parts: list[Part]
    shared: list[tuple[str, Table]] = field(default_factory=list[tuple[str, Table]])
    """Tables that are about both sessions."""


class Head(NamedTuple):
    """Who a session is."""

    side: str
    name: str
    session: str
    outcome: str
    command: str
    versions: str
    times: str


class Contents(NamedTuple):
    """All that a page says."""

    title: str
    heads: list[Head]
    sections: list[Section]
    legend: list[tuple[str, int]]
    """The roles, each with its colour."""
    marks: list[tuple[str, str]]
    """What else is drawn: its style, and what it says."""
    sources: list[str]
    charts: dict[str, dict[str, Any]]
    waterfalls: dict[str, Waterfall]
    """By the letter of the session."""
    length_s: float
    families: list[str]
    """Those that the session's stages are of."""
    titles: dict[str, str]
    """What each family is called."""
    longest_window_ns: int
    findings_shown: int = SHOWN

    @property
    def lists(self) -> dict[str, tuple[Column, ...]]:
        """The tables that are lists on a narrow screen, by name, with their columns."""
        all_tables = [table for section in self.sections for _, table in section.shared]
        parts = [part for section in self.sections for part in section.parts]
        all_tables += [table for part in parts for _, table in part.tables]
        return {table.name: table.columns for table in all_tables if table.name not in _NARROW}
