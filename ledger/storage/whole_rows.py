"""Which rows of stages are events: all of ours are, and only a file that somebody edited has others."""

from typing import Final

from ledger.events.rows import EventRow

WHOLE: Final = {
    "stage_started": (
        "interval IS NOT NULL AND stage IS NOT NULL AND activity IS NOT NULL AND source IS NOT NULL"
    ),
    "stage_stopped": "interval IS NOT NULL AND outcome IS NOT NULL",
}
"""What rows of stages need: `verify` finds those that have less, and all else leaves them out."""
NOT_WHOLE: Final = " OR ".join(f"(kind = '{kind}' AND NOT ({whole}))" for kind, whole in WHOLE.items())


def is_whole(row: EventRow) -> bool:
    """Return whether the row of a stage has all that an event needs."""
    if row.kind == "stage_started":
        return None not in (row.interval, row.stage, row.activity, row.source)
    return row.kind != "stage_stopped" or None not in (row.interval, row.outcome)
