"""The names of the field: stages and their activities, sources, outcomes. One meaning each."""

from typing import Final, Literal

Activity = Literal["compile", "warmup", "load", "capture", "startup"]
Source = Literal["monitor", "backend", "engine", "torch", "log", "user"]
Outcome = Literal["completed", "failed"]
IntervalOutcome = Literal["completed", "failed", "abandoned", "open"]
ProcessOutcome = Literal["completed", "failed", "lost", "running"]
Counts = Literal["interval", "addition", "total", "ranks"]

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
    ),
    "warmup": ("first_run", "warmup", "kernel_warmup"),
    "load": ("model_load", "model_init", "weights_load"),
    "capture": ("graph_capture", "graph_capture_probe"),
    "startup": ("engine_init", "profile_run", "kv_cache_init", "process_start"),
}

ACTIVITY_OF: Final[dict[str, Activity]] = {
    stage: activity for activity, stages in STAGES.items() for stage in stages
}

ROLE_OF_TORCH: Final = "model"
"""The role that torch's own intervals are charged to where nothing around them names one."""

ENGINE_READY: Final = "engine_ready"
"""The milestone at which an engine's start is over: what compiles later is late."""

EVENTS_NOT_WRITTEN: Final = "events_not_written"
"""The gap that a recorder notes of its own events."""


def activity_of(stage: str, source: str) -> Activity | None:
    """Return the activity of a stage of the vocabulary; None for a name that is not in it.

    torch has hundreds of names of its own for the parts of a compile: from torch, every one is `compile`.
    """
    return ACTIVITY_OF.get(stage) or ("compile" if source == "torch" else None)
