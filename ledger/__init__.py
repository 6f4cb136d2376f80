"""An event-sourced timing ledger for torch.compile and engine start-up.

`Recorder` writes events in the recorded program; `Ledger` reads them back, reduced to totals. What only
readers need is imported when it is asked for, since this package is imported in other people's programs.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ledger._version import __version__
from ledger.engines import EngineDescription, register_engine
from ledger.errors import (
    ConflictingEvents,
    InvalidBudget,
    InvalidEvent,
    InvalidLines,
    InvalidQuery,
    LedgerDamaged,
    LedgerError,
    LedgerLocked,
    LedgerMissing,
    LedgerNotWritable,
    MissingExtra,
    NewerLedger,
    NotALedger,
    SQLiteTooOld,
    UnknownSession,
    UnrecognisedFile,
)
from ledger.events.models import (
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
from ledger.recording.recorder import Recorder

if TYPE_CHECKING:
    from ledger.analysis.budget import Budget, Verdict, Verdicts, check_budget
    from ledger.doctor import DoctorCheck
    from ledger.events.jsonl import read_events
    from ledger.interchange.exporters import Exporter
    from ledger.interchange.importers import Importer, UnreadLine
    from ledger.storage.ledger import Ledger
    from ledger.storage.queries import query_title, saved_queries
    from ledger.storage.schema_docs import Relation, schema
    from ledger.timeline.claim_intervals import claim_intervals
    from ledger.timeline.process_names import process_names
    from ledger.timeline.records import Claim, Interval, Process, Reconciliation
    from ledger.timeline.replay import ClockAlignment
    from ledger.timeline.timeline import Timeline, reduce

_ON_DEMAND = {
    "ClockAlignment": "ledger.timeline.replay",
    "Budget": "ledger.analysis.budget",
    "DoctorCheck": "ledger.doctor",
    "Claim": "ledger.timeline.records",
    "Exporter": "ledger.interchange.exporters",
    "Importer": "ledger.interchange.importers",
    "Interval": "ledger.timeline.records",
    "Ledger": "ledger.storage.ledger",
    "Process": "ledger.timeline.records",
    "Reconciliation": "ledger.timeline.records",
    "Relation": "ledger.storage.schema_docs",
    "Timeline": "ledger.timeline.timeline",
    "UnreadLine": "ledger.interchange.importers",
    "Verdict": "ledger.analysis.budget",
    "Verdicts": "ledger.analysis.budget",
    "check_budget": "ledger.analysis.budget",
    "read_events": "ledger.events.jsonl",
    "query_title": "ledger.storage.queries",
    "reduce": "ledger.timeline.timeline",
    "schema": "ledger.storage.schema_docs",
    "saved_queries": "ledger.storage.queries",
    "claim_intervals": "ledger.timeline.claim_intervals",
    "process_names": "ledger.timeline.process_names",
}

__all__ = [
    "Budget",
    "Claim",
    "ClockAlignment",
    "ConflictingEvents",
    "DoctorCheck",
    "EngineDescription",
    "Event",
    "Exporter",
    "GapNoted",
    "Importer",
    "Interval",
    "InvalidBudget",
    "InvalidEvent",
    "InvalidLines",
    "InvalidQuery",
    "Ledger",
    "LedgerDamaged",
    "LedgerError",
    "LedgerLocked",
    "LedgerMissing",
    "LedgerNotWritable",
    "MilestoneReached",
    "MissingExtra",
    "NewerLedger",
    "NotALedger",
    "Process",
    "ProcessJoined",
    "ProcessLeft",
    "ProcessLost",
    "Reconciliation",
    "Recorder",
    "Relation",
    "SQLiteTooOld",
    "SessionEnded",
    "SessionStarted",
    "StageStarted",
    "StageStopped",
    "Timeline",
    "TotalClaimed",
    "UnknownSession",
    "UnreadLine",
    "UnrecognisedFile",
    "Verdict",
    "Verdicts",
    "__version__",
    "check_budget",
    "claim_intervals",
    "parse_event",
    "process_names",
    "query_title",
    "read_events",
    "reduce",
    "register_engine",
    "saved_queries",
    "schema",
]


def __getattr__(name: str) -> object:
    if name in _ON_DEMAND:
        return getattr(import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
