"""The table of vLLM's log messages that live recording and the log importer both read.

What is claimed, where its interval goes, and which lines of a large log are looked at all follow from it, and
from the rows that only the importer reads (`ledger_vllm_log.message_patterns`). A message comes without its
logger's prefix. Stages and clocks are those of vLLM's sources (`tests/data/vllm_stated_durations.json` keeps
their wordings; older ones come from published logs). The tests check every row: that its example matches it,
and that any message that matches contains the row's keyword.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ledger_vllm.logged_stages import (
    AOT_LOAD,
    AOT_SAVE,
    CACHE_SAVE,
    DYNAMO,
    ENGINE_INIT,
    FIRST_RUN,
    GRAPH_CAPTURE,
    GRAPH_COMPILE,
    GRAPH_LOAD,
    KERNEL_WARMUP,
    MODEL_INIT,
    MODEL_LOAD,
    TORCH_COMPILE,
    WARMUP,
    WEIGHTS_LOAD,
    LoggedStage,
)

SECONDS: Final = r"(?P<seconds>\d+(?:\.\d+)?)"
_SIZES: Final = r"for (?:compile range (?P<range>.+?)|(?P<shape>(?:dynamic|general) shape|shape .+?))"
"""The sizes that a graph is for. Before compile ranges there was one shape, or none, at a time."""
_LOADED: Final = rf"Directly load the compiled graph(?:\(s\))? {_SIZES} from the cache"


@dataclass(frozen=True, slots=True)
class MessagePattern:
    """A wording of vLLM's. `pattern` matches the whole message, after its component's tag."""

    pattern: str
    keyword: str
    """Literal ASCII text that each such message contains. Large logs are searched for all keywords."""
    example: str
    """A message as vLLM logs it."""


@dataclass(frozen=True, slots=True)
class RankTotal:
    """A group of a pattern that states the maximum over the ranks of what one role took to compile."""

    group: str
    stage: LoggedStage
    role: str | None


@dataclass(frozen=True, slots=True)
class DurationPattern(MessagePattern):
    """A message that states how long a stage took: an interval, and a claim.

    The group `seconds` has the duration, or `milliseconds`; `component`, what it was spent on.
    """

    stage: LoggedStage
    rank_totals: Sequence[RankTotal] = ()
    """What it states besides, each a claim that counts `ranks`."""
    is_recorded: bool = True
    """Whether the stage is recorded live. If not, only the log importer reads the message."""
    outcome: Literal["completed", "failed"] = "completed"
    data: Mapping[str, str] = field(default_factory=dict[str, str])
    """What is always true of such an interval, for its `data`."""


OccurrenceName = Literal[
    "compile_begins",
    "cache_directory",
    "graph_loaded",
    "aot_loaded",
    "aot_load_failed",
    "aot_saved",
    "warmup_begins",
    "warmup_ends",
    "rank_assigned",
    "cache_factors",
    "drafter_load_begins",
    "autotune_begins",
    "autotune_ends",
    "kernel_compile_begins",
    "kernel_compile_ends",
    "kernel_compiled_late",
]


@dataclass(frozen=True, slots=True)
class OccurrencePattern(MessagePattern):
    """A message that something happened in a process, without a duration."""

    name: OccurrenceName
    stage: LoggedStage | None = None
    """The stage that ended with it: an interval of unknown length."""
    outcome: Literal["completed", "failed"] = "completed"
    data: Mapping[str, str] = field(default_factory=dict[str, str])
    """What is always true of such an interval, for its `data`."""


NoticeName = Literal[
    "version", "arguments", "engine", "engine_answers", "ready", "serves", "fails", "raised", "shuts_down"
]


@dataclass(frozen=True, slots=True)
class NoticePattern(MessagePattern):
    """A message about the start-up as a whole, which only the log importer reads; it has no component's tag.

    `version` and `arguments` are what a front end begins with, `engine` is an engine's first line. `raised`
    names an exception: the last one after a failure is the one that left the process. The group `detail`, if
    there is one, holds the version or the exception.

    `ready` is what a front end cannot log before its engines have answered it; `engine_answers`, what it logs
    of each of them; `serves` means that requests are taken. "init engine … took" is none of these: the engine
    goes on with its start after that, and the front end still waits for it.
    """

    name: NoticeName


DURATIONS: Final = (
    DurationPattern(
        rf"torch\.compile (?:took|takes) {SECONDS} s in total",
        "ompil",
        "torch.compile took 16.77 s in total",
        TORCH_COMPILE,
    ),
    DurationPattern(
        rf"torch\.compile and initial profiling/warmup run together (?:took|takes) {SECONDS} s in total",
        "ompil",
        "torch.compile and initial profiling/warmup run together took 20.44 s in total",
        TORCH_COMPILE,
        data={"includes": "first_run"},
    ),
    DurationPattern(
        rf"Initial profiling/warmup run took {SECONDS} s",
        "took",
        "Initial profiling/warmup run took 3.51 s",
        FIRST_RUN,
    ),
    DurationPattern(
        rf"Dynamo bytecode transform time: {SECONDS} s",
        "time:",
        "Dynamo bytecode transform time: 6.08 s",
        DYNAMO,
    ),
    DurationPattern(
        rf"{_LOADED}, took {SECONDS} s",
        "ompil",
        "Directly load the compiled graph(s) for compile range (1, 8192) from the cache, took 0.412 s",
        GRAPH_LOAD,
    ),
    DurationPattern(
        rf"Compiling a graph {_SIZES} takes {SECONDS} s",
        "ompil",
        "Compiling a graph for compile range (1, 8192) takes 8.05 s",
        GRAPH_COMPILE,
    ),
    DurationPattern(
        rf"Saved compiler manager cache in {SECONDS} seconds\.",
        "ompil",
        "Saved compiler manager cache in 0.25 seconds.",
        CACHE_SAVE,
    ),
    DurationPattern(
        rf"Loading weights took {SECONDS} seconds",
        "took",
        "Loading weights took 3.39 seconds",
        WEIGHTS_LOAD,
    ),
    DurationPattern(
        rf"Initializing model took {SECONDS} seconds",
        "took",
        "Initializing model took 0.713205 seconds",
        MODEL_INIT,
    ),
    DurationPattern(
        rf"(?:Model loading|Loading model weights) took \S+ Gi?B(?: memory)? and {SECONDS} seconds",
        "took",
        "Model loading took 14.25 GiB memory and 4.181205 seconds",
        MODEL_LOAD,
    ),
    DurationPattern(
        rf"JIT kernel warmup finished in {SECONDS}s\.",
        "finished in",
        "JIT kernel warmup finished in 1.50s.",
        KERNEL_WARMUP,
    ),
    DurationPattern(
        rf"(?:Encoder g|G)raph capturing finished in {SECONDS} secs(?:\.|, took \S+ GiB(?: \(\d+ graphs\))?)",
        "finished in",
        "Graph capturing finished in 5 secs, took 0.50 GiB",
        GRAPH_CAPTURE,
    ),
    DurationPattern(
        rf"init engine \(profile, create kv cache, warmup model\) took {SECONDS} s(?:econds)?"
        r"(?: \(compilation: (?P<all_roles>\d+\.\d+) s"
        # The dash may have suffered on its way through other encodings.
        r"(?: \S{1,6} language_model: (?P<language_model>\d+\.\d+) s, encoder: (?P<encoder>\d+\.\d+) s)?\))?",
        "took",
        "init engine (profile, create kv cache, warmup model) took 35.06 s "
        "(compilation: 20.72 s — language_model: 11.04 s, encoder: 9.68 s)",
        ENGINE_INIT,
        rank_totals=(
            RankTotal("all_roles", TORCH_COMPILE, None),
            RankTotal("language_model", TORCH_COMPILE, "language_model"),
            RankTotal("encoder", TORCH_COMPILE, "encoder"),
        ),
    ),
)

OCCURRENCES: Final = (
    OccurrencePattern(
        r"Starting torch\.compile", "ompil", "Starting torch.compile", "compile_begins", TORCH_COMPILE
    ),
    OccurrencePattern(
        r"Using cache directory: (?P<path>\S.*?)(?: for (?:v|\.\.\.|…).*)?",
        "Using cache dir",
        "Using cache directory: /cache/ba0734268d/rank_0_0/backbone for vLLM's torch.compile",
        "cache_directory",
    ),
    OccurrencePattern(
        _LOADED,
        "ompil",
        "Directly load the compiled graph(s) for dynamic shape from the cache",
        "graph_loaded",
        GRAPH_LOAD,
    ),
    OccurrencePattern(  # 0.7, which times that as a compile
        r"Directly lookup the graph for (?P<shape>shape .+?) from the cache",
        "Directly lookup",
        "Directly lookup the graph for shape None from the cache",
        "graph_loaded",
        GRAPH_LOAD,
    ),
    OccurrencePattern(
        r"Directly load AOT compilation from path (?P<path>.+)",
        "ompil",
        "Directly load AOT compilation from path /cache/model",
        "aot_loaded",
        AOT_LOAD,
        data={"cache": "hit"},
    ),
    OccurrencePattern(
        r"Compiling model again due to a load failure from (?P<path>.+?), reason: (?P<reason>.*)",
        "ompil",
        "Compiling model again due to a load failure from /cache/model, reason: no such guard",
        "aot_load_failed",
        AOT_LOAD,
        outcome="failed",
        data={"cache": "failed"},
    ),
    OccurrencePattern(
        r"saved AOT compiled function to (?P<path>.+)",
        "ompil",
        "saved AOT compiled function to /cache/model",
        "aot_saved",
        AOT_SAVE,
    ),
    OccurrencePattern(
        r"Warming up model for the compilation\.\.\.",
        "ompil",
        "Warming up model for the compilation...",
        "warmup_begins",
        WARMUP,
    ),
    OccurrencePattern(r"Warming up done\.", "Warming up", "Warming up done.", "warmup_ends", WARMUP),
    OccurrencePattern(
        r"rank (?P<rank>\d{1,9}) in world size \d+ is assigned as .*",
        "in world size",
        "rank 3 in world size 8 is assigned as DP rank 0, PP rank 0, TP rank 3",
        "rank_assigned",
    ),
)

_VERSION: Final = r"version +(?P<detail>[^\s,]+).*"

NOTICES: Final = (
    NoticePattern(
        r"Initializing an? (?:V\d )?LLM engine \(v(?P<detail>[^\s()]+)\).*",
        "LLM ",
        "Initializing a V1 LLM engine (v0.24.0) with config: model='m/llama'",
        "engine",
    ),
    NoticePattern(  # before 0.19
        r"Core engine process \d+ ready\.", "engine process", "Core engine process 0 ready.", "engine_answers"
    ),
    # Asked of the engines by a server, and by `LLM` before 0.19.
    NoticePattern(r"Supported[ _]tasks: .*", "tasks: ", "Supported tasks: ('generate',)", "ready"),
    NoticePattern(
        r"Starting vLLM (?:API )?server .*",
        "LLM ",
        "Starting vLLM API server 0 on http://0.0.0.0:8000",
        "ready",
    ),
    NoticePattern(rf"vLLM (?:API )?server ?{_VERSION}", "LLM ", "vLLM API server version 0.24.0", "version"),
    # From 0.15 on the version stands beside large letters that are made of blocks.
    NoticePattern(
        rf"[\u2580-\u259f\s]*  {_VERSION}", "  version ", "▄▄ ▄█ █     █ ▀▄▀ █  version 0.15.0", "version"
    ),
    NoticePattern(
        r"non-default args: .*", "default args: ", "non-default args: {'model': 'm/llama'}", "arguments"
    ),
    NoticePattern(r"EngineCore failed to start\..*", " failed", "EngineCore failed to start.", "fails"),
    NoticePattern(
        r"EngineCore encountered a fatal error\..*",
        "fatal error",
        "EngineCore encountered a fatal error.",
        "fails",
    ),
    NoticePattern(
        r"EngineCore hit an exception: .*", "hit an exception", "EngineCore hit an exception: x", "fails"
    ),
    NoticePattern(r"WorkerProc failed to start\..*", " failed", "WorkerProc failed to start.", "fails"),
    NoticePattern(
        r"WorkerProc hit an exception\..*", "hit an exception", "WorkerProc hit an exception.", "fails"
    ),
    NoticePattern(r"\[shutdown\] .*", "[shutdown]", "[shutdown] EngineCore: received a signal", "shuts_down"),
    NoticePattern(
        r"(?P<detail>[A-Za-z_][\w.]*Error)(?:: .*)?", "Error", "ValueError: no memory for the cache", "raised"
    ),
    NoticePattern(
        r"(?P<detail>[A-Za-z_][\w.]*Exception)(?:: .*)?", "Exception", "zmq.SomeException: no route", "raised"
    ),
    NoticePattern(
        r".*Application startup complete\.", "startup complete", "Application startup complete.", "serves"
    ),
)

UNSTAMPED_NOTICES: Final = (
    NoticePattern(  # the end of a front end whose engine did not start
        r"(?:|.* )RuntimeError: Engine core initialization failed\..*",
        "Error",
        "RuntimeError: Engine core initialization failed. See root cause above.",
        "fails",
    ),
    NoticePattern(  # uvicorn's own logger
        r"(?:|.* )INFO: +Application startup complete\.",
        "startup complete",
        "INFO:     Application startup complete.",
        "serves",
    ),
    # The bars of `LLM.generate`, which there is only after `LLM` was made.
    NoticePattern(
        r"(?:|.* )(?:Rendering|Processed) prompts: +\d+%.*",
        "prompts: ",
        "Rendering prompts:   0%|          | 0/1 [00:00<?, ?it/s]",
        "ready",
    ),
    NoticePattern(
        r"(?:|.* )Adding requests: +\d+%.*",
        "Adding requests",
        "Adding requests:   0%|          | 0/1 [00:00<?, ?it/s]",
        "ready",
    ),
)
"""The messages that matter without the logger's stamp: they came after the last line that has one."""
