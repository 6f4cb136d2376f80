"""The causes of a difference in the words of a report: "counted more than once: +3.000 s"."""

from ledger.durations import signed
from ledger.formatting import cut
from ledger.timeline.records import Cause
from ledger.vocabulary import CAUSE_LABELS

_STAGE_SHOWN = 200


def cause_text(cause: Cause) -> str:
    """Return what a cause is, the stage that it shows in, and how much of the difference it explains."""
    stage = "" if cause.stage is None else f" ({cut(cause.stage, _STAGE_SHOWN)})"
    return f"{CAUSE_LABELS[cause.cause]}{stage}: {signed(cause.ns)} s"


def main_cause_text(name: str | None) -> str:
    """Return what the main cause of a difference is; of a claim that agrees, nothing."""
    return "" if name is None else CAUSE_LABELS[name]
