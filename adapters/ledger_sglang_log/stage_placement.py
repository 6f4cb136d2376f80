"""Places the stages of a process on the timeline, from the stamps of both their lines and the stated length.

A stamp is the beginning of the second in which a line was logged. So a stage with a stated length begins
within the second of its first line and ends within that of its last one, as early as it can after what came
before it.
Where its length fits into neither, it ends at the end of that second, and begins as long before as is stated.
A stage without a stated length lies between its stamps.
"""

from dataclasses import dataclass, field
from typing import Any

from ledger_sglang_log.message_patterns import Stage


@dataclass(slots=True)
class Placed:
    """A stage that has begun, and where it lies once it has ended."""

    stage: Stage
    begin_ns: int | None
    """The stamp of its first line; None where only its end was logged."""
    unit_ns: int
    component: str | None = None
    role: str | None = None
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    end_ns: int | None = None
    length_ns: int | None = None
    text: str = ""
    """The line that stated the length."""
    outcome: str = "completed"
    inside: "list[Placed]" = field(default_factory=list["Placed"])
    """The stages that were logged while it went on, in their order."""
    start_ns: int = 0
    stop_ns: int | None = None
    """None while it goes on."""

    def put(self, floor_ns: int, ceiling_ns: int | None = None) -> int:
        """Place it and what is inside of it; return from when on the next one may lie.

        It is not placed before `floor_ns` where its stamp allows that, nor ends after `ceiling_ns`.
        """
        if self.end_ns is None:
            self.start_ns = _not_before(floor_ns, self.begin_ns or 0, self.unit_ns)
        elif self.length_ns is None:
            begin_ns = self.end_ns if self.begin_ns is None else self.begin_ns
            self.start_ns = _not_before(floor_ns, begin_ns, self.unit_ns)
            self.stop_ns = max(self.start_ns, _capped(self.end_ns, ceiling_ns))
            self.start_ns = min(self.start_ns, self.stop_ns)
        else:
            self._put_length(self.end_ns, self.length_ns, floor_ns, ceiling_ns)
        inner_ns = self.start_ns
        for one in self.inside:
            inner_ns = one.put(inner_ns, self.stop_ns)
        return inner_ns if self.stop_ns is None else max(floor_ns, self.stop_ns)

    def _put_length(self, end_ns: int, length_ns: int, floor_ns: int, ceiling_ns: int | None) -> None:
        latest_ns = _capped(end_ns + self.unit_ns - 1, ceiling_ns)
        stop_ns = _capped(end_ns, ceiling_ns)
        earliest_ns = (
            floor_ns if self.begin_ns is None else _not_before(floor_ns, self.begin_ns, self.unit_ns)
        )
        if stop_ns < earliest_ns + length_ns:
            # Later within the second of the stamp, as far as that goes; an overlap beyond that is kept.
            fits = earliest_ns + length_ns <= latest_ns
            stop_ns = earliest_ns + length_ns if fits else latest_ns if self.begin_ns is not None else stop_ns
        self.start_ns, self.stop_ns = max(0, stop_ns - length_ns), stop_ns


def _not_before(floor_ns: int, stamp_ns: int, unit_ns: int) -> int:
    """Return the earliest time of a stamp that is not before a floor, or else the stamp itself."""
    return floor_ns if stamp_ns < floor_ns < stamp_ns + unit_ns else stamp_ns


def _capped(at_ns: int, ceiling_ns: int | None) -> int:
    return at_ns if ceiling_ns is None else min(at_ns, ceiling_ns)
