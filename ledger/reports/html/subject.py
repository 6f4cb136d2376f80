"""What a page shows: a session's report, on one clock."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final

from ledger.formatting import cut
from ledger.reports.from_ledger import facts_of
from ledger.reports.html.left_out import ONE_BY_ONE, LeftOut, read_for_page
from ledger.reports.interval_names import IntervalNames
from ledger.reports.model import Report
from ledger.reports.sections import Key, process_namer, report_of
from ledger.reports.startup import startup_rows
from ledger.storage.ledger import Ledger
from ledger.timeline.clocks import ClockAlignment
from ledger.timeline.process_lives import Lives, ProcessLife
from ledger.timeline.records import Interval, Process, StartupPiece
from ledger.timeline.timeline import Timeline

_NAME: Final = 80
"""Characters of a name that fit into a heading."""
DRAWN_PROCESSES: Final = 1_000
"""A page draws no more: a browser has to lay a lane out for each."""


class Subject:
    """A session to show."""

    def __init__(
        self,
        report: Report,
        on_clock: ClockAlignment,
        lives: Lives,
        warning: str | None = None,
        left_out: LeftOut | None = None,
    ) -> None:
        self.report: Final = report
        self.on_clock: Final = on_clock
        self.lives: Final = lives
        self.warning: Final = warning
        """What a reader should know of how the ledger was opened."""
        self.left_out: Final = left_out
        """The intervals that a page has not one by one, since they are too many."""
        self.process_name: Final = process_namer(report.timeline)
        """Returns a process's name, or else its id."""
        self.interval_name: Final = IntervalNames(report.timeline)

    @property
    def timeline(self) -> Timeline:
        """The session's records."""
        return self.report.timeline

    def since_start_ns(self, process: str, at_ns: int) -> int:
        """Return a time of a process, counted from the session's first event."""
        return at_ns + self.on_clock.offset_ns[process]

    def stop_ns(self, interval: Interval) -> int:
        """Return when an interval ended, on its process's clock; of an open one, its last known moment."""
        if interval.stop_ns is not None:
            return interval.stop_ns
        return interval.start_ns + (interval.open_ns or 0)

    @cached_property
    def name(self) -> str:
        """The session's label, or else its id."""
        heading = self.report.heading
        return cut(heading.label or heading.session, _NAME)

    @cached_property
    def processes(self) -> Mapping[str, Process]:
        """The processes by id."""
        return {process.process: process for process in self.timeline.processes}

    @cached_property
    def intervals(self) -> Mapping[Key, int]:
        """The place of each interval in the timeline, by process and id."""
        return {
            (interval.process, interval.interval): place
            for place, interval in enumerate(self.timeline.intervals)
        }

    @cached_property
    def drawn_processes(self) -> Collection[str]:
        """The processes that a page draws: of very many those that lived longest."""
        lives = self.lives.processes
        if len(lives) <= DRAWN_PROCESSES:
            return self.lives.offset_ns.keys()
        last_ns = max(life.began_ns if life.ended_ns is None else life.ended_ns for life in lives)

        def by_length(life: ProcessLife) -> tuple[int, int, str]:
            ended_ns = last_ns if life.ended_ns is None else life.ended_ns
            return life.began_ns - ended_ns, life.began_ns, life.process

        return {life.process for life in sorted(lives, key=by_length)[:DRAWN_PROCESSES]}

    @property
    def interval_count(self) -> int:
        """How many intervals the session has, with those that are left out."""
        return len(self.timeline.intervals) + (self.left_out.number if self.left_out else 0)

    def pieces(self) -> Iterable[StartupPiece]:
        """Return the pieces of the start, to be taken one by one."""
        return self.left_out.pieces() if self.left_out else self.timeline.startup_breakdown

    @cached_property
    def length_ns(self) -> int:
        """From the session's first event until the last that a page draws."""
        timeline = self.timeline
        ends = [self.since_start_ns(one.process, self.stop_ns(one)) for one in timeline.intervals]
        if self.left_out:
            ends += (
                self.since_start_ns(process, last_ns) for process, last_ns in self.left_out.last_ns.items()
            )
        marks = (*timeline.claims, *timeline.milestones)
        ends += [self.since_start_ns(mark.process, mark.at_ns) for mark in marks]
        return max(ends, default=0)


def subject_of(ledger: Ledger, session: str, most: int = ONE_BY_ONE) -> Subject:
    """Read a session of a ledger, of its intervals about `most`, where it has more than that.

    Raises UnknownSession, and LedgerError where it can't be read.
    """
    session = ledger.session(session)
    clocks = ledger.clock_alignment(session)
    facts = facts_of(ledger, session, clocks)
    timeline, left_out = read_for_page(ledger, session, facts.findings or (), most)
    report = report_of(timeline, facts)
    if left_out is not None:
        rows = startup_rows(timeline.startup_windows, left_out.pieces(), process_namer(timeline))
        report = replace(report, startup=replace(report.startup, rows=rows))
    return Subject(report, clocks, ledger.process_lives(session), ledger.warning, left_out)
