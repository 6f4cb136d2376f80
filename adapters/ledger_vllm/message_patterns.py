"""The table of vLLM's log messages that matter to a start-up. A new message only needs a row here.

Live recording and the log importer both work from this table: what is claimed, where its interval goes, and
which lines of a large log are looked at all follow from it. A message comes without its logger's prefix.
Stages and clocks are those of vLLM's sources (`tests/vllm_compat` keeps their wordings from 0.19.1 on; older
ones come from published logs). The tests check every row: that its example matches it, and that any message
that matches contains the row's keyword.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Source = Literal["monitor", "backend", "engine"]

SECONDS: Final = r"(?P<seconds>\d+(?:\.\d+)?)"
_SIZES: Final = r"for (?:compile range (?P<range>.+?)|(?P<shape>(?:dynamic|general) shape|shape .+?))"
"""The sizes that a graph is for. Before compile ranges there was one shape, or none, at a time."""
_LOADED: Final = rf"Directly load the compiled graph(?:\(s\))? {_SIZES} from the cache"


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
    precedes_engine_init: bool = False
    """Whether it is over before `engine_init` begins; all others that precede its message lie inside it."""


_TORCH_COMPILE: Final = LoggedStage("torch_compile", "monitor", is_of_model_part=True)
_FIRST_RUN: Final = LoggedStage("first_run", "monitor", is_of_model_part=True)
_DYNAMO: Final = LoggedStage("dynamo", "backend", within="torch_compile", is_of_model_part=True)
_GRAPH_LOAD: Final = LoggedStage(
    "graph_load", "backend", within="torch_compile", is_of_model_part=True, can_overlap=True
)
_GRAPH_COMPILE: Final = LoggedStage(
    "graph_compile", "backend", within="torch_compile", is_of_model_part=True, can_overlap=True
)
_CACHE_SAVE: Final = LoggedStage("cache_save", "backend", within="torch_compile", is_of_model_part=True)
_AOT_LOAD: Final = LoggedStage("aot_load", "backend", within="torch_compile", is_of_model_part=True)
_AOT_SAVE: Final = LoggedStage("aot_save", "backend", within="torch_compile", is_of_model_part=True)
_MODEL_LOAD: Final = LoggedStage("model_load", "engine", precedes_engine_init=True)
_WEIGHTS_LOAD: Final = LoggedStage("weights_load", "engine", within="model_load", precedes_engine_init=True)
_MODEL_INIT: Final = LoggedStage("model_init", "engine", within="model_load", precedes_engine_init=True)
_WARMUP: Final = LoggedStage("warmup", "engine")
_KERNEL_WARMUP: Final = LoggedStage("kernel_warmup", "engine")
_GRAPH_CAPTURE: Final = LoggedStage("graph_capture", "engine")
_ENGINE_INIT: Final = LoggedStage("engine_init", "engine", precedes_engine_init=True)


@dataclass(frozen=True, slots=True)
class MessagePattern:
    """A wording of vLLM's. `pattern` matches the whole message, after its component's tag."""

    pattern: str
    keyword: str
    """Literal ASCII text that each such message contains. Large logs are searched for all keywords, one after
    the other: a keyword that other rows have costs nothing, a frequent word costs much."""
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
    """A message that states how long a stage took, in the group `seconds`: an interval, and a claim."""

    stage: LoggedStage
    rank_totals: Sequence[RankTotal] = ()
    """What it states besides, each a claim that counts `ranks`."""
    is_recorded: bool = True
    """Whether the stage is recorded live. If not, only the log importer reads the message."""
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
        _TORCH_COMPILE,
    ),
    DurationPattern(
        rf"torch\.compile and initial profiling/warmup run together (?:took|takes) {SECONDS} s in total",
        "ompil",
        "torch.compile and initial profiling/warmup run together took 20.44 s in total",
        _TORCH_COMPILE,
        data={"includes": "first_run"},
    ),
    DurationPattern(
        rf"Initial profiling/warmup run took {SECONDS} s",
        "took",
        "Initial profiling/warmup run took 3.51 s",
        _FIRST_RUN,
    ),
    DurationPattern(
        rf"Dynamo bytecode transform time: {SECONDS} s",
        "time:",
        "Dynamo bytecode transform time: 6.08 s",
        _DYNAMO,
    ),
    DurationPattern(
        rf"{_LOADED}, took {SECONDS} s",
        "ompil",
        "Directly load the compiled graph(s) for compile range (1, 8192) from the cache, took 0.412 s",
        _GRAPH_LOAD,
    ),
    DurationPattern(
        rf"Compiling a graph {_SIZES} takes {SECONDS} s",
        "ompil",
        "Compiling a graph for compile range (1, 8192) takes 8.05 s",
        _GRAPH_COMPILE,
    ),
    DurationPattern(
        rf"Saved compiler manager cache in {SECONDS} seconds\.",
        "ompil",
        "Saved compiler manager cache in 0.25 seconds.",
        _CACHE_SAVE,
    ),
    DurationPattern(
        rf"Loading weights took {SECONDS} seconds",
        "took",
        "Loading weights took 3.39 seconds",
        _WEIGHTS_LOAD,
    ),
    DurationPattern(
        rf"Initializing model took {SECONDS} seconds",
        "took",
        "Initializing model took 0.713205 seconds",
        _MODEL_INIT,
    ),
    DurationPattern(
        rf"Model loading took \S+ GiB(?: memory)? and {SECONDS} seconds",
        "took",
        "Model loading took 14.25 GiB memory and 4.181205 seconds",
        _MODEL_LOAD,
    ),
    DurationPattern(
        rf"JIT kernel warmup finished in {SECONDS}s\.",
        "finished in",
        "JIT kernel warmup finished in 1.50s.",
        _KERNEL_WARMUP,
    ),
    DurationPattern(
        rf"(?:Encoder g|G)raph capturing finished in {SECONDS} secs, took \S+ GiB(?: \(\d+ graphs\))?",
        "took",
        "Graph capturing finished in 5 secs, took 0.50 GiB",
        _GRAPH_CAPTURE,
    ),
    DurationPattern(
        rf"init engine \(profile, create kv cache, warmup model\) took {SECONDS} s(?:econds)?"
        r"(?: \(compilation: (?P<all_roles>\d+\.\d+) s"
        # The dash may have suffered on its way through other encodings.
        r"(?: \S{1,6} language_model: (?P<language_model>\d+\.\d+) s, encoder: (?P<encoder>\d+\.\d+) s)?\))?",
        "took",
        "init engine (profile, create kv cache, warmup model) took 35.06 s "
        "(compilation: 20.72 s — language_model: 11.04 s, encoder: 9.68 s)",
        _ENGINE_INIT,
        rank_totals=(
            RankTotal("all_roles", _TORCH_COMPILE, None),
            RankTotal("language_model", _TORCH_COMPILE, "language_model"),
            RankTotal("encoder", _TORCH_COMPILE, "encoder"),
        ),
    ),
    DurationPattern(  # in the front end, where nothing is recorded
        rf"(?:\S+ ){{1,5}}warmup completed in {SECONDS}s",
        "completed in",
        "Multi-modal warmup completed in 2.31s",
        _WARMUP,
        is_recorded=False,
    ),
)

OCCURRENCES: Final = (
    OccurrencePattern(
        r"Starting torch\.compile", "ompil", "Starting torch.compile", "compile_begins", _TORCH_COMPILE
    ),
    OccurrencePattern(
        r"Using cache directory: (?P<path>.+) for vLLM.s torch\.compile",
        "ompil",
        "Using cache directory: /cache/ba0734268d/rank_0_0/backbone for vLLM's torch.compile",
        "cache_directory",
    ),
    OccurrencePattern(
        _LOADED,
        "ompil",
        "Directly load the compiled graph(s) for dynamic shape from the cache",
        "graph_loaded",
        _GRAPH_LOAD,
    ),
    OccurrencePattern(
        r"Directly load AOT compilation from path (?P<path>.+)",
        "ompil",
        "Directly load AOT compilation from path /cache/model",
        "aot_loaded",
        _AOT_LOAD,
        data={"cache": "hit"},
    ),
    OccurrencePattern(
        r"Compiling model again due to a load failure from (?P<path>.+?), reason: (?P<reason>.*)",
        "ompil",
        "Compiling model again due to a load failure from /cache/model, reason: no such guard",
        "aot_load_failed",
        _AOT_LOAD,
        outcome="failed",
        data={"cache": "failed"},
    ),
    OccurrencePattern(
        r"saved AOT compiled function to (?P<path>.+)",
        "ompil",
        "saved AOT compiled function to /cache/model",
        "aot_saved",
        _AOT_SAVE,
    ),
    OccurrencePattern(
        r"Warming up model for the compilation\.\.\.",
        "ompil",
        "Warming up model for the compilation...",
        "warmup_begins",
        _WARMUP,
    ),
    OccurrencePattern(r"Warming up done\.", "Warming up", "Warming up done.", "warmup_ends", _WARMUP),
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

LOGGED_STAGES: Final[Mapping[str, LoggedStage]] = {
    row.stage.name: row.stage for row in (*DURATIONS, *OCCURRENCES) if row.stage is not None
}
"""The stages that messages report, by name."""

KEYWORDS: Final[Sequence[str]] = tuple(
    dict.fromkeys(row.keyword for row in (*DURATIONS, *OCCURRENCES, *NOTICES, *UNSTAMPED_NOTICES))
)
"""What to search a log for: a line without any of these matches no row."""
