"""The records that a session reduces to. Their fields are the ledger's columns, as Python values.

Times `…_ns` are integer nanoseconds of the monotonic clock of the process; ISO texts are UTC. A field
`data_json` holds the text of the column `data`, which `data` decodes.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import JsonValue

from ledger.timeline.stage_data import decoded
from ledger.vocabulary import (
    Activity,
    AnomalyName,
    CauseName,
    CompilationKind,
    Counts,
    IntervalOutcome,
    ProcessOutcome,
    Source,
    WindowEnd,
    WindowStart,
)


class Session(NamedTuple):
    """One start-up of a program, over all its processes."""

    session: str
    label: str | None
    command: tuple[str, ...] | None
    started_at: str | None
    ended_at: str | None
    outcome: ProcessOutcome
    process_count: int
    event_count: int
    versions: Mapping[str, str]
    """The versions of what it ran with, by name: `python`, `torch`, an engine; sorted by name."""


class Process(NamedTuple):
    """One operating-system process of a session."""

    session: str
    process: str
    name: str | None
    rank: int | None
    pid: int | None
    parent_pid: int | None
    host: str | None
    started_at: str | None
    outcome: ProcessOutcome
    event_count: int
    lost_events: int
    """Events that were numbered and are missing here."""
    hooks: tuple[str, ...]
    missing_hooks: tuple[str, ...]


class IntervalKey(NamedTuple):
    """What names an interval within its session."""

    process: str
    interval: int


class Interval(NamedTuple):
    """A start and its stop. Without a stop it is `abandoned` (a lower bound) or still `open`."""

    session: str
    process: str
    interval: int
    enclosing: int | None
    """The innermost interval that encloses it in time, in its process."""
    parent: int | None
    """The parent that the emitter named."""
    depth: int
    is_top_level: bool
    activity: Activity
    stage: str
    role: str | None
    component: str | None
    source: Source
    thread: str | None
    start_ns: int
    stop_ns: int | None
    duration_ns: int | None
    self_ns: int | None
    unattributed_ns: int | None
    open_ns: int | None
    """Of an open interval: from its start to the last event of its process."""
    outcome: IntervalOutcome
    start_seq: int
    stop_seq: int | None
    """The `seq` of its two events, in its process."""
    error: str | None
    """The class of the exception that left it."""
    data_json: str | None

    @property
    def data(self) -> Mapping[str, JsonValue] | None:
        """What its events say beyond these fields, the stop's over the start's; None where nothing."""
        return decoded(self.data_json)

    @property
    def duration_s(self) -> float | None:
        """`duration_ns` in seconds."""
        return None if self.duration_ns is None else self.duration_ns / 1e9


class RoleTotal(NamedTuple):
    """The time of one role and activity in one process: the union of its top-level intervals."""

    session: str
    process: str
    role: str | None
    activity: Activity
    total_ns: int
    crossing_ns: int
    """By how much the sum of the top-level intervals is more than their union."""
    open_ns: int
    top_level_count: int
    interval_count: int
    open_count: int

    @property
    def total_s(self) -> float:
        """`total_ns` in seconds."""
        return self.total_ns / 1e9


class SourceTotal(NamedTuple):
    """The same among one source's intervals alone, beside what adding them all up would give."""

    session: str
    process: str
    role: str | None
    activity: Activity
    source: Source
    total_ns: int
    naive_sum_ns: int
    double_counted_ns: int

    @property
    def total_s(self) -> float:
        """`total_ns` in seconds."""
        return self.total_ns / 1e9


class SessionTotal(NamedTuple):
    """A role's time over the processes of a session: three different numbers, never one."""

    session: str
    role: str | None
    activity: Activity
    max_ns: int
    union_ns: int | None
    """None where the processes have no clock in common."""
    sum_ns: int
    slowest_process: str
    process_count: int


class Claim(NamedTuple):
    """A duration that somebody reported."""

    session: str
    process: str
    claim: int
    counts: Counts
    source: Source
    role: str | None
    component: str | None
    stage: str | None
    claimed_ns: int
    resolution_ns: int | None
    text: str | None
    at_ns: int
    interval: int | None
    data_json: str | None

    @property
    def data(self) -> Mapping[str, JsonValue] | None:
        """What else it says: further `intervals` that it is about, a `range`, what it `adds_up`."""
        return decoded(self.data_json)

    @property
    def claimed_s(self) -> float:
        """`claimed_ns` in seconds."""
        return self.claimed_ns / 1e9


class Anomaly(NamedTuple):
    """Something in the events that should not be so. It is kept and shown, never repaired by a guess."""

    session: str
    process: str
    what: AnomalyName
    interval: int | None
    claim: int | None
    ns: int | None
    detail: str | None


class Milestone(NamedTuple):
    """A named moment."""

    session: str
    process: str
    at_ns: int
    name: str


class Gap(NamedTuple):
    """What a recorder knows that it did not see."""

    session: str
    process: str
    at_ns: int
    what: str
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    detail: str | None


class StartupWindow(NamedTuple):
    """The time from the command until something was ready: `ledger.timeline.breakdown` cuts it into pieces.

    Its times, and those of its pieces, are on the clock of the session's first process.
    """

    session: str
    window: int
    """0, 1, …: a session that became ready again has a window for each time."""
    began_by: WindowStart
    ended_by: WindowEnd
    start_ns: int
    stop_ns: int
    duration_ns: int
    uncertainty_ns: int
    """By how much its bounds, and where pieces of other clocks lie in it, may be wrong."""
    unattributed_ns: int
    """How much of it belongs to no interval."""

    @property
    def duration_s(self) -> float:
        """`duration_ns` in seconds."""
        return self.duration_ns / 1e9


class StartupPiece(NamedTuple):
    """A piece of a window, charged to one interval, or to none. Pieces neither overlap nor leave a hole."""

    session: str
    window: int
    piece: int
    start_ns: int
    stop_ns: int
    duration_ns: int
    process: str | None
    """None where no process was there, or all of them waited."""
    interval: int | None
    activity: Activity | None
    stage: str | None
    role: str | None
    component: str | None
    source: Source | None
    after_stage: str | None
    """Of a piece without an interval: the stage of its process that had ended last, …

    Also of a piece between two parts of a log's interval.
    """
    before_stage: str | None
    """… and the one that began next."""
    path: str | None = None
    """The stages of the intervals around it and its own, the outermost first, five at most.

    An import has its package, a stage the role that begins with it: `torch_compile [encoder]`. Of the same
    name one after the other there is one.
    """

    @property
    def duration_s(self) -> float:
        """`duration_ns` in seconds."""
        return self.duration_ns / 1e9


class Reconciliation(NamedTuple):
    """A claim compared with what was measured."""

    session: str
    process: str
    claim: int
    source: Source
    role: str | None
    component: str | None
    stage: str | None
    claimed_ns: int
    measured_ns: int | None
    measured_uncertainty_ns: int | None
    difference_ns: int | None
    main_cause: CauseName | Literal["unmatched"] | None


class Cause(NamedTuple):
    """The part of a claim's difference that one cause explains."""

    session: str
    process: str
    claim: int
    cause: CauseName
    stage: str | None
    ns: int
    intervals: tuple[IntervalKey, ...]
    """The intervals that show it."""


class Compilation(NamedTuple):
    """One thing that torch compiled, or loaded."""

    session: str
    process: str
    compile_id: str | None
    ordinal: int
    """Counts from 0 the compiles of one id in a process: backward has forward's, and a reset starts over."""
    kind: CompilationKind
    reason: str | None
    """Why it was compiled again, as torch says it."""
    role: str | None
    function: str | None
    file: str | None
    line: int | None
    outcome: IntervalOutcome
    error: str | None
    """The class of the exception that left it."""
    start_ns: int
    duration_ns: int | None
    dynamo_ns: int | None
    aot_ns: int | None
    inductor_ns: int | None
    codegen_ns: int | None
    triton_ns: int | None
    """Each moment belongs to one phase: these add up to what torch's stages cover of the duration."""
    fx_graph_cache: str | None
    aot_cache: str | None
    autotune_cache: str | None
    remote_cache: str | None
    cache_bypass_reason: str | None
    graph_breaks: int | None
    guards: int | None
    interval: int
    """The interval that it is."""
    component: str | None
    error_text: str | None
    """What that exception said, or the one with which Dynamo gave the frame up."""
    has_code: bool | None
    """Whether compiled code came out of it; where not, the frame runs eagerly."""

    @property
    def duration_s(self) -> float | None:
        """`duration_ns` in seconds."""
        return None if self.duration_ns is None else self.duration_ns / 1e9


class GraphBreak(NamedTuple):
    """A place where Dynamo could not go on, in one compile."""

    session: str
    process: str
    compile_id: str | None
    reason: str
    file: str | None
    line: int | None
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    """How often it was so in this compile."""
    ordinal: int
    """The compile's, among those of one id."""
