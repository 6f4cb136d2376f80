"""Public test fakes: a clock moved by hand, an in-memory ledger, and a builder of sessions."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from ledger.events.models import (
    Event,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    SessionEnded,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
)
from ledger.interchange.importers import store_of
from ledger.storage.ledger import Ledger
from ledger.vocabulary import Activity, Counts, Outcome, Source, activity_of


class FakeClock:
    """A monotonic clock, in nanoseconds, that moves only when advanced."""

    def __init__(self, at_ns: int = 0) -> None:
        self.at_ns = at_ns

    def __call__(self) -> int:
        """Return the current time."""
        return self.at_ns

    def advance(self, ns: int) -> int:
        """Advance the clock and return the new time."""
        self.at_ns += ns
        return self.at_ns


class MemoryLedger(Ledger):
    """An in-memory ledger of the given events, with the tables and views of a real one."""

    def __init__(self, events: Iterable[Event]) -> None:
        """Raises ConflictingEvents if two different events have the same key."""
        super().__init__(Path(":memory:"), store_of(events), None)


class SessionBuilder:
    """Builds one process's events, numbered, at given times.

    >>> builder = SessionBuilder("s")
    >>> outer = builder.start(0, "torch_compile", role="encoder", source="monitor")
    >>> builder.stop(10, outer)
    >>> [total.total_ns for total in reduce(builder.events).role_totals]
    [10]
    """

    def __init__(self, session: str = "session", process: str = "process") -> None:
        self.session: Final = session
        self.process: Final = process
        self.events: Final[list[Event]] = []

    @property
    def _seq(self) -> int:
        return len(self.events)

    def begin(
        self, at_ns: int = 0, *, label: str | None = None, wall_ns: int = 0, host: str = "host"
    ) -> None:
        """Start the session and let the process join."""
        key = {"session": self.session, "process": self.process, "at_ns": at_ns}
        self.events.append(
            SessionStarted.model_validate({**key, "seq": self._seq, "label": label, "wall_ns": wall_ns})
        )
        self.events.append(
            ProcessJoined.model_validate(
                {
                    **key,
                    "seq": self._seq,
                    "name": self.process,
                    "host": host,
                    "boot_id": host,
                    "wall_ns": wall_ns,
                }
            )
        )

    def start(
        self,
        at_ns: int,
        stage: str,
        *,
        role: str | None = None,
        component: str | None = None,
        source: Source = "user",
        activity: Activity | None = None,
        thread: str = "main",
        parent: int | None = None,
    ) -> int:
        """Begin an interval and return its id."""
        interval = self._seq
        self.events.append(
            StageStarted(
                session=self.session, process=self.process, seq=interval, at_ns=at_ns, interval=interval,
                stage=stage, role=role, component=component, source=source, thread=thread, parent=parent,
                activity=activity or activity_of(stage, source),
            )
        )  # fmt: skip
        return interval

    def stop(
        self, at_ns: int, interval: int, outcome: Outcome = "completed", error: str | None = None
    ) -> None:
        """End an interval."""
        self.events.append(
            StageStopped(
                session=self.session, process=self.process, seq=self._seq, at_ns=at_ns, interval=interval,
                outcome=outcome, error=error,
            )
        )  # fmt: skip

    def claim(
        self,
        at_ns: int,
        claimed_ns: int,
        *,
        source: Source,
        counts: Counts = "interval",
        role: str | None = None,
        stage: str | None = "torch_compile",
        component: str | None = None,
        interval: int | None = None,
        resolution_ns: int | None = None,
        text: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> int:
        """Claim a duration and return the claim's id."""
        claim = self._seq
        fields = {
            "session": self.session, "process": self.process, "seq": claim, "at_ns": at_ns, "claim": claim,
            "claimed_ns": claimed_ns, "source": source, "counts": counts, "role": role, "stage": stage,
            "component": component, "interval": interval, "resolution_ns": resolution_ns, "text": text,
            "data": data,
        }  # fmt: skip
        self.events.append(TotalClaimed.model_validate(fields))
        return claim

    def milestone(self, at_ns: int, name: str) -> None:
        """Reach a milestone."""
        key = {"session": self.session, "process": self.process, "at_ns": at_ns}
        self.events.append(MilestoneReached.model_validate({**key, "seq": self._seq, "name": name}))

    def end(self, at_ns: int, outcome: Outcome = "completed") -> None:
        """End the session, and let the process leave."""
        key = {"session": self.session, "process": self.process, "at_ns": at_ns, "outcome": outcome}
        self.events.append(SessionEnded.model_validate({**key, "seq": self._seq}))
        self.events.append(
            ProcessLeft.model_validate({**key, "seq": self._seq, "event_count": self._seq + 1})
        )
