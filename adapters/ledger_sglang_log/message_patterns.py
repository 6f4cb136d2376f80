"""The messages of SGLang that tell how it starts, as it worded them from 2024 to 2026."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ledger_log_lines.linear_search import Search, searching

Kind = Literal[
    "begin", "end", "stated", "timings", "arguments", "engine_ready", "server_ready", "fails", "shuts_down",
    "other",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that messages report."""

    name: str
    activity: str
    source: Literal["engine", "backend"] = "engine"


DISTRIBUTED_INIT: Final = Stage("distributed_init", "startup")
MODEL_LOAD: Final = Stage("model_load", "load")
GRAPH_CAPTURE: Final = Stage("graph_capture", "capture")
AUTOTUNE: Final = Stage("autotune", "warmup")
COMMUNICATOR_WARMUP: Final = Stage("communicator_warmup", "warmup")
WARMUP: Final = Stage("warmup", "warmup")
GRAPH_COMPILE: Final = Stage("graph_compile", "compile", "backend")
KERNEL_COMPILE: Final = Stage("kernel_compile", "compile", "backend")
ENGINE_INIT: Final = Stage("engine_init", "startup")
SCHEDULER_INIT: Final = Stage("scheduler_init", "startup")
KV_CACHE_INIT: Final = Stage("kv_cache_init", "startup")
CHECKPOINT_SHARDS: Final = Stage("checkpoint_shards", "load")
WEIGHTS_DOWNLOAD: Final = Stage("weights_download", "load")
CAPTURE_PASS: Final = Stage("capture_pass", "capture")
TORCH_COMPILE: Final = Stage("torch_compile", "compile", "backend")
DEEP_GEMM_WARMUP: Final = Stage("deep_gemm_warmup", "warmup")
LAST_STEP: Final = Stage("last_step", "startup")
"""What a process that failed did last, where no stage was going on."""
AUTOTUNE_PASS: Final = Stage("autotune_pass", "warmup")


@dataclass(frozen=True, slots=True)
class MessagePattern:
    """What a message looks like, and what it means.

    The group `seconds` is a stated duration; `component` is what the time was spent on; all others are data.
    """

    kind: Kind
    pattern: re.Pattern[str]
    keyword: str
    """What each message of the kind contains, as a pattern without groups for a linear search."""
    example: str
    stage: Stage | None = None


def _row(kind: Kind, pattern: str, keyword: str, example: str, stage: Stage | None = None) -> MessagePattern:
    return MessagePattern(kind, re.compile(pattern, re.DOTALL | re.ASCII), keyword, example, stage)


_SECONDS: Final = r"(?P<seconds>\d{1,7}(?:\.\d{1,9})?)"
_DEVICE: Final = r"(?:cuda|CUDA|npu|NPU|cpu|CPU|xpu|XPU|hpu|HPU|musa|MUSA)"
_WHAT: Final = r"(?P<component>(?:[a-z_]{1,20} ){0,3})"

PATTERNS: Final[Sequence[MessagePattern]] = (
    _row("arguments", r"server_args=.*", r"server_args=", "server_args=ServerArgs(tp_size=4)"),
    _row(
        "begin", r"Init torch distributed begin\b.*", r"Init torch distributed begin",
        "Init torch distributed begin.", DISTRIBUTED_INIT,
    ),
    _row(
        "end", rf"Init torch distributed ends?\.(?: elapsed={_SECONDS} s)?.*", r"Init torch distributed end",
        "Init torch distributed ends. elapsed=5.54 s, mem usage=0.01 GB", DISTRIBUTED_INIT,
    ),
    _row(
        "begin", r"Load weight begin\b.*", r"Load weight begin", "Load weight begin. avail mem=60.56 GB",
        MODEL_LOAD,
    ),
    _row(
        "end", rf"Load weight end\.(?: elapsed={_SECONDS} s,?)?(?: type=(?P<component>\w{{1,99}}))?.*",
        r"Load weight end",
        "Load weight end. elapsed=130.69 s, type=DeepseekV4ForCausalLM, avail mem=19.22 GB.", MODEL_LOAD,
    ),
    _row(
        "begin", rf"Capture {_WHAT}{_DEVICE} graph begin\b.*", rf"Capture [a-z_ ]*{_DEVICE} graph begin",
        "Capture cuda graph begin. This can take up to several minutes. avail mem=1.45 GB", GRAPH_CAPTURE,
    ),
    _row(
        "end", rf"Capture {_WHAT}{_DEVICE} graph end\.(?: (?:Time elapsed: |elapsed=){_SECONDS} s)?.*",
        rf"Capture [a-z_ ]*{_DEVICE} graph end",
        "Capture target decode NPU graph end. elapsed=17.95 s, mem usage=0.73 GB, avail mem=0.88 GB.",
        GRAPH_CAPTURE,
    ),
    _row(
        "begin", r"Running FlashInfer autotune\b.*", r"Running FlashInfer autotune",
        "Running FlashInfer autotune...", AUTOTUNE,
    ),
    _row(
        "end", r"FlashInfer autotune completed\b.*", r"FlashInfer autotune completed",
        "FlashInfer autotune completed.", AUTOTUNE,
    ),
    _row(
        "begin", r"HCCL DP prewarm start\b.*", r"HCCL DP prewarm start", "HCCL DP prewarm start: rank=3",
        COMMUNICATOR_WARMUP,
    ),
    _row(
        "end", r"HCCL DP prewarm done\b.*", r"HCCL DP prewarm done", "HCCL DP prewarm done: rank=3",
        COMMUNICATOR_WARMUP,
    ),
    _row(
        "stated", rf"Compiling a graph for (?P<range>dynamic shape|shape \S{{1,40}}) takes {_SECONDS} s\b.*",
        r"Compiling a graph for ", "Compiling a graph for dynamic shape takes 3.45 s", GRAPH_COMPILE,
    ),
    _row(
        "stated",
        rf"Triton kernel '(?P<component>[^']{{1,200}})' took {_SECONDS} s to compile after serving started.*",
        r"to compile after serving started",
        "Triton kernel '_fwd_kernel' took 1.08 s to compile after serving started. Serving-time compilation "
        "can stall the engine; pre-compile it during engine init.", KERNEL_COMPILE,
    ),
    _row(
        "timings", r"(?:Engine startup|Init) timings \(s\): (?P<timings>.*)",
        r"(?:Engine startup|Init) timings ",
        "Engine startup timings (s): load_weight=616.34, kv_cache_allocation=6.68, scheduler_e2e=761.30, "
        "cuda_graph={decode=13.48}, tokenizer_e2e=766.76",
    ),
    _row(
        "engine_ready", r"INFO: +Started server process\b.*", r"Started server process",
        "INFO:     Started server process [3207]",
    ),
    # From here on it answers itself, until the answer has come: the first request compiles what is left.
    _row(
        "begin", r"INFO: +(?:Uvicorn|Granian) running on\b.*", r" running on ",
        "INFO:     Uvicorn running on http://0.0.0.0:30000 (Press CTRL+C to quit)", WARMUP,
    ),
    _row(
        "server_ready", r"The server is fired up and ready to roll!.*", r"fired up and ready to roll",
        "The server is fired up and ready to roll!",
    ),
    _row(
        "fails",
        r"(?:\w{1,40} hit an exception: .*|(?:Received sigquit from a child|SIGQUIT received).*"
        r"|Initialization failed\..*|Capture [\w ]{1,60} graph failed.*)",
        r"(?:hit an exception: |sigquit from a child|SIGQUIT received|Initialization failed|graph failed)",
        "Scheduler hit an exception: Traceback (most recent call last):",
    ),
    _row(
        "shuts_down", r"(?:SIGTERM received|INFO: +Shutting down|Gracefully exiting).*",
        r"(?:SIGTERM received|Shutting down|Gracefully exiting)",
        "SIGTERM received. signum=15 frame=None. Draining requests and shutting down...",
    ),
    # What says nothing of durations, or guesses at them.
    _row(
        "other", r"(?:KV Cache is allocated|Memory pool end)\b.*",
        r"(?:KV Cache is allocated|Memory pool end)",
        "Memory pool end. avail mem=2.09 GB",
    ),
    _row(
        "other", r"(?:Entering|Try) DeepGEMM JIT .*", r"(?:Entering|Try) DeepGEMM JIT ",
        "Try DeepGEMM JIT Compiling for <GEMM_NT_F8F8BF16> N=2048, K=2048, num_groups=1 with all Ms.",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BarPattern:
    """The description of a progress bar, and what it times."""

    pattern: re.Pattern[str]
    example: str
    stage: Stage
    within: frozenset[str] = field(default_factory=frozenset[str])
    """The stages that are going on where there is such a bar."""


BARS: Final[Sequence[BarPattern]] = (
    BarPattern(
        re.compile(r"(?:Multi-thread loading|Loading)(?: \w{1,20})?(?: checkpoint)? shards"),
        "Multi-thread loading shards", CHECKPOINT_SHARDS, frozenset({"model_load"}),
    ),
    BarPattern(
        re.compile(r"Fetching \d{1,9} files"), "Fetching 4 files", WEIGHTS_DOWNLOAD, frozenset({"model_load"})
    ),
    # In logs of early 2025 the bar of a capture has no description.
    BarPattern(
        re.compile(r"|Capturing (?:batches|num tokens).*"), "Capturing batches (bs=1 avail_mem=0.83 GB)",
        CAPTURE_PASS, frozenset({"graph_capture"}),
    ),
    BarPattern(
        re.compile(r"Compiling num tokens.*"), "Compiling num tokens (num_tokens=4)", TORCH_COMPILE,
        frozenset({"graph_capture"}),
    ),
    BarPattern(
        re.compile(r"DeepGEMM warmup.*"), "DeepGEMM warmup", DEEP_GEMM_WARMUP,
        frozenset({"graph_capture", "autotune", "warmup"}),
    ),
    BarPattern(
        re.compile(r"\[AutoTuner\]: Tuning .*"), "[AutoTuner]: Tuning fused_moe::gemm1", AUTOTUNE_PASS,
        frozenset({"autotune"}),
    ),
)  # fmt: skip

TIMED: Final[Mapping[str, Stage]] = {
    "load_weight": MODEL_LOAD,
    "kv_cache_allocation": KV_CACHE_INIT,
    "scheduler_e2e": SCHEDULER_INIT,
    "tokenizer_e2e": ENGINE_INIT,
}
"""What the line of timings calls the stages. Each of a scheduler is the maximum over the ranks."""
CAPTURES: Final[Mapping[str, Sequence[str | None]]] = {
    "prefill": ("target prefill", "piecewise"),
    "decode": ("target decode", None),
    "target_verify": ("target verify",),
    "draft_prefill": ("draft prefill",),
    "draft_decode": ("draft decode", "draft verify", "draft"),
    "draft_extend": ("draft extend",),
}
"""What it calls captures of graphs, and what their own lines may call them."""

STATED: Final = (
    r"\b(?:took|takes|elapsed|cost|costs|spent|finished in|completed in|done in|loaded in)[=:]?"
    r" ?\d{1,9}(?:\.\d{1,9})? ?(?:ms|s|secs?|seconds?|min|minutes?)\b"
)
"""What says how long something took, in whatever words."""
PASSED_OVER: Final = r"\] (?:Receive: |Finish: |Prefill batch|Decode batch|INFO: +\d)"
"""What lines of requests begin with: they quote what users wrote."""
RAISED: Final = r"^[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b"
LINE_PATTERN: Final = "|".join((*(row.keyword for row in PATTERNS), STATED, f"(?m:{RAISED})", "<00:00"))
search_line: Final[Search] = searching(LINE_PATTERN)
passed_over: Final[Search] = searching(PASSED_OVER)
