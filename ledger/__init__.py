"""An event-sourced timing ledger for torch.compile and engine start-up.

`Recorder` writes events in the recorded program; `Ledger` reads them back, reduced to totals. What only
readers need is imported when it is asked for, since this package is imported in other people's programs.
`ledger.adapters` has what only adapters need.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ledger._version import __version__
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
    NoSuchMoment,
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
    from ledger.analysis.comparison import Comparison, compare
    from ledger.events.jsonl import read_events
    from ledger.storage.ledger import Ledger
    from ledger.storage.queries import saved_queries
    from ledger.timeline.findings import Finding
    from ledger.timeline.records import (
        Anomaly,
        Cause,
        Claim,
        Compilation,
        Gap,
        GraphBreak,
        Interval,
        Milestone,
        Process,
        Reconciliation,
        RoleTotal,
        Session,
        SessionTotal,
        SourceTotal,
        StartupPiece,
        StartupWindow,
    )
    from ledger.timeline.replay import Moment, Replay
    from ledger.timeline.timeline import Timeline, reduce

_ON_DEMAND = {
    "Anomaly": "ledger.timeline.records",
    "Budget": "ledger.analysis.budget",
    "Cause": "ledger.timeline.records",
    "Claim": "ledger.timeline.records",
    "Compilation": "ledger.timeline.records",
    "Comparison": "ledger.analysis.comparison",
    "Finding": "ledger.timeline.findings",
    "Gap": "ledger.timeline.records",
    "GraphBreak": "ledger.timeline.records",
    "Interval": "ledger.timeline.records",
    "Ledger": "ledger.storage.ledger",
    "Milestone": "ledger.timeline.records",
    "Moment": "ledger.timeline.replay",
    "Process": "ledger.timeline.records",
    "Reconciliation": "ledger.timeline.records",
    "Replay": "ledger.timeline.replay",
    "RoleTotal": "ledger.timeline.records",
    "Session": "ledger.timeline.records",
    "SessionTotal": "ledger.timeline.records",
    "SourceTotal": "ledger.timeline.records",
    "StartupPiece": "ledger.timeline.records",
    "StartupWindow": "ledger.timeline.records",
    "Timeline": "ledger.timeline.timeline",
    "Verdict": "ledger.analysis.budget",
    "Verdicts": "ledger.analysis.budget",
    "check_budget": "ledger.analysis.budget",
    "compare": "ledger.analysis.comparison",
    "read_events": "ledger.events.jsonl",
    "reduce": "ledger.timeline.timeline",
    "saved_queries": "ledger.storage.queries",
}

__all__ = [
    "Anomaly",
    "Budget",
    "Cause",
    "Claim",
    "Comparison",
    "Compilation",
    "ConflictingEvents",
    "Event",
    "Finding",
    "Gap",
    "GapNoted",
    "GraphBreak",
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
    "Milestone",
    "MilestoneReached",
    "MissingExtra",
    "Moment",
    "NewerLedger",
    "NoSuchMoment",
    "NotALedger",
    "Process",
    "ProcessJoined",
    "ProcessLeft",
    "ProcessLost",
    "Reconciliation",
    "Recorder",
    "Replay",
    "RoleTotal",
    "SQLiteTooOld",
    "Session",
    "SessionEnded",
    "SessionStarted",
    "SessionTotal",
    "SourceTotal",
    "StageStarted",
    "StageStopped",
    "StartupPiece",
    "StartupWindow",
    "Timeline",
    "TotalClaimed",
    "UnknownSession",
    "UnrecognisedFile",
    "Verdict",
    "Verdicts",
    "__version__",
    "check_budget",
    "compare",
    "parse_event",
    "read_events",
    "reduce",
    "saved_queries",
]


def __getattr__(name: str) -> object:
    if name in _ON_DEMAND:
        return getattr(import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
