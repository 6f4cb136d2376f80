"""Extracts from a record what it says: a begin, an end, a compile's metrics, or facts of a compile.

The time is the payload's, the wall clock in microseconds: the prefix has no year and lags behind.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, cast

from pydantic_core import from_json

from ledger_torch.compile_facts import record_of, simple
from ledger_torch.hook_targets import FORWARD
from ledger_torch_trace.artifacts import ARTIFACT, facts_of, is_of_compile
from ledger_torch_trace.old_records import compiled
from ledger_torch_trace.records import METRICS, SPAN, Record

_MAX_NS: Final = 2**63 - 1
_MAX_NAME: Final = 1_000


class Begin(NamedTuple):
    """A stage begins."""

    at_ns: int
    pid: int
    stage: str
    compile_id: str | None
    data: dict[str, object]


class End(NamedTuple):
    """A stage ends."""

    at_ns: int
    pid: int
    stage: str
    compile_id: str | None
    data: dict[str, object]


class Metrics(NamedTuple):
    """torch's record of a compile, at the moment when that was over."""

    at_ns: int
    pid: int
    compile_id: str | None
    fields: dict[str, object]


class Facts(NamedTuple):
    """What an artifact says of a compile, which goes on; it has no time of its own."""

    at_ns: int
    pid: int
    compile_id: str | None
    found: dict[str, object]


Observation = Begin | End | Metrics | Facts


class Fault(NamedTuple):
    """Why a record about time can't be read."""

    reason: str


def mapping_of(text: bytes) -> dict[str, object] | None:
    """Return the object that a JSON text describes; None if it describes none."""
    try:
        value = from_json(text)
    except ValueError:
        return None
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def observations(record: Record, latest_ns: int, *, has_spans: bool) -> Iterator[Observation | Fault]:
    """Yield what a record says, and what is wrong with it; `latest_ns` is the latest time before it.

    `has_spans` is whether the trace has begins and ends of its compiles, which torch's before 2.5 don't.
    """
    if record.kind == SPAN:
        yield from _span(record)
    elif record.kind in METRICS:
        yield from _metrics(record, latest_ns, has_spans=has_spans)
    elif record.kind == ARTIFACT and latest_ns and is_of_compile(record.metadata):
        metadata = mapping_of(record.metadata)
        if metadata is not None and (found := facts_of(record.metadata, record.payload or b"")):
            yield Facts(latest_ns, record.pid, _compile_id({}, metadata), found)


def _span(record: Record) -> Iterator[Observation | Fault]:
    metadata = mapping_of(record.metadata)
    if metadata is None:
        yield Fault("its metadata is not a JSON object")
        return
    payload = record.payload
    if payload is None:
        yield Fault("its payload is missing")
        return
    if metadata.get("has_payload") != hashlib.md5(payload, usedforsecurity=False).hexdigest():
        yield Fault("the checksum of its payload differs from its metadata")
    event = mapping_of(payload)
    if event is None:
        yield Fault("its payload is not a JSON object")
        return
    phase = event.get("ph")
    if phase not in ("B", "E"):
        return
    stage, at_ns = event.get("name"), _ns(event.get("ts"))
    if not isinstance(stage, str) or not stage or at_ns is None:
        yield Fault("its payload has no name, or no time")
        return
    fields = event.get("args")
    args = cast("dict[str, object]", fields) if isinstance(fields, dict) else {}
    kind: type[Begin | End] = Begin if phase == "B" else End
    yield kind(at_ns, record.pid, stage[:_MAX_NAME], _compile_id(args, metadata), simple(args))


def _metrics(record: Record, latest_ns: int, *, has_spans: bool) -> Iterator[Observation | Fault]:
    metadata = mapping_of(record.metadata)
    fields = None if metadata is None else metadata.get(record.kind)
    if metadata is None or not isinstance(fields, dict):
        yield Fault("its metadata is not a JSON object with metrics")
        return
    metrics = cast("dict[str, object]", fields)
    compile_id = _compile_id(metrics, metadata)
    end_ns = _ns(metrics.get("end_time_us"))
    # The end of that microsecond: what ended within it is in the record.
    at_ns = latest_ns if end_ns is None else end_ns + 999
    if end_ns is None and not has_spans and (times := compiled(metrics, record.stamp)) is not None:
        facts = record_of(metrics)
        about: dict[str, object] = {} if compile_id is None else {"compile_id": compile_id}
        yield Begin(times.start_ns, record.pid, FORWARD, compile_id, about)
        yield End(times.stop_ns, record.pid, FORWARD, compile_id, facts)
        at_ns = times.stop_ns
    if not at_ns:
        yield Fault("no time: it has neither `end_time_us` nor `start_time`, and nothing before it has one")
        return
    yield Metrics(at_ns, record.pid, compile_id, metrics)


def _compile_id(fields: Mapping[str, object], metadata: Mapping[str, object]) -> str | None:
    compile_id = fields.get("compile_id")
    if isinstance(compile_id, str) and compile_id:
        return None if compile_id == "None" else compile_id
    frame, again = metadata.get("frame_id"), metadata.get("frame_compile_id")
    return f"{frame}/{again}" if type(frame) is int and type(again) is int else None


def _ns(time_us: object) -> int | None:
    """Return a time in µs as nanoseconds. Integer part apart: a float has too few digits for the whole."""
    if type(time_us) not in (int, float):
        return None
    number = cast("float", time_us)
    if not math.isfinite(number) or not 0 <= number < _MAX_NS // 1000:
        return None
    whole = int(number)
    return whole * 1000 + round((number - whole) * 1000)
