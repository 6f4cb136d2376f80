"""Turns CompilationMetrics, torch's own record of a compile, into claims: one for each duration in it.

A record says how long its compile and single stages of it took, adding spans up as they end. So a claim
names the interval behind its field if there is just one, and lists them if there are several. Fields come and
go between versions: durations are recognised by name and type.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from types import ModuleType
from typing import Any, Final, NamedTuple, cast

from ledger import Recorder
from ledger_torch.compile_facts import record_of
from ledger_torch.hook_targets import (
    BACKWARD,
    DURATIONS_END_IN,
    FORWARD,
    MEANS,
    NOT_DURATIONS,
    TIMED,
    TWINS,
)
from ledger_torch.spans import Ended, Spans

_UNIT_NS: Final = {"_us": 1_000, "_ms": 1_000_000, "_s": 1_000_000_000}
_TOTAL: Final = "duration_us"
CLOCK_SLACK_US: Final = 1_000
"""torch reads its clock for a record and for the span around it at two moments."""


class Duration(NamedTuple):
    """One duration that a record claims."""

    field: str
    value: float
    """As torch gives it, in the field's unit."""
    unit_ns: int
    resolution_ns: int

    @property
    def seconds(self) -> float:
        """The value in seconds."""
        return self.value * self.unit_ns / 1e9


def durations(metrics: Any) -> Iterator[Duration]:
    """Yield the durations of a CompilationMetrics record."""
    return durations_of({field.name: getattr(metrics, field.name) for field in fields(metrics)})


def durations_of(metrics: Mapping[str, object]) -> Iterator[Duration]:
    """Yield the durations among a record's fields.

    Skips older twins of fields that are present, and zeros, which torch also writes for what did not run.
    Only `duration_us` is kept at 0, since a compile that claims no time at all is worth knowing.
    """
    for name, field_value in metrics.items():
        suffix = next((end for end in DURATIONS_END_IN if name.endswith(end)), None)
        if suffix is None or name in NOT_DURATIONS or type(field_value) not in (int, float):
            continue
        value = cast("float", field_value)
        if (value == 0 and name != _TOTAL) or metrics.get(TWINS.get(name, "")) is not None:
            continue
        yield Duration(name, value, _UNIT_NS[suffix], DURATIONS_END_IN[suffix])


def own_of(metrics: Any, spans: Spans) -> list[Ended]:
    """Return the spans of a record: those of its kind that ended in its thread since it began."""
    is_runtime = bool(getattr(metrics, "is_runtime", False))
    # torch creates a runtime record only when the first of its spans has ended.
    began_us = 0 if is_runtime else (getattr(metrics, "start_time_us", None) or 0) - CLOCK_SLACK_US
    return spans.take_ended(is_runtime=is_runtime, since_us=began_us)


def claim(recorder: Recorder, metrics: Any, own: Sequence[Ended], utils: ModuleType | None = None) -> None:
    """Write a record's durations as claims; `own` are its spans, in the order in which they ended."""
    values = {field.name: getattr(metrics, field.name) for field in fields(metrics)}
    record = record_of(values, utils)
    about: dict[str, object] = {
        name: value
        for name in ("compile_id", "is_forward", "is_runtime", "fail_type")
        if (value := values.get(name)) is not None
    }
    for duration in durations_of(values):
        stage, intervals = timed_by(duration.field, about, own)
        recorder.claim(
            duration.seconds,
            source="torch",
            stage=stage,
            counts="interval",
            resolution_ns=duration.resolution_ns,
            text=f"{duration.field}={duration.value}",
            interval=intervals[0] if len(intervals) == 1 else None,
            data=claim_data(duration.field, about, intervals, record),
        )


def claim_data(
    field: str, about: Mapping[str, object], intervals: Sequence[int], record: Mapping[str, object]
) -> dict[str, object]:
    """Return the `data` of a field's claim: what its record is about, its spans, and any special meaning.

    The claim of the whole compile also carries the rest of the record.
    """
    means = {"means": MEANS[field]} if field in MEANS else {}
    spans = {"intervals": list(intervals)} if len(intervals) > 1 else {}
    rest = {name: value for name, value in record.items() if name not in about} if field == _TOTAL else {}
    whole = {"record": rest} if rest else {}
    return {"field": field, **about, **spans, **means, **whole}


def timed_by(field: str, about: Mapping[str, object], own: Sequence[Ended]) -> tuple[str, list[int]]:
    """Return the stage that a field times, or the field's name if unknown, and its spans."""
    if (timed := TIMED.get(TWINS.get(field, field))) is not None:
        return timed.stage, [span.interval for span in own if span.stage in (timed.stage, *timed.others)]
    if field != _TOTAL:
        return field, []
    # The last span to end is the whole: a compile nested in another's backend has no record of its own.
    whole = [span for span in own if span.stage in (FORWARD, BACKWARD)][-1:] or _outermost(own)
    if len(whole) == 1:
        return whole[0].stage, [whole[0].interval]
    if not whole and "is_forward" in about and not about.get("is_runtime"):
        return (FORWARD if about["is_forward"] else BACKWARD), []
    return field, [span.interval for span in whole]


def _outermost(own: Sequence[Ended]) -> list[Ended]:
    """Return the spans that no other one encloses; `own` is in the order in which they ended."""
    return [
        span
        for at, span in enumerate(own)
        if not any(later.begin_us <= span.begin_us for later in own[at + 1 :])
    ]
