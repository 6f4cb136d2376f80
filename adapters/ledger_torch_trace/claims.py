"""Turns the metrics of a compile into claims, one for each duration, as `ledger_torch.claims` does live."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, cast

from ledger_torch.claims import CLOCK_SLACK_US, claim_data, durations_of, timed_by
from ledger_torch.compile_facts import record_of
from ledger_torch.spans import Ended

_MAX_NS: Final = 2**63 - 1


class Claimed(NamedTuple):
    """One duration that a record claims."""

    stage: str
    claimed_ns: int
    resolution_ns: int
    text: str
    interval: int | None
    data: dict[str, object]


def claimed(metrics: Mapping[str, object], take_ended: Callable[[float], list[Ended]]) -> Iterator[Claimed]:
    """Yield a record's claims; `take_ended` returns ended spans of its lane that began since a time in µs."""
    about: dict[str, object] = {}
    for name in ("compile_id", "is_forward", "is_runtime", "fail_type"):
        value = metrics.get(name)
        if isinstance(value, (str, bool)):
            about[name] = value
    start_us = metrics.get("start_time_us")
    began_us = cast("float", start_us) if type(start_us) in (int, float) else 0
    # A runtime record covers everything that ended outside of compiles, from the first of it on.
    own = take_ended(0 if about.get("is_runtime") else began_us - CLOCK_SLACK_US)
    record = record_of(metrics)
    for field, value, unit_ns, resolution_ns in durations_of(metrics):
        # A number that the ledger cannot hold is not a duration.
        if not (math.isfinite(value) and abs(value) < _MAX_NS / unit_ns):
            continue
        stage, intervals = timed_by(field, about, own)
        only = intervals[0] if len(intervals) == 1 else None
        data = claim_data(field, about, intervals, record)
        yield Claimed(stage, round(value * unit_ns), resolution_ns, f"{field}={value}", only, data)
