"""The `data` of a claim that reconciliation acts upon, as typed fields.

Emitters write what they like there. What is missing or malformed is left out here, and never raises.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from ledger.timeline.records import Claim


class IncludedLengths(NamedTuple):
    """Lengths of time inside an interval, that a total adds up."""

    interval: int
    lengths_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClaimData:
    """What a claim says beyond its own fields. Each field is a key of the JSON object of the same name."""

    intervals: tuple[int, ...] = ()
    """The ids of the intervals that it is about, where these are several; each once."""
    accumulator: str | None = None
    """The accumulator that it is added to, or that it reads."""
    parts: tuple[int, ...] = ()
    """The ids of the intervals that its number adds up, where no clock was looked at for the whole."""
    range: str | None = None
    """The range of sizes that its graphs were compiled for."""
    is_of_wall_clock: bool = False
    """Whether its claimant read the wall clock (`clock` is "wall"), which may be set meanwhile."""
    adds_up: Mapping[str, int] | None = None
    """What a total adds up: by stage, how many of the last intervals of its source and process that had
    ended. None where it does not say."""
    within: tuple[IncludedLengths, ...] = ()
    """What a total adds up besides: written as lists of an interval's id and lengths in nanoseconds."""


_NOTHING = ClaimData()


def claim_data(claim: Claim) -> ClaimData:
    """Return what a claim's `data` says."""
    data = claim.data
    if not data:
        return _NOTHING
    return ClaimData(
        intervals=tuple(dict.fromkeys(_integers(data.get("intervals")))),
        accumulator=_text(data.get("accumulator")),
        parts=tuple(dict.fromkeys(_integers(data.get("parts")))),
        range=_text(data.get("range")),
        is_of_wall_clock=data.get("clock") == "wall",
        adds_up=_adds_up(data.get("adds_up")),
        within=tuple(_within(data.get("within"))),
    )


def names_of(claim: Claim, data: ClaimData) -> Sequence[int]:
    """Return the ids of the intervals that a claim with such `data` names, each once."""
    return data.intervals if claim.interval is None else (claim.interval,)


def _integers(value: object) -> Iterator[int]:
    # A bool is an int as well, and means neither an id nor a length.
    return (item for item in _list(value) if type(item) is int)


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _adds_up(value: object) -> Mapping[str, int] | None:
    if not isinstance(value, Mapping):
        return None
    numbers = cast("Mapping[str, object]", value)
    return {stage: number for stage, number in numbers.items() if type(number) is int and number > 0}


def _within(value: object) -> Iterator[IncludedLengths]:
    for item in map(_list, _list(value)):
        if item and type(interval := item[0]) is int:
            lengths_ns = tuple(length_ns for length_ns in _integers(item[1:]) if length_ns > 0)
            yield IncludedLengths(interval, lengths_ns)
