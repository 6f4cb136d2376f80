"""An event-sourced timing ledger for torch.compile and engine start-up.

`Recorder` writes events in the recorded program; `Ledger` reads them back, reduced to totals. What only
readers need is imported when it is asked for, since this package is imported in other people's programs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ledger._version import __version__
from ledger.errors import (
    ConflictingEvents,
    InvalidEvent,
    InvalidQuery,
    LedgerDamaged,
    LedgerError,
    LedgerLocked,
    LedgerMissing,
    LedgerNotWritable,
    NewerLedger,
    NotALedger,
    NotRecognised,
    SQLiteTooOld,
    UnknownSession,
)
from ledger.events import (
    Event,
    GapNoted,
    MilestoneReached,
    ProcessJoined,
    ProcessLeft,
    ProcessLost,
    SessionEnded,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
    parse_event,
)
from ledger.recorder import Recorder

if TYPE_CHECKING:
    from ledger.doctor import Check
    from ledger.importing import Importer, Unread
    from ledger.reading import Ledger
    from ledger.timeline import Timeline, reduce

_ON_DEMAND = {
    "Check": "ledger.doctor",
    "Importer": "ledger.importing",
    "Ledger": "ledger.reading",
    "Timeline": "ledger.timeline",
    "Unread": "ledger.importing",
    "reduce": "ledger.timeline",
}

__all__ = [
    "Check",
    "ConflictingEvents",
    "Event",
    "GapNoted",
    "Importer",
    "InvalidEvent",
    "InvalidQuery",
    "Ledger",
    "LedgerDamaged",
    "LedgerError",
    "LedgerLocked",
    "LedgerMissing",
    "LedgerNotWritable",
    "MilestoneReached",
    "NewerLedger",
    "NotALedger",
    "NotRecognised",
    "ProcessJoined",
    "ProcessLeft",
    "ProcessLost",
    "Recorder",
    "SQLiteTooOld",
    "SessionEnded",
    "SessionStarted",
    "StageStarted",
    "StageStopped",
    "Timeline",
    "TotalClaimed",
    "UnknownSession",
    "Unread",
    "__version__",
    "parse_event",
    "reduce",
]


def __getattr__(name: str) -> object:
    if name in _ON_DEMAND:
        return getattr(import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
