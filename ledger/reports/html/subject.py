"""What a page is about: a session as it reduces to, on one clock, with what else the ledger knows of it."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final, NamedTuple

from ledger.formatting import cut
from ledger.storage.ledger import Ledger
from ledger.timeline.records import Interval, Process
from ledger.timeline.replay import ClockAlignment
from ledger.timeline.timeline import Timeline

Key = tuple[str, int]
"""An interval's process and id, or a claim's."""

_NAME: Final = 80
"""Characters of a name that fit into a heading."""


class Known(NamedTuple):
    """What the ledger knows of an interval beyond its record."""

    error: str | None
    data: str


class Subject:
    """A session to show."""

    def __init__(
        self,
        timeline: Timeline,
        on_clock: ClockAlignment,
        known: Mapping[Key, Known] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.timeline: Final = timeline
        self.on_clock: Final = on_clock
        self.notes: Final = notes
        """What a reader should know of how the ledger was read."""
        self._known = known or {}

    def since_start_ns(self, process: str, at_ns: int) -> int:
        """Return a time of a process, counted from the session's first event."""
        return at_ns + self.on_clock.offset_ns[process]

    def stop_ns(self, interval: Interval) -> int:
        """Return when an interval ended, on its process's clock; of an open one, until when it is known."""
        if interval.stop_ns is not None:
            return interval.stop_ns
        return interval.start_ns + (interval.open_ns or 0)

    def error(self, interval: Interval) -> str | None:
        """Return the class of the exception that left an interval."""
        known = self._known.get((interval.process, interval.interval))
        return known.error if known else None

    def data(self, interval: Interval) -> str | None:
        """Return what else belongs to an interval, as JSON."""
        known = self._known.get((interval.process, interval.interval))
        return known.data if known and known.data != "{}" else None

    @cached_property
    def name(self) -> str:
        """The session's label, or else its id."""
        session = self.timeline.session
        return cut(session.label or session.session, _NAME) if session else "no session"

    @cached_property
    def processes(self) -> Mapping[str, Process]:
        """The processes by id."""
        return {process.process: process for process in self.timeline.processes}

    def process_name(self, process: str) -> str:
        """Return a process's name, or else its id; as `report` does."""
        known = self.processes.get(process)
        return known.name if known and known.name is not None else process

    @cached_property
    def intervals(self) -> Mapping[Key, int]:
        """The place of each interval in the timeline, by process and id."""
        return {
            (interval.process, interval.interval): place
            for place, interval in enumerate(self.timeline.intervals)
        }

    @cached_property
    def length_ns(self) -> int:
        """From the session's first event until the last that a page draws."""
        timeline = self.timeline
        ends = [self.since_start_ns(known.process, self.stop_ns(known)) for known in timeline.intervals]
        marks = (*timeline.claims, *timeline.milestones)
        ends += [self.since_start_ns(mark.process, mark.at_ns) for mark in marks]
        return max(ends, default=0)


def subject_of(ledger: Ledger, session: str) -> Subject:
    """Read a session of a ledger. Raises UnknownSession, and LedgerError where it can't be read."""
    session = ledger.session(session)
    known = ledger.sql(
        "SELECT process, interval, error, data FROM intervals "
        "WHERE session = ? AND (error IS NOT NULL OR data <> '{}')",
        [session],
    )
    return Subject(
        ledger.timeline(session),
        ledger.clock_alignment(session),
        {
            (str(row["process"]), int(str(row["interval"]))): Known(_text(row["error"]), str(row["data"]))
            for row in known
        },
        _notes(ledger),
    )


def _notes(ledger: Ledger) -> tuple[str, ...]:
    notes = [ledger.warning] if ledger.warning else []
    rejected = ledger.sql("SELECT count(*) AS number FROM rejected_lines")[0]["number"]
    if rejected:
        notes.append(f"{rejected} lines of journals are no events: see rejected_lines")
    return tuple(notes)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
