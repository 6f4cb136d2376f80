"""Parses vLLM's log messages: the durations and events that they report.

`ledger_vllm.message_patterns` is the table of the messages.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from ledger_vllm.message_patterns import (
    DURATIONS,
    NOTICES,
    OCCURRENCES,
    DurationPattern,
    NoticeName,
    OccurrencePattern,
    Source,
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


class Notice(NamedTuple):
    """What a message says about the start-up as a whole."""

    name: NoticeName
    detail: str | None = None
    """The version, or the exception."""

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
    """Return the durations that a message states; mostly None."""
    tag, text = _without_tag(message)
    for row in DURATIONS:
        if (match := re.fullmatch(row.pattern, text)) is not None:
            return Durations(row, _durations(row, match.groupdict(), tag))
    return None


def occurrence_in(message: str) -> Occurrence | None:
    """Return the event that a message without a duration reports; mostly None."""
    tag, text = _without_tag(message)
    for row in OCCURRENCES:
        if (match := re.fullmatch(row.pattern, text, re.DOTALL)) is not None:
            groups = match.groupdict()
            rank = groups.get("rank")
            return Occurrence(
                row, tag, groups.get("path"), groups.get("reason"), _range(groups),
                None if rank is None else int(rank),
            )  # fmt: skip
    return None


def notice_in(message: str) -> Notice | None:
    """Return what a message says about the start-up as a whole; mostly None."""
    for row in NOTICES:
        if (match := re.fullmatch(row.pattern, message, re.DOTALL)) is not None:
            return Notice(row.name, match.groupdict().get("detail"))
    return None


def _without_tag(message: str) -> tuple[str | None, str]:
    tagged = _TAG.fullmatch(message)
    return (tagged["tag"], tagged["message"]) if tagged else (None, message)


def _durations(row: DurationPattern, groups: Mapping[str, str | None], tag: str | None) -> Sequence[Stated]:
    printed = str(groups["seconds"])
    own = Stated(
        row.stage.name, row.stage.source, float(printed), _resolution_ns(printed),
        tag=tag, range=_range(groups),
    )  # fmt: skip
    rank_totals = (
        Stated(
            total.stage.name, row.stage.source, float(seconds), _resolution_ns(seconds), "ranks", total.role
        )
        for total in row.rank_totals
        if (seconds := groups[total.group]) is not None
    )
    return (own, *rank_totals)


def _range(groups: Mapping[str, str | None]) -> str | None:
    return groups.get("range") or groups.get("shape")


def _resolution_ns(printed: str) -> int:
    return 10 ** max(0, 9 - len(printed.partition(".")[2]))
