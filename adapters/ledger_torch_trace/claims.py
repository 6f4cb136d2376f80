"""Turns the metrics of a compile into claims, one for each duration, as `ledger_torch.claims` does live."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, cast

from ledger_torch.reliance import BACKWARD, DURATIONS_END_IN, FORWARD, NOT_DURATIONS, TIMED, TWINS
from ledger_torch.spans import Ended

_UNIT_NS: Final = {"_us": 1_000, "_ms": 1_000_000, "_s": 1_000_000_000}
_TOTAL: Final = "duration_us"
_CLOCK_SLACK_US: Final = 1_000
"""torch reads its clock for a record and for the span around it at two moments."""
_MAX_NS: Final = 2**63 - 1

COUNTED: Final = frozenset(
    (FORWARD, BACKWARD, *(stage for timed in TIMED.values() for stage in (timed.stage, *timed.others)))
)
"""Stages whose lengths torch adds up into a field."""


class Claimed(NamedTuple):
    """One duration that a record claims."""

    stage: str
    claimed_ns: int
    resolution_ns: int
    text: str
    interval: int | None
    data: dict[str, object]


def claimed(metrics: Mapping[str, object], take_ended: Callable[[float], list[Ended]]) -> Iterator[Claimed]:
    """Yield a record's claims; `take_ended` returns what its lane ended that began since a time in µs."""
    about: dict[str, object] = {}
    for name in ("compile_id", "is_forward", "is_runtime", "fail_type"):
        value = metrics.get(name)
        if isinstance(value, (str, bool)):
            about[name] = value
    said = metrics.get("start_time_us")
    began_us = cast("float", said) if type(said) in (int, float) else 0
    # A runtime's record is of all that ended outside of any compile, and begins when the first of it has.
    own = take_ended(0 if about.get("is_runtime") else began_us - _CLOCK_SLACK_US)
    for field, value, claimed_ns, resolution_ns in _durations(metrics):
        stage, intervals = _timed(field, about, own)
        data: dict[str, object] = {"field": field, **about}
        if len(intervals) > 1:
            data["intervals"] = intervals
        only = intervals[0] if len(intervals) == 1 else None
        yield Claimed(stage, claimed_ns, resolution_ns, f"{field}={value}", only, data)


def _durations(metrics: Mapping[str, object]) -> Iterator[tuple[str, float, int, int]]:
    """Yield each duration's field, value, length and resolution: those of `ledger_torch.claims.durations`."""
    for field, said in metrics.items():
        suffix = next((end for end in DURATIONS_END_IN if field.endswith(end)), None)
        if suffix is None or field in NOT_DURATIONS or type(said) not in (int, float):
            continue
        value = cast("float", said)
        if (value == 0 and field != _TOTAL) or metrics.get(TWINS.get(field, "")) is not None:
            continue
        # What the ledger has no room for is no duration either.
        if math.isfinite(value) and abs(value) < _MAX_NS / _UNIT_NS[suffix]:
            yield field, value, round(value * _UNIT_NS[suffix]), DURATIONS_END_IN[suffix]


def _timed(field: str, about: Mapping[str, object], own: Sequence[Ended]) -> tuple[str, list[int]]:
    """Return the stage that a field times, the field itself where that is not known, and its spans."""
    if (timed := TIMED.get(field)) is not None:
        return timed.stage, [span.interval for span in own if span.stage in (timed.stage, *timed.others)]
    if field != _TOTAL:
        return field, []
    # The last to end is the whole: a compile inside the backend of another one has no record of its own.
    whole = [span for span in own if span.stage in (FORWARD, BACKWARD)][-1:] or _outermost(own)
    if len(whole) == 1:
        return whole[0].stage, [whole[0].interval]
    if not whole and "is_forward" in about and not about.get("is_runtime"):
        return (FORWARD if about["is_forward"] else BACKWARD), []
    return field, [span.interval for span in whole]


def _outermost(own: Sequence[Ended]) -> list[Ended]:
    """Return the spans that lie within no other one, of spans in the order in which they ended."""
    return [
        span
        for at, span in enumerate(own)
        if not any(later.begin_us <= span.begin_us for later in own[at + 1 :])
    ]
