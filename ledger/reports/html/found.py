"""The findings of a session as a page shows them: what is worth most first, each with where it shows."""

from typing import Final, NamedTuple

from ledger.durations import seconds
from ledger.formatting import cut
from ledger.reports.html.addresses import target_of
from ledger.reports.html.subject import Subject
from ledger.timeline.findings import Finding
from ledger.timeline.records import IntervalKey
from ledger.vocabulary import FINDINGS

SHOWN: Final = 5
_MOST: Final = 200
_LINKS: Final = 3
_NAME: Final = 100
_TEXT: Final = 600


class Place(NamedTuple):
    """An interval that shows a finding."""

    name: str
    target: str
    seconds: str
    process: str


class FoundRow(NamedTuple):
    """A finding."""

    title: str
    meaning: str
    stake_ns: int
    seconds: str
    summary: str
    advice: str
    about: str
    """Which process, role and component."""
    places: tuple[Place, ...]
    more: int
    """How many further intervals show it."""


def found_rows(subject: Subject) -> list[FoundRow]:
    """Return what a page says of each finding."""
    return [_row(subject, finding) for finding in subject.report.findings[:_MOST]]


def _row(subject: Subject, finding: Finding) -> FoundRow:
    keys = [key for key in finding.intervals if key in subject.intervals]
    number = len(finding.intervals) if subject.left_out else len(keys)
    process = finding.process and subject.process_name(finding.process)
    about = [cut(part, _NAME) for part in (process, finding.role, finding.component) if part]
    return FoundRow(
        cut(finding.finding.replace("_", " "), _NAME),
        FINDINGS.get(finding.finding, ""),
        finding.stake_ns,
        seconds(finding.stake_ns),
        cut(finding.summary, _TEXT),
        cut(finding.advice, _TEXT),
        ", ".join(about),
        tuple(_place(subject, key) for key in keys[:_LINKS]),
        max(number - _LINKS, 0),
    )


def _place(subject: Subject, key: IntervalKey) -> Place:
    interval = subject.timeline.intervals[subject.intervals[key]]
    ns = subject.stop_ns(interval) - interval.start_ns
    name = cut(subject.interval_name(interval), _NAME)
    return Place(name, target_of(*key), seconds(ns), cut(subject.process_name(key.process), _NAME))
