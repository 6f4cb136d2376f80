"""Parses vLLM's log messages: the durations and events that they report.

`ledger_vllm.message_patterns` is the table of the messages.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from ledger_vllm.logged_stages import Source
from ledger_vllm.message_patterns import (
    DURATIONS,
    DurationPattern,
    NoticeName,
    OccurrencePattern,
)


class Stated(NamedTuple):
    """A duration that a message states."""

    stage: str
    source: Source
    seconds: float
    resolution_ns: int
    """The unit of the last digit that was printed."""
    counts: Literal["interval", "ranks"] = "interval"
    role: str | None = None
    """Only where the message itself names it."""
    tag: str | None = None
    """The component in front of the message, from 0.32 on."""
    range: str | None = None
    """The range of sizes that graphs were compiled for; in old versions `dynamic shape`, `shape None`."""
    component: str | None = None
    """What the time was spent on, where the message itself names it and no component of the model."""


class Durations(NamedTuple):
    """A message that states durations: its own first, then the rank totals."""

    pattern: DurationPattern
    stated: Sequence[Stated]


class Occurrence(NamedTuple):
    """An event in a process, from a message without a duration."""

    pattern: OccurrencePattern
    tag: str | None = None
    path: str | None = None
    reason: str | None = None
    range: str | None = None
    rank: int | None = None
    name: str | None = None
    """Of a kernel."""
    factors: Mapping[str, str] | None = None
    """The parts of a cache's key, as digests."""


class Notice(NamedTuple):
    """What a message says about the start-up as a whole."""

    name: NoticeName
    detail: str | None = None
    """The version, or the exception."""
    text: str = ""
    """The whole message."""

    @property
    def is_introduction(self) -> bool:
        """Whether a process logs this when it begins."""
        return self.name in ("version", "arguments", "engine")


_TAG: Final = re.compile(r"\[(?P<tag>[A-Za-z_][\w.\-]*)\] (?P<message>.*)", re.DOTALL)


def stated(message: str) -> Sequence[Stated]:
    """Return the durations in a message of a recorded process: mostly none, several in the engine's line."""
    durations = durations_in(message)
    return durations.stated if durations is not None and durations.pattern.is_recorded else ()


def durations_in(message: str) -> Durations | None:
    """Return the durations that a message of the shared table states; mostly None."""
    tag, text = without_tag(message)
    for row in DURATIONS:
        if (match := re.fullmatch(row.pattern, text)) is not None:
            return durations_of(row, match.groupdict(), tag)
    return None


def without_tag(message: str) -> tuple[str | None, str]:
    """Return the component's tag in front of a message, and the message."""
    tagged = _TAG.fullmatch(message) if message.startswith("[") else None
    return (tagged["tag"], tagged["message"]) if tagged else (None, message)


def durations_of(row: DurationPattern, groups: Mapping[str, str | None], tag: str | None) -> Durations:
    """Return the durations in a message that a row matches, by the row's groups."""
    printed, per_s = (
        (seconds, 1) if (seconds := groups.get("seconds")) else (str(groups["milliseconds"]), 1_000)
    )
    own = Stated(
        row.stage.name,
        row.stage.source,
        float(printed) / per_s,
        max(1, _resolution_ns(printed) // per_s),
        tag=tag,
        range=_range(groups),
        component=groups.get("component"),
    )
    rank_totals = (
        Stated(
            total.stage.name, row.stage.source, float(seconds), _resolution_ns(seconds), "ranks", total.role
        )
        for total in row.rank_totals
        if (seconds := groups[total.group]) is not None
    )
    return Durations(row, (own, *rank_totals))


def occurrence_of(row: OccurrencePattern, groups: Mapping[str, str | None], tag: str | None) -> Occurrence:
    """Return the event that a message reports which a row matches, by the row's groups."""
    rank = groups.get("rank")
    factors = {name: groups.get(name) for name in ("env", "config", "compiler", "code")}
    return Occurrence(
        row, tag, groups.get("path"), groups.get("reason"), _range(groups),
        None if rank is None else int(rank), groups.get("name"),
        {name: digest for name, digest in factors.items() if digest is not None} or None,
    )  # fmt: skip


def _range(groups: Mapping[str, str | None]) -> str | None:
    return groups.get("range") or groups.get("shape")


def _resolution_ns(printed: str) -> int:
    return 10 ** max(0, 9 - len(printed.partition(".")[2]))
