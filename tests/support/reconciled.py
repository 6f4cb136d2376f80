"""Sessions to be reconciled, as tests write them down, and what became of their claims."""

from typing import Any, TypeAlias

from ledger import Timeline
from ledger.events.models import Event, GapNoted
from ledger.testing import SessionBuilder

S = 1_000_000_000
MS = 1_000_000
CENT = 10 * MS
"""The resolution of "16.77 s"."""
LANGUAGE: dict[str, Any] = {"role": "language_model", "component": "backbone"}
ENCODER: dict[str, Any] = {"role": "encoder", "component": "VisionBlock"}
DRAFTER: dict[str, Any] = {"role": "drafter", "component": "eagle_head"}

Shown: TypeAlias = "int | tuple[str, int]"
"""An interval that shows a cause: its id, and its process before that where it is not the claim's."""
Breakdown: TypeAlias = dict[tuple[str, str | None], tuple[int, list[Shown]]]
"""By cause and stage: the nanoseconds, signed, and the intervals that show it."""


def ns(seconds: float) -> int:
    return round(seconds * S)


def merged(*builders: SessionBuilder) -> list[Event]:
    """The events of several processes."""
    return [event for builder in builders for event in builder.events]


class Worker(SessionBuilder):
    """A worker of vLLM's, whose clock is moved on by what happens; in seconds, for the eye."""

    def __init__(self, process: str = "worker", *, host: str = "host") -> None:
        super().__init__(process=process)
        self.begin(host=host)
        self.at = 0.0

    def stage(self, stage: str, seconds: float, outcome: Any = "completed", **known: Any) -> int:
        """An interval from now on."""
        interval = self.open(stage, **known)
        self.at += seconds
        self.shut(interval, outcome)
        return interval

    def open(self, stage: str, **known: Any) -> int:
        return self.start(ns(self.at), stage, **known)

    def shut(self, interval: int, outcome: Any = "completed") -> None:
        self.stop(ns(self.at), interval, outcome)

    def say(self, seconds: float, **known: Any) -> int:
        return self.claim(ns(self.at), ns(seconds), **known)

    def add(self, seconds: float, interval: int, accumulator: str | None = None, **known: Any) -> int:
        """Add to an accumulator."""
        data = {**known.pop("data", {}), **({"accumulator": accumulator} if accumulator else {})}
        known = {"source": "monitor", "counts": "addition", "interval": interval, **known}
        return self.say(seconds, data=data or None, **known)

    def gap(self, at_ns: int, what: str, detail: str | None = None) -> None:
        self.events.append(
            GapNoted(
                session=self.session, process=self.process, seq=len(self.events), at_ns=at_ns, what=what,
                detail=detail,
            )
        )  # fmt: skip

    def compile(self, seconds: float, *, added: bool = True, outcome: Any = "completed", **known: Any) -> int:
        """A compile that the monitor times, and adds up."""
        interval = self.stage("torch_compile", seconds, outcome, source="monitor", **known)
        if added:
            self.add(seconds, interval, **known)
        return interval


def parts_of(timeline: Timeline, claim: int, process: str = "worker") -> Breakdown:
    """The parts of a claim's difference; that they add up is checked on the way."""
    [row] = (row for row in timeline.reconciliation if (row.process, row.claim) == (process, claim))
    shares = [share for share in timeline.causes if (share.process, share.claim) == (process, claim)]
    assert sum(share.ns for share in shares) == (row.difference_ns or 0)
    if row.measured_ns is not None:
        assert row.difference_ns == row.claimed_ns - row.measured_ns
        most = max((abs(share.ns) for share in shares), default=None)
        assert row.main_cause in [share.cause for share in shares if abs(share.ns) == most] or not shares
    found: Breakdown = {}
    for share in shares:
        assert share.ns
        assert (share.cause, share.stage) not in found
        shown = list(share.intervals)
        found[share.cause, share.stage] = (
            share.ns,
            [interval if of == process else (of, interval) for of, interval in shown],
        )
    return found
