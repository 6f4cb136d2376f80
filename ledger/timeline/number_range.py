"""Keeps derived numbers within the 64 bits of SQLite's integers: of two numbers that fit, the sum may not.

A clock that stepped, or a trace with absurd times, makes such sums. The nearest number that fits takes their
place, and an anomaly names it: one number must not make a ledger unreadable.
"""

from collections.abc import Iterable
from typing import Final, TypeVar, cast

from ledger.events.models import INTEGER_LIMIT
from ledger.timeline.findings import Finding
from ledger.timeline.records import (
    Anomaly,
    Cause,
    Compilation,
    Reconciliation,
    RoleTotal,
    SessionTotal,
    SourceTotal,
    StartupPiece,
    StartupWindow,
)

_LARGEST: Final = INTEGER_LIMIT - 1

_Record = TypeVar(
    "_Record",
    RoleTotal,
    SourceTotal,
    SessionTotal,
    Reconciliation,
    Cause,
    Anomaly,
    Compilation,
    StartupWindow,
    StartupPiece,
    Finding,
)


class NumberRange:
    """Fits the records of a session's tables into 64 bits, and collects an anomaly for each that did not."""

    def __init__(self) -> None:
        self.anomalies: Final[list[Anomaly]] = []

    def fit(self, records: Iterable[_Record]) -> tuple[_Record, ...]:
        """Return records without a number beyond 64 bits."""
        return tuple(self._fitted(record) if any(map(_is_beyond, record)) else record for record in records)

    def _fitted(self, record: _Record) -> _Record:
        beyond = {
            name: max(-_LARGEST, min(_LARGEST, value))
            for name, value in cast("dict[str, object]", record._asdict()).items()
            if isinstance(value, int) and _is_beyond(value)
        }
        process = getattr(record, "process", None) or getattr(record, "slowest_process", None) or ""
        detail = f"{', '.join(beyond)} of {type(record).__name__}: beyond 64 bits"
        self.anomalies.append(
            Anomaly(
                record.session, process, "number_out_of_range", getattr(record, "interval", None),
                getattr(record, "claim", None), None, detail,
            )
        )  # fmt: skip
        return record._replace(**beyond)


def _is_beyond(value: object) -> bool:
    return isinstance(value, int) and not -INTEGER_LIMIT <= value < INTEGER_LIMIT
