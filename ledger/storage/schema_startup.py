"""Describes the tables of the time from the command to ready."""

from collections.abc import Mapping
from typing import Final

from ledger.storage.schema_terms import (
    ACTIVITY,
    COMPONENT,
    FIRST_CLOCK,
    ROLE,
    SESSION,
    SOURCE,
    Relation,
    one_of,
)
from ledger.vocabulary import WindowEnd, WindowStart

STARTUP: Final[Mapping[str, Relation]] = {
    "startup_windows": Relation(
        "The time from the command until something was ready: one for each time that it became ready.",
        {
            "session": SESSION,
            "window": "Its number in the session, from 0.",
            "began_by": f"What it begins with: {one_of(WindowStart)}. creation is the first process's by "
            "the kernel, event the earliest event.",
            "ended_by": f"What it ends with: {one_of(WindowEnd)}. event is the latest event.",
            "start_ns": f"When it began, {FIRST_CLOCK}.",
            "stop_ns": "When it ended, in nanoseconds of the same clock.",
            "duration_ns": "How long it was, in nanoseconds: the sum of its pieces in startup_breakdown.",
            "uncertainty_ns": "By how much its bounds, and the places of pieces of other clocks, may be "
            "wrong, in nanoseconds.",
            "unattributed_ns": "How much of it is in no interval, in nanoseconds.",
            "duration_s": "duration_ns in seconds.",
            "unattributed_s": "unattributed_ns in seconds.",
        },
    ),
    "startup_breakdown": Relation(
        "Where the time of each window went: pieces that neither overlap nor leave a hole, each charged to "
        "one interval or to none.",
        {
            "session": SESSION,
            "window": "The window in startup_windows.",
            "piece": "Its number in the window, from 0.",
            "start_ns": f"When it began, {FIRST_CLOCK}.",
            "stop_ns": "When it ended, in nanoseconds of the same clock: where the next one begins.",
            "duration_ns": "How long it was, in nanoseconds.",
            "process": "The process that it is charged to, by its id; NULL where there was none.",
            "interval": "The interval that it is charged to, by its id; NULL for time in no interval.",
            "activity": ACTIVITY,
            "stage": "That interval's stage; NULL for time in no interval.",
            "role": ROLE,
            "component": COMPONENT,
            "source": SOURCE,
            "after_stage": "Of time in no interval: the stage of the process that had ended last. Of time "
            "between the parts of a log's interval: the part that had ended last.",
            "before_stage": "Of time in no interval: the stage of the process that began next. Of time "
            "between the parts of a log's interval: the part that began next, or else that interval itself.",
            "duration_s": "duration_ns in seconds.",
            "path": "The stages of the intervals around it and its own, the outermost first, five at most, "
            "as 'engine_init > torch_compile [encoder]'; NULL for time in no interval.",
        },
    ),
}
