"""The names of the field: stages and their activities, sources, outcomes, causes. One meaning each."""

from typing import Final, Literal, TypeAlias

from ledger_birth.line_writer import EVENTS_NOT_WRITTEN as EVENTS_NOT_WRITTEN

Activity: TypeAlias = str
"""The kind of work that a stage is: one that STAGES names, or any other word."""
Source = Literal["monitor", "backend", "engine", "torch", "python", "log", "user"]
Outcome = Literal["completed", "failed"]
IntervalOutcome = Literal["completed", "failed", "abandoned", "open"]
ProcessOutcome = Literal["completed", "failed", "lost", "running"]
Counts = Literal["interval", "addition", "total", "ranks"]
Readiness = Literal["server_ready", "engine_ready"]
WindowStart = Literal["command_started", "creation", "event", Readiness]
WindowEnd = Literal[Readiness, "command_ended", "session_ended", "event"]
CompilationKind = Literal["first", "recompile", "backward", "load"]
CacheAnswer = Literal["miss", "bypass", "disabled", "hit"]

WINDOW_STARTS: Final[dict[WindowStart, str]] = {
    "command_started": "the command",
    "creation": "the first process",
    "event": "the first event",
    "server_ready": "the last server_ready",
    "engine_ready": "the last engine_ready",
}
"""What begins the time until something was ready, in a sentence."""

WINDOW_ENDS: Final[dict[WindowEnd, str]] = {
    "server_ready": "server_ready",
    "engine_ready": "engine_ready",
    "command_ended": "the command's end",
    "session_ended": "the session's end",
    "event": "the last event",
}

STAGES: Final[dict[Activity, tuple[str, ...]]] = {
    "compile": (
        "torch_compile",
        "dynamo",
        "backend_compile",
        "graph_split",
        "graph_compile",
        "graph_load",
        "aot_compile",
        "aot_load",
        "aot_save",
        "cache_save",
        "triton_compile",
    ),
    "warmup": ("first_run", "warmup", "kernel_warmup"),
    "load": ("model_load", "model_init", "weights_load"),
    "capture": ("graph_capture", "graph_capture_probe"),
    "startup": (
        "engine_init",
        "profile_run",
        "kv_cache_init",
        "process_start",
        "interpreter_start",
        "process_exit",
        "import",
        "waiting",
        "configuration",
        "tokenizer_load",
        "server_start",
    ),
}

ACTIVITY_OF: Final[dict[str, Activity]] = {
    stage: activity for activity, stages in STAGES.items() for stage in stages
}

ROLE_OF_TORCH: Final = "model"
"""The role that torch's own intervals are charged to where nothing around them names one."""

CauseName = Literal[
    "double_counted",
    "overlapping_ranges",
    "role_lumping",
    "cumulative",
    "lost_on_failure",
    "not_reported",
    "late",
    "omitted_stage",
    "mixed_ranks",
    "clock",
    "not_in_log",
    "rounding",
    "unexplained",
]

CAUSES: Final[dict[CauseName, str]] = {
    "double_counted": "One interval was counted twice, or together with one that encloses or crosses it.",
    "overlapping_ranges": "The clock for one range of sizes ran while graphs for another were compiled.",
    "role_lumping": "Another role's time was counted as this role's.",
    "cumulative": "The number includes the one that its claimant reported before it.",
    "lost_on_failure": "An attempt failed, and its time was never added.",
    "not_reported": "The claimant reported 0.",
    "late": "The time passed after the engine was ready, when the number had been read already.",
    "omitted_stage": "The claimant does not count this stage.",
    "mixed_ranks": "The maxima come from different processes, so that their sum is no process's time.",
    "clock": "The claimant read the wall clock, and that was set meanwhile.",
    "not_in_log": "A rank was slower than those that the log has such a line of.",
    "rounding": "No more than the rounded digits and the uncertainty of the measurement.",
    "unexplained": "Nothing in the events explains this part.",
}
"""What each cause of a difference means. Where several hold for some time, the first one here counts."""

UNMATCHED: Final = "unmatched"
"""In place of a main cause: no interval matches the claim, so there is no difference to explain."""

FindingName = Literal[
    "cache_key_changed",
    "cache_load_failed",
    "cache_empty",
    "cache_bypassed",
    "compiled_after_ready",
    "recompiles",
    "graph_breaks",
    "kernels_compiled",
    "graphs_captured_twice",
    "slow_imports",
    "slow_weights",
    "serial_processes",
    "straggling_rank",
    "unattributed_time",
    "wrong_claim",
    "loaded_machine",
]

FINDINGS: Final[dict[FindingName, str]] = {
    "cache_key_changed": "It was compiled, since a part of the cache's key is not what it was before.",
    "cache_load_failed": "It was compiled, since what the cache had could not be loaded.",
    "cache_empty": "It was compiled, since the cache had nothing for it.",
    "cache_bypassed": "It was compiled, since torch passed its cache by.",
    "compiled_after_ready": "It was compiled when the engine was ready already: a request waited for it.",
    "recompiles": "A function was compiled again, since a guard failed.",
    "graph_breaks": "A function was compiled in pieces, since Dynamo could not go on.",
    "kernels_compiled": "Triton compiled kernels that no cache had.",
    "graphs_captured_twice": "CUDA graphs were captured once to measure memory, and once more.",
    "slow_imports": "A package's import is a large part of the start.",
    "slow_weights": "Loading weights is a large part of the start.",
    "serial_processes": "Processes were started one after the other.",
    "straggling_rank": "One rank took longer than the others, which waited for it.",
    "unattributed_time": "No interval accounts for a part of the start.",
    "wrong_claim": "A reported time is off by more than 5 % of the measured one.",
    "loaded_machine": "Processes waited for a processor while they could have run.",
}
"""What each finding means: something that a reader can act upon."""

CAUSE_LABELS: Final[dict[str, str]] = {
    "double_counted": "counted more than once",
    "overlapping_ranges": "clocks of several ranges overlap",
    "role_lumping": "includes another role's time",
    "cumulative": "includes what was reported before",
    "lost_on_failure": "failed attempt not included",
    "not_reported": "missing from the reported value",
    "late": "too late to be included",
    "omitted_stage": "not included",
    "mixed_ranks": "maxima of different processes",
    "clock": "wall clock was set",
    "not_in_log": "a slower rank, not in the log",
    "rounding": "rounding",
    "unexplained": "unexplained",
    UNMATCHED: "no interval to compare with",
}
"""What reports call each cause, and a claim that has no interval."""

AnomalyName = Literal[
    "duplicate_start",
    "duplicate_stop",
    "orphan_stop",
    "stop_before_start",
    "unknown_parent",
    "parent_does_not_enclose",
    "repeated_load",
    "outside_parent",
    "number_out_of_range",
]

IMPORT: Final = "import"
"""The stage of an import, whose component is the module."""

WAITING: Final = "waiting"
"""The stage of a process that does nothing but wait for another one."""

COMMAND_STARTED: Final = "command_started"
"""The milestone at which a recorded command was started."""

COMMAND_ENDED: Final = "command_ended"
"""The milestone at which a recorded command had ended."""

ENGINE_READY: Final = "engine_ready"
"""The milestone at which an engine's start is over: what compiles later is late."""

SERVER_READY: Final = "server_ready"
"""The milestone at which the first request could be served."""

FIRST_TOKEN: Final = "first_token"
"""The milestone at which an engine had made its first token."""

CLOCK_STEPPED: Final = "clock_stepped"
"""The gap that a recorder notes where the wall clock was set; its detail begins with "+5000000000 ns"."""


def package_of(component: str | None) -> str:
    """Return the package of an imported module, which is the component of an import; empty where none is."""
    return (component or "").partition(".")[0]


def activity_of(stage: str, source: str) -> Activity:
    """Return the activity of a stage that says none: `startup` for a name that is not in the vocabulary.

    torch has hundreds of names of its own for the parts of a compile: from torch, every one is `compile`.
    """
    return ACTIVITY_OF.get(stage) or ("compile" if source == "torch" else "startup")
