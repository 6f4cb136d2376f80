"""The stages that vLLM's log messages report, and how an importer places their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Source = Literal["monitor", "backend", "engine"]


@dataclass(frozen=True, slots=True)
class LoggedStage:
    """A stage that log messages report, and how an importer places its interval."""

    name: str
    source: Source
    within: str | None = None
    """The stage that it is a part of, whose own message comes after it."""
    is_of_model_part: bool = False
    """Whether it belongs to one part of the model, and so has a role and a component. All others serve the
    whole process."""
    can_overlap: bool = False
    """Whether several run at a time; then a message's duration is not that of the interval ending there."""
    activity: str | None = None
    """The kind of work that it is, where the vocabulary has no such stage."""
    precedes_engine_init: bool = False
    """Whether it is over before `engine_init` begins; all others that precede its message lie inside it."""


def _of_model_part(name: str, source: Source, *, can_overlap: bool = False) -> LoggedStage:
    return LoggedStage(name, source, "torch_compile", is_of_model_part=True, can_overlap=can_overlap)


def _of_load(name: str, within: str = "model_load", *, can_overlap: bool = False) -> LoggedStage:
    return LoggedStage(
        name, "engine", within, can_overlap=can_overlap, activity="load", precedes_engine_init=True
    )


TORCH_COMPILE: Final = LoggedStage("torch_compile", "monitor", is_of_model_part=True)
FIRST_RUN: Final = LoggedStage("first_run", "monitor", is_of_model_part=True)
DYNAMO: Final = _of_model_part("dynamo", "backend")
GRAPH_LOAD: Final = _of_model_part("graph_load", "backend", can_overlap=True)
GRAPH_COMPILE: Final = _of_model_part("graph_compile", "backend", can_overlap=True)
CACHE_SAVE: Final = _of_model_part("cache_save", "backend")
AOT_LOAD: Final = _of_model_part("aot_load", "backend")
AOT_SAVE: Final = _of_model_part("aot_save", "backend")

MODEL_LOAD: Final = LoggedStage("model_load", "engine", precedes_engine_init=True)
WEIGHTS_LOAD: Final = _of_load("weights_load")
MODEL_INIT: Final = _of_load("model_init")
ENGINE_INIT: Final = LoggedStage("engine_init", "engine", precedes_engine_init=True)
WARMUP: Final = LoggedStage("warmup", "engine")
KERNEL_WARMUP: Final = LoggedStage("kernel_warmup", "engine")
GRAPH_CAPTURE: Final = LoggedStage("graph_capture", "engine")

# Read out of logs alone.
WEIGHTS_DOWNLOAD: Final = _of_load("weights_download")
WEIGHTS_PREFETCH: Final = _of_load("weights_prefetch", can_overlap=True)
WEIGHTS_DESERIALIZE: Final = _of_load("weights_deserialize")
ONLINE_QUANTIZATION: Final = _of_load("online_quantization", can_overlap=True)
MODEL_PARTITION: Final = _of_load("model_partition")
CHECKPOINT_SHARDS: Final = _of_load("checkpoint_shards", "weights_load")
GRAPH_PASS: Final = LoggedStage(
    "graph_pass", "backend", "torch_compile", is_of_model_part=True, can_overlap=True, activity="compile"
)
BACKEND_COMPILE: Final = LoggedStage("backend_compile", "backend")
KERNEL_COMPILE: Final = LoggedStage("kernel_compile", "backend", activity="compile")
MODEL_INSPECTION: Final = LoggedStage(
    "model_inspection", "engine", activity="startup", precedes_engine_init=True
)
MEMORY_PROFILE: Final = LoggedStage("memory_profile", "engine", activity="startup")
ENCODER_PROFILE: Final = LoggedStage("encoder_profile", "engine", activity="startup")
EXPERT_REARRANGEMENT: Final = LoggedStage("expert_rearrangement", "engine", activity="startup")
OFFLOAD_MEMORY_INIT: Final = LoggedStage("offload_memory_init", "engine", activity="startup")
AUTOTUNE: Final = LoggedStage("autotune", "engine", activity="warmup")
DEEP_GEMM_WARMUP: Final = LoggedStage("deep_gemm_warmup", "engine", activity="warmup")
TILELANG_WARMUP: Final = LoggedStage("tilelang_warmup", "engine", activity="warmup")
CUTEDSL_WARMUP: Final = LoggedStage("cutedsl_warmup", "engine", activity="warmup")
TRITON_WARMUP: Final = LoggedStage("triton_warmup", "engine", activity="warmup")
JIT_WARMUP: Final = LoggedStage("jit_warmup", "engine", "kernel_warmup", activity="warmup")
CAPTURE_PASS: Final = LoggedStage("capture_pass", "engine", "graph_capture", activity="capture")
LAST_STEP: Final = LoggedStage("last_step", "engine", activity="startup")
"""What a process that failed did last, where no stage was going on."""

LOGGED_STAGES: Final[Mapping[str, LoggedStage]] = {
    stage.name: stage for stage in vars().copy().values() if isinstance(stage, LoggedStage)
}
"""The stages that log messages report, by name."""
