"""Makes the digest of a session's events: the same wherever they are read from, in whatever batches.

It is a BLAKE2b of two streams a column, over the events by process and seq: which values are there and how
long they are, and the values. Left out is what a ledger derives and adds: the id, and the time on the wall of
all but the events that say it themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from ledger_parquet.lake_files import imported
from ledger_parquet.tables import EVENTS, arrow_schema

_DERIVED: Final = ("id",)
_SAYING_WALL_TIME: Final = ("session_started", "process_joined")
_BYTES: Final = 16
_Bytes = Callable[[int, int], memoryview]


class EventsDigest:
    """The digest of events that come in batches, in order."""

    def __init__(self) -> None:
        self._hashers: Final = [(_hasher(), _hasher()) for _ in _columns()]
        self.event_count = 0

    def add(self, events: ComparableEvents, start: int, end: int) -> None:
        """Add some rows of a batch: those from `start` to before `end`."""
        self.event_count += end - start
        for (shapes, values), (of_shapes, of_values) in zip(events.columns, self._hashers, strict=True):
            of_shapes.update(shapes(start, end))
            of_values.update(values(start, end))

    def hexdigest(self) -> str:
        """Return the digest of all that was added."""
        whole = _hasher()
        for name, hashers in zip(_columns(), self._hashers, strict=True):
            whole.update(name.encode())
            for hasher in hashers:
                whole.update(hasher.digest())
        return whole.hexdigest()


class ComparableEvents:
    """A pyarrow.RecordBatch of events, prepared for digests."""

    def __init__(self, batch: Any) -> None:
        prepared = comparable(batch)
        self.columns: Final = [_streams(prepared.column(name)) for name in _columns()]


@cache
def _columns() -> tuple[str, ...]:
    return tuple(name for name in arrow_schema(EVENTS).names if name not in _DERIVED)


def _streams(column: Any) -> tuple[_Bytes, _Bytes]:
    """Return the two streams of a column: functions that give the bytes of a range of rows."""
    compute = imported("pyarrow.compute")
    if str(column.type) == "string":
        lengths = compute.fill_null(compute.binary_length(column), -1)
        return _fixed_width(lengths, 4), _text(column.fill_null("") if column.null_count else column)
    shapes = compute.cast(compute.is_valid(column), "uint8")
    return _fixed_width(shapes, 1), _fixed_width(column.fill_null(0) if column.null_count else column, 8)


def comparable(batch: Any) -> Any:
    """Return events without the times on the wall that a ledger has derived."""
    arrow, compute = imported("pyarrow"), imported("pyarrow.compute")
    says = compute.is_in(batch.column("kind"), value_set=arrow.array(_SAYING_WALL_TIME))
    place = batch.schema.get_field_index("wall_ns")
    own = compute.if_else(says, batch.column("wall_ns"), arrow.scalar(None, arrow.int64()))
    return batch.set_column(place, batch.schema.field(place), own)


def _hasher() -> Any:
    return hashlib.blake2b(digest_size=_BYTES)


def _fixed_width(column: Any, width: int) -> _Bytes:
    data, offset = memoryview(column.buffers()[1]), column.offset
    return lambda start, end: data[(offset + start) * width : (offset + end) * width]


def _text(column: Any) -> _Bytes:
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return lambda start, end: memoryview(b"")
    places, texts, offset = memoryview(offsets).cast("i"), memoryview(data), column.offset
    return lambda start, end: texts[places[offset + start] : places[offset + end]]
