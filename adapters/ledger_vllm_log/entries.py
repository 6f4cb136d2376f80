"""What one line of a log says, until its place on the timeline is known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from ledger_engine.model_parts import Part
from ledger_vllm.messages import Stated
from ledger_vllm_log.interval_placement import Placed
from ledger_vllm_log.records import Record

UNCERTAINTY_NS: Final = 1_000_000_000


class Place(NamedTuple):
    """Where a line was logged: its number in the log, and the place in the source that logged it."""

    line: int
    logged_by: str


@dataclass(slots=True)
class Entry:
    """What one line says, until its place on the timeline is known."""

    placed: Placed
    part: Part
    data: dict[str, Any]
    kind: Literal["stage", "moment"] = "stage"
    """A moment is only a place on the timeline, and no interval."""
    outcome: Literal["completed", "failed"] = "completed"
    claims: tuple[Stated, ...] = ()
    text: str = ""
    claim_data: dict[str, Any] = field(default_factory=dict[str, Any])
    begin: "Entry | None" = None
    """The line with which it began, where the stage lies between two stamps."""
    parts: int = 0
    """How many stages its claim is the sum of: those inside it, which come right after it."""


@dataclass(slots=True)
class Failure:
    """How a process failed."""

    at_ns: int | None
    """None where the process failed after start-up."""
    stamp: str | None
    """As its line has it, if that has one."""
    errors: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """The exceptions that were logged then, and their lines; the last one left the process."""

    @property
    def error(self) -> str | None:
        """The name of the exception that left the process."""
        return self.errors[-1][0] if self.errors else None


def data_of(record: Record, place: Place) -> dict[str, Any]:
    """Return what the data of each interval has: where it was logged, and how well its end is known."""
    uncertainty_ns = min(UNCERTAINTY_NS, record.unit_ns)
    return {"line": place.line, "logged_by": place.logged_by, "uncertainty_ns": uncertainty_ns}


def is_looked_up(sizes: str | None, parts: Sequence[Entry]) -> bool:
    """Whether a graph that is timed as a compile was found in the cache, as 0.7 words it."""
    return any(
        part.placed.stage == "graph_load" and _sizes(part.data.get("range")) == _sizes(sizes)
        for part in parts
    )


def graph_stages(parts: Sequence[Entry]) -> set[str]:
    """Return how the graphs of a compile came about: compiled, loaded, or both."""
    return {
        "graph_load" if part.data.get("cache") == "hit" else part.placed.stage
        for part in parts
        if part.placed.stage in ("graph_compile", "graph_load")
    }


def _sizes(sizes: str | None) -> str | None:
    """Return sizes by one name: 0.7 looks up `shape None`, and compiles for the `general shape`."""
    return "general shape" if sizes == "shape None" else sizes
