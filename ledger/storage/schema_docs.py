"""Describes every table, view and column of a ledger, for those who write SQL and for tools that show it."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, get_args

from ledger.vocabulary import (
    ENGINE_READY,
    ROLE_OF_TORCH,
    Activity,
    Counts,
    IntervalOutcome,
    Outcome,
    ProcessOutcome,
    Source,
)


class Relation(NamedTuple):
    """A table or a view, described."""

    description: str
    columns: Mapping[str, str]
    """The description of each column, in the table's order."""
    is_internal: bool = False
    """Whether it only serves the ledger's own upkeep: its columns are not promised."""


def schema() -> Mapping[str, Relation]:
    """Return every table and view of a ledger by name; units are stated, and are nanoseconds in `…_ns`."""
    return _SCHEMA


def _one_of(names: Any) -> str:
    *others, last = get_args(names)
    return f"{', '.join(others)} or {last}"


_IN_SECONDS: Final = "The same, in seconds."
_SESSION: Final = "The session: one start-up of a program, over all its processes."
_PROCESS: Final = "The process, by its id in the session; its name is in processes."
_ROLE: Final = (
    "The part of the model that the time is charged to: language_model, encoder, drafter or another name; "
    f"{ROLE_OF_TORCH} for torch.compile outside any role; NULL for what serves the whole process."
)
_ACTIVITY: Final = f"What kind of work the stage is: {_one_of(Activity)}."
_STAGE: Final = "The named phase, as torch_compile, dynamo or weights_load."
_STAGE_OF_CLAIM: Final = "The stage that the claim speaks of; NULL where it speaks of none."
_COMPONENT: Final = (
    "The piece inside the role, by the host's own tag: backbone, Qwen2_5_VisionBlock, eagle_head."
)
_SOURCE: Final = f"Whose clock it is: {_one_of(Source)}."
_SOURCE_OF_CLAIM: Final = f"Who claims it: {_one_of(Source)}."
_THREAD: Final = "The thread, by its name and id."
_INTERVAL: Final = "The interval's id, unique in its process."
_CLAIM: Final = "The claim's id, unique in its process."
_CLAIMED_NS: Final = "The duration that was claimed, in nanoseconds."
_CLOCK: Final = "in nanoseconds of the host's monotonic clock, which no other host and no other boot shares"
_AT_NS: Final = f"When, {_CLOCK}."
_PROCESS_OUTCOME: Final = f"{_one_of(ProcessOutcome)}: lost is one that ended without saying so."
_TOP_LEVEL: Final = "that no other interval of the same process, role and activity encloses"

_STORED_INTERVAL: Final = {
    "session": _SESSION,
    "process": _PROCESS,
    "interval": _INTERVAL,
    "enclosing": "The innermost interval, over all threads, that encloses it in time, by its id.",
    "parent": "The parent that the emitter named, by its id.",
    "depth": "How many intervals enclose it, one around the other.",
    "is_top_level": f"1 for an interval {_TOP_LEVEL}: only these are added up to totals.",
    "activity": _ACTIVITY,
    "stage": _STAGE,
    "role": _ROLE,
    "component": _COMPONENT,
    "source": _SOURCE,
    "thread": _THREAD,
    "start_ns": f"When it began, {_CLOCK}.",
    "stop_ns": "When it ended, in nanoseconds of the same clock; NULL while it is open.",
    "duration_ns": "How long it took, in nanoseconds; of an abandoned one at least so long. NULL while open.",
    "self_ns": "Its duration less what it encloses in its own thread or by parent, in nanoseconds.",
    "unattributed_ns": "Its duration less all that it encloses, in nanoseconds; NULL where that is nothing.",
    "open_ns": "Of an open interval, nanoseconds from its start to the last event of its process.",
    "outcome": f"{_one_of(IntervalOutcome)}: abandoned is what never ended, though its process is over.",
    "start_seq": "The seq of the event that began it.",
    "stop_seq": "The seq of the event that ended it; NULL where none did.",
}

_SCHEMA: Final[Mapping[str, Relation]] = {
    "sessions": Relation(
        "The start-ups that are in this ledger.",
        {
            "session": _SESSION,
            "label": "What whoever recorded it called it; several sessions may share a label.",
            "command": "The command that was run, as a JSON array.",
            "started_at": "When it began: ISO 8601, UTC.",
            "ended_at": "When it ended, likewise; NULL while it runs.",
            "outcome": _PROCESS_OUTCOME,
            "process_count": "How many processes took part.",
            "event_count": "How many events it has.",
            "python_version": "Python's version.",
            "vllm_version": "vLLM's version, where it took part.",
            "torch_version": "torch's version, where it took part.",
            "versions": "The versions of all that it ran with: a JSON object by name.",
        },
    ),
    "processes": Relation(
        "The operating-system processes of each session.",
        {
            "session": _SESSION,
            "process": "Its id in the session.",
            "name": "Its name, as EngineCore or Worker_TP0.",
            "rank": "Its rank, where it has one.",
            "pid": "Its process id in the operating system.",
            "parent_pid": "That of its parent.",
            "host": "The host that it ran on.",
            "started_at": "When it joined the session: ISO 8601, UTC.",
            "outcome": _PROCESS_OUTCOME,
            "event_count": "How many events of it are here.",
            "lost_events": "How many more were numbered and are missing here.",
            "hooks": "What recorded it: a JSON array of names.",
            "missing_hooks": "What could not be hooked in its versions: a JSON array of names.",
        },
    ),
    "session_totals": Relation(
        "The time of each role and activity over the processes of a session: three numbers that differ.",
        {
            "session": _SESSION,
            "role": _ROLE,
            "activity": _ACTIVITY,
            "max_ns": "The time in the slowest process, in nanoseconds: what a start waits for.",
            "union_ns": "How long any process was at it, in nanoseconds; NULL without a common clock.",
            "sum_ns": "The times of all processes added up, in nanoseconds.",
            "slowest_process": "The process that max_ns is of, by its id.",
            "process_count": "How many processes have such a total.",
            "max_s": "max_ns in seconds.",
            "union_s": "union_ns in seconds.",
            "sum_s": "sum_ns in seconds.",
        },
    ),
    "role_totals": Relation(
        "The time that passed on the clock for each role and activity in one process, nothing counted twice. "
        "Totals of two roles may overlap in time and are never added up.",
        {
            "session": _SESSION,
            "process": _PROCESS,
            "role": _ROLE,
            "activity": _ACTIVITY,
            "total_ns": "The length of the union of the top-level intervals, in nanoseconds.",
            "crossing_ns": "By how much their sum is more than that, in nanoseconds: threads at once.",
            "open_ns": "The longest time that one of them has been open so far, in nanoseconds; in no total.",
            "top_level_count": f"How many of the intervals are top-level: those {_TOP_LEVEL}.",
            "interval_count": "How many intervals there are, with those that are enclosed.",
            "open_count": "How many are still open.",
            "total_s": "total_ns in seconds.",
            "crossing_s": "crossing_ns in seconds.",
            "open_s": "open_ns in seconds.",
        },
    ),
    "source_totals": Relation(
        "The same among the intervals of one source alone, beside what adding all of them up would give.",
        {
            "session": _SESSION,
            "process": _PROCESS,
            "role": _ROLE,
            "activity": _ACTIVITY,
            "source": _SOURCE,
            "total_ns": "The length of the union of its intervals, in nanoseconds.",
            "naive_sum_ns": "The sum of all its intervals, in nanoseconds: nested ones count again.",
            "double_counted_ns": "By how much that sum is more than the total, in nanoseconds.",
            "total_s": "total_ns in seconds.",
            "naive_sum_s": "naive_sum_ns in seconds.",
            "double_counted_s": "double_counted_ns in seconds.",
        },
    ),
    "intervals": Relation(
        "Every stage that was recorded: a start and its stop, and what lies around it.",
        {
            **_STORED_INTERVAL,
            "duration_s": "duration_ns in seconds.",
            "self_s": "self_ns in seconds.",
            "unattributed_s": "unattributed_ns in seconds.",
            "open_s": "open_ns in seconds.",
            "error": "The class of the exception that left it, where it failed.",
            "data": "What else its two events say, as a JSON object: a range, a graph, a cache hit or miss.",
        },
    ),
    "claims": Relation(
        "Durations that somebody reported: a log line, an accumulator, a metrics record. "
        "None is an interval, and none is added to one.",
        {
            "session": _SESSION,
            "process": "The process that reported it, by its id; its name is in processes.",
            "claim": _CLAIM,
            "counts": f"What it counts: {_one_of(Counts)}. interval is one stage's time, addition a piece "
            "that is added to an accumulator, total an accumulator, ranks a maximum over processes.",
            "source": _SOURCE_OF_CLAIM,
            "role": _ROLE,
            "component": _COMPONENT,
            "stage": _STAGE_OF_CLAIM,
            "claimed_ns": _CLAIMED_NS,
            "resolution_ns": "What it was rounded to, in nanoseconds: 10,000,000 for 16.77 s.",
            "text": "The text that it was read from.",
            "at_ns": _AT_NS,
            "interval": "The interval that it names, by its id.",
            "claimed_s": _IN_SECONDS,
            "data": "Further details, as a JSON object.",
        },
    ),
    "reconciliation": Relation(
        "Each claim, compared with what was measured.",
        {
            "session": _SESSION,
            "process": "The process that made the claim, by its id.",
            "claim": _CLAIM,
            "source": _SOURCE_OF_CLAIM,
            "role": _ROLE,
            "component": _COMPONENT,
            "stage": _STAGE_OF_CLAIM,
            "claimed_ns": _CLAIMED_NS,
            "measured_ns": "What was measured of it, in nanoseconds; NULL where nothing matches.",
            "measured_uncertainty_ns": "By how much that may be wrong, in nanoseconds.",
            "difference_ns": "claimed_ns less measured_ns, in nanoseconds.",
            "main_cause": "The cause of the largest part of the difference; NULL where there is none.",
            "claimed_s": "claimed_ns in seconds.",
            "measured_s": "measured_ns in seconds.",
            "difference_s": "difference_ns in seconds.",
        },
    ),
    "causes": Relation(
        "Each claim's difference, taken apart: the parts of a claim add up to its difference exactly.",
        {
            "session": _SESSION,
            "process": "The process that made the claim, by its id.",
            "claim": _CLAIM,
            "cause": "Why this part differs, as double_counted, lost_on_failure, late or rounding.",
            "stage": "The stage that was left out, for the cause omitted_stage.",
            "ns": "The part, in nanoseconds: positive where too much was claimed.",
            "intervals": "The intervals that show it: a JSON array of objects with process and interval.",
            "s": _IN_SECONDS,
        },
    ),
    "anomalies": Relation(
        "What should not be so: kept and shown, never repaired by a guess.",
        {
            "session": _SESSION,
            "process": _PROCESS,
            "what": "What is odd, as orphan_stop, parent_does_not_enclose or repeated_load.",
            "interval": "The interval that it is about, by its id.",
            "claim": "The claim that it is about, by its id.",
            "ns": "How much time it is about, in nanoseconds.",
            "detail": "What a person should know.",
            "s": _IN_SECONDS,
        },
    ),
    "milestones": Relation(
        "Named moments.",
        {
            "session": _SESSION,
            "process": _PROCESS,
            "at_ns": _AT_NS,
            "name": f"The moment's name: {ENGINE_READY} is when the engine takes requests.",
        },
    ),
    "gaps": Relation(
        "What a recorder knows that it did not see.",
        {
            "session": _SESSION,
            "process": _PROCESS,
            "at_ns": _AT_NS,
            "what": "What is missing: a hook, events that could not be written, a clock that stepped.",
            "count": "How many of it.",
            "detail": "What a person should know.",
        },
    ),
    "events": Relation(
        "What was recorded, event by event, append-only: all else is derived from it.",
        {
            "id": "The order in which events came into the ledger.",
            "session": _SESSION,
            "process": _PROCESS,
            "seq": "Its number in its process: 0, 1, 2, … without a hole.",
            "kind": "What happened, as stage_started, stage_stopped or total_claimed.",
            "at_ns": _AT_NS,
            "wall_ns": "The same on the wall clock: nanoseconds since 1970, UTC; NULL where unknown.",
            "interval": _INTERVAL,
            "stage": _STAGE,
            "activity": _ACTIVITY,
            "role": "The role that the emitter named; intervals has the one that the time is charged to.",
            "component": _COMPONENT,
            "source": _SOURCE,
            "thread": _THREAD,
            "parent": "The parent that the emitter named, by its interval id.",
            "outcome": f"How a stage, a process or a session ended: {_one_of(Outcome)}.",
            "error": "The class of the exception that left a stage.",
            "data": "What else belongs to it, as a JSON object.",
            "body": "The fields that have no column of their own, as a JSON object.",
        },
    ),
    "rejected_lines": Relation(
        "Lines that could not be read as events, kept aside.",
        {
            "id": "Its number here.",
            "file": "The journal or the file that it stood in.",
            "line": "The line's number there, from 1.",
            "reason": "Why it is no event.",
            "text": "The line itself.",
        },
    ),
    "ledger_info": Relation(
        "The ledger's versions, and whether its tables are up to date: one row.",
        {
            "schema_version": "The version of these tables and views.",
            "event_format": "The version of the format of events.",
            "reducer_version": "The version of the rules that derive the tables from the events.",
            "events_not_projected": "How many events no table knows of yet; 0 where all are up to date.",
        },
    ),
    "projected_intervals": Relation(
        "What the view intervals is made of.", _STORED_INTERVAL, is_internal=True
    ),
    "projected_sessions": Relation(
        "How far each session's events are in the derived tables.",
        {
            "session": _SESSION,
            "last_event_id": "The id of its newest event that is.",
            "event_count": "How many of its events are.",
            "reducer_version": "By which version of the rules.",
        },
        is_internal=True,
    ),
    "journal_progress": Relation(
        "How far each process's journal was read.",
        {
            "journal": "The journal's name, without its suffix.",
            "head": "What its first line hashes to: another file of that name is another journal.",
            "read_bytes": "How many bytes were read.",
            "read_lines": "How many lines were read.",
            "session": _SESSION,
            "process": _PROCESS,
            "last_seq": "The seq of the last event that was read.",
            "last_ns": "Its at_ns, in nanoseconds.",
            "has_left": "1 once the process has left.",
        },
        is_internal=True,
    ),
    "versions": Relation(
        "What the view ledger_info takes its versions from.",
        {
            "event_format": "The version of the format of events.",
            "reducer_version": "The version of the rules that derive the tables from the events.",
        },
        is_internal=True,
    ),
    "_sqlite_migrations": Relation(
        "Which versions of the schema were applied, as sqlite-utils keeps it.",
        {
            "id": "Its number here.",
            "migration_set": "Whose schema.",
            "name": "The version.",
            "applied_at": "When it was applied: ISO 8601, UTC.",
        },
        is_internal=True,
    ),
}
