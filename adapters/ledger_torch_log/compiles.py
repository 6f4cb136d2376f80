"""Turns CompilationMetrics into events: each compile as an interval where it says when it was, and claims.

A record says what the wall clock was when its compile began, since 2.6 to the microsecond.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, cast

from ledger import Event
from ledger_log_lines.process_events import ProcessEvents
from ledger_torch.claims import claim_data, durations_of, timed_by
from ledger_torch.compile_facts import record_of
from ledger_torch.hook_targets import BACKWARD, FORWARD

_MAX_NS: Final = 2**63 - 1
_LATEST_S: Final = 1 << 33


class _Span(NamedTuple):
    start_ns: int
    stop_ns: int
    unit_ns: int


def events_of(
    events: ProcessEvents, metrics: Mapping[str, object], line: int, at_ns: int | None
) -> Iterator[Event]:
    """Yield the events of a record; at `at_ns` and without an interval, if that is given."""
    span = _span_of(metrics) if at_ns is None else None
    stage = BACKWARD if metrics.get("is_forward") is False else FORWARD
    interval: int | None = None
    if span is not None:
        failed = metrics.get("fail_type")
        made = events.stage(
            stage, span.start_ns, span.stop_ns, activity="compile",
            data={"line": line, "uncertainty_ns": span.unit_ns, "compile_id": str(metrics.get("compile_id"))},
            outcome="completed" if failed is None else "failed",
            error=None if failed is None else str(failed),
        )  # fmt: skip
        yield from made.events
        interval = made.interval
    claimed_ns = at_ns if span is None else span.stop_ns
    about = {
        name: value
        for name in ("compile_id", "is_forward", "is_runtime", "fail_type")
        if isinstance(value := metrics.get(name), (str, bool))
    }
    record = record_of(metrics)
    for field, value, unit_ns, resolution_ns in durations_of(metrics):
        if not (math.isfinite(value) and abs(value) < _MAX_NS / unit_ns):
            continue
        timed, _ = timed_by(field, about, [])
        yield events.claim(
            timed, round(value * unit_ns), claimed_ns or 0, source="torch", resolution_ns=resolution_ns,
            text=f"{field}={value}", interval=interval if timed == stage else None,
            data={"line": line, **claim_data(field, about, [], record)},
        )  # fmt: skip


def _span_of(metrics: Mapping[str, object]) -> _Span | None:
    """Return when a compile began and ended, since the epoch; None where the record does not say it."""
    start_us = _number(metrics.get("start_time_us"))
    if start_us is not None:
        end_us, length_us = _number(metrics.get("end_time_us")), _number(metrics.get("duration_us"))
        stop_us = start_us + length_us if end_us is None and length_us is not None else end_us
        if stop_us is not None:
            return _Span(round(start_us) * 1_000, round(max(start_us, stop_us)) * 1_000, 1_000)
    start_s, length_s = (
        _number(metrics.get("start_time")),
        _number(metrics.get("entire_frame_compile_time_s")),
    )
    if start_s is None or length_s is None or start_s >= _LATEST_S or length_s >= _LATEST_S:
        return None
    start_ns = int(start_s) * 10**9 + round((start_s - int(start_s)) * 1e9)
    return _Span(start_ns, start_ns + round(length_s * 1e9), 1_000)


def _number(value: object) -> float | None:
    if type(value) not in (int, float):
        return None
    number = cast("float", value)
    return number if math.isfinite(number) and 0 <= number < _LATEST_S * 1_000_000 else None
