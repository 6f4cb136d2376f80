"""Makes the digest of a session's events: the same wherever they are read from, in whatever batches.

It is a BLAKE2b of two streams a column, over the events by process and seq: which values are there and how
long they are, and the values. Left out is what a ledger derives and adds: the id, and the time on the wall of
all but the events that say it themselves.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from ledger_parquet.lake_files import imported
from ledger_parquet.tables import EVENTS, arrow_schema

_DERIVED: Final = ("id",)
_SAYING_WALL_TIME: Final = ("session_started", "process_joined")
_BYTES: Final = 16


class EventsDigest:
    """The digest of events that come in batches, in order."""

    def __init__(self) -> None:
        self._columns: Final = {
            name: (_hasher(), _hasher()) for name in arrow_schema(EVENTS).names if name not in _DERIVED
        }
        self.event_count = 0

    def add(self, batch: Any) -> None:
        """Add a pyarrow.RecordBatch of events, prepared by `comparable`."""
        self.event_count += batch.num_rows
        compute = imported("pyarrow.compute")
        for name, (shape, values) in self._columns.items():
            column = batch.column(name)
            if str(column.type) == "string":
                lengths = compute.fill_null(compute.binary_length(column), -1)
                shape.update(_fixed_width(lengths, 4))
                values.update(_text(column.fill_null("") if column.null_count else column))
            else:
                shape.update(_fixed_width(compute.cast(compute.is_valid(column), "uint8"), 1))
                values.update(_fixed_width(column.fill_null(0) if column.null_count else column, 8))

    def hexdigest(self) -> str:
        """Return the digest of all that was added."""
        whole = _hasher()
        for name, hashers in self._columns.items():
            whole.update(name.encode())
            for hasher in hashers:
                whole.update(hasher.digest())
        return whole.hexdigest()


def comparable(batch: Any) -> Any:
    """Return events without the times on the wall that a ledger has derived."""
    arrow, compute = imported("pyarrow"), imported("pyarrow.compute")
    says = compute.is_in(batch.column("kind"), value_set=arrow.array(_SAYING_WALL_TIME))
    place = batch.schema.get_field_index("wall_ns")
    own = compute.if_else(says, batch.column("wall_ns"), arrow.scalar(None, arrow.int64()))
    return batch.set_column(place, batch.schema.field(place), own)


def _hasher() -> Any:
    return hashlib.blake2b(digest_size=_BYTES)


def _fixed_width(column: Any, width: int) -> memoryview:
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]


def _text(column: Any) -> memoryview:
    if not len(column):
        return memoryview(b"")
    _, offsets, data = column.buffers()
    positions = memoryview(offsets).cast("i")
    if data is None:
        return memoryview(b"")
    return memoryview(data)[positions[column.offset] : positions[column.offset + len(column)]]
