"""The rows of the table of messages that only the log importer reads, and the table as a whole.

Other rows are in `ledger_vllm.message_patterns`. Messages of other programs' loggers and progress bars are
here too; the pattern of such a message begins where its logger's own words end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger_vllm.logged_stages import (
    AUTOTUNE,
    BACKEND_COMPILE,
    CAPTURE_PASS,
    CHECKPOINT_SHARDS,
    CUTEDSL_WARMUP,
    DEEP_GEMM_WARMUP,
    ENCODER_PROFILE,
    EXPERT_REARRANGEMENT,
    GRAPH_PASS,
    JIT_WARMUP,
    KERNEL_COMPILE,
    KERNEL_WARMUP,
    MEMORY_PROFILE,
    MODEL_INSPECTION,
    MODEL_PARTITION,
    OFFLOAD_MEMORY_INIT,
    ONLINE_QUANTIZATION,
    TILELANG_WARMUP,
    TORCH_COMPILE,
    TRITON_WARMUP,
    WARMUP,
    WEIGHTS_DESERIALIZE,
    WEIGHTS_DOWNLOAD,
    WEIGHTS_PREFETCH,
    LoggedStage,
)
from ledger_vllm.message_patterns import (
    DURATIONS,
    NOTICES,
    OCCURRENCES,
    SECONDS,
    UNSTAMPED_NOTICES,
    DurationPattern,
    MessagePattern,
    OccurrencePattern,
)

_MILLISECONDS: Final = r"(?P<milliseconds>\d+(?:\.\d+)?)"
_COMPONENT: Final = r"(?P<component>\S+(?: host API)?)"


def _duration(
    pattern: str, keyword: str, example: str, stage: LoggedStage, *, has_failed: bool = False
) -> DurationPattern:
    return DurationPattern(
        pattern, keyword, example, stage, is_recorded=False, outcome="failed" if has_failed else "completed"
    )


_DURATIONS: Final = (
    *DURATIONS,
    _duration(
        rf"Time (?:spent downloading|took to download) weights for .+: {SECONDS} seconds",
        " weights for ",
        "Time spent downloading weights for org/model: 508.500000 seconds",
        WEIGHTS_DOWNLOAD,
    ),
    _duration(
        rf"Prefetching checkpoint files into page cache finished in {SECONDS}s",
        "finished in",
        "Prefetching checkpoint files into page cache finished in 2.00s",
        WEIGHTS_PREFETCH,
    ),
    _duration(
        rf"Online quantization as part of model loading took {SECONDS} seconds",
        "took",
        "Online quantization as part of model loading took 3.10 seconds",
        ONLINE_QUANTIZATION,
    ),
    _duration(
        rf"Deserialized [^,]+ in {SECONDS}s, \S+(?: \S+)?/s",
        "Deserialized",
        "Deserialized 13.5 GB in 4.25s, 3.2 GB/s",
        WEIGHTS_DESERIALIZE,
    ),
    _duration(
        rf"Partition model took {SECONDS} seconds",
        "took",
        "Partition model took 3.10 seconds",
        MODEL_PARTITION,
    ),
    _duration(
        rf"Memory profiling (?:takes|took) {SECONDS} seconds(?:\b.*)?",
        "Memory profiling",
        "Memory profiling takes 11.94 seconds",
        MEMORY_PROFILE,
    ),
    _duration(
        rf"graph compilation (?:takes|took) {SECONDS} s in total",
        "ompil",
        "graph compilation takes 14.73 s in total",
        TORCH_COMPILE,
    ),
    _duration(  # of a subprocess that looks at the model's class
        rf"(?P<component>.+): Elapsed time {SECONDS} secs",
        "Elapsed time",
        "Registry inspect model class: Elapsed time 12.3456789 secs",
        MODEL_INSPECTION,
    ),
    _duration(
        rf"\S+ completed in {_MILLISECONDS} ms",
        "completed in",
        "PostGradPassManager completed in 12.3 ms",
        GRAPH_PASS,
    ),
    _duration(
        rf"JIT kernel warmup failed after {SECONDS}s\.",
        "failed after",
        "JIT kernel warmup failed after 95.10s.",
        KERNEL_WARMUP,
        has_failed=True,
    ),
    _duration(
        rf"(?:\S+ ){{1,4}}TileLang warmup finished in {SECONDS} seconds\.",
        "finished in",
        "DeepSeek V4 mHC TileLang warmup finished in 4.20 seconds.",
        TILELANG_WARMUP,
    ),
    _duration(
        rf"CuTeDSL warmup compiled \d+ units in {SECONDS} s\.",
        "ompil",
        "CuTeDSL warmup compiled 12 units in 4.20 s.",
        CUTEDSL_WARMUP,
    ),
    _duration(
        rf"ROCm segmented attention autotune ready: .*\belapsed={SECONDS}s cache=.*",
        "autotune ready",
        "ROCm segmented attention autotune ready: tp_rank=0/1 tuned=4 failed=0 elapsed=61.20s cache=/c",
        AUTOTUNE,
    ),
    _duration(
        rf"Compiled {_COMPONENT} in {SECONDS}s", "ompil", "Compiled decode_q8kv4 in 31.2s", KERNEL_COMPILE
    ),
    _duration(rf"[Cc]ompiled in {SECONDS}s", "ompil", "Compiled in 31.2s", KERNEL_COMPILE),
    _duration(
        rf"Built (?P<component>.+ kernel) #\d+ in {SECONDS}s \(total .*",
        " kernel #",
        "Built FlyDSL UltraQuant kernel #3 in 4.20s (total 9.1s), key=(1, 2)",
        KERNEL_COMPILE,
    ),
    _duration(
        rf"(?P<component>\S+) _get_kernel BUILD #\d+ dt={SECONDS}s .*",
        "_get_kernel BUILD",
        "FlyDSL _get_kernel BUILD #3 dt=4.20s (cumulative=9.1s) key=(1, 2)",
        KERNEL_COMPILE,
    ),
    _duration(
        rf"(?:-- )?Compilation (?:for (?P<component>.+?) done|finished in) in {SECONDS} (?:s|\[secs\])\.",
        "ompil",
        "Compilation for prefill done in 2.62 s.",
        BACKEND_COMPILE,
    ),
    _duration(
        rf"Compilation finished in {SECONDS} \[secs\]\.",
        "ompil",
        "Compilation finished in 2.62 [secs].",
        BACKEND_COMPILE,
    ),
    _duration(
        rf"Multimodal (?P<component>.+ Encoder) compilation finished in (?:in )?{SECONDS} \[secs\]\.",
        "ompil",
        "Multimodal image Encoder compilation finished in in 2.62 [secs].",
        BACKEND_COMPILE,
    ),
    _duration(
        rf"Multimodal Encoder profiling finished in (?:in )?{SECONDS} \[secs\]\.",
        "finished in",
        "Multimodal Encoder profiling finished in 2.62 [secs].",
        ENCODER_PROFILE,
    ),
    _duration(
        rf"Rearranged experts ? ?\(profile\) ? ?in {SECONDS} s(?:econds)?\.",
        "Rearranged experts",
        "Rearranged experts  (profile)  in 3.20 s.",
        EXPERT_REARRANGEMENT,
    ),
    _duration(
        rf"MADV_POPULATE_WRITE (?:loop: \d+ \w+ in|entire region:) {SECONDS} s",
        "MADV_POPULATE_WRITE",
        "MADV_POPULATE_WRITE loop: 16 chunks in 3.200 s",
        OFFLOAD_MEMORY_INIT,
    ),
    _duration(
        rf"torch\.zeros pinned tensor .+ GB\): {SECONDS} s",
        "pinned tensor",
        "torch.zeros pinned tensor 16\u00d74096 (3.20 GB): 1.250 s",
        OFFLOAD_MEMORY_INIT,
    ),
    _duration(  # of the front end, as the next one
        rf"(?:\S+ ){{1,5}}warmup completed in {SECONDS}s",
        "completed in",
        "Multi-modal warmup completed in 2.31s",
        WARMUP,
    ),
    _duration(
        rf"(?:\S+ ){{1,5}}warmup completed in {_MILLISECONDS}ms",
        "completed in",
        "Chat template warmup completed in 12.5ms",
        WARMUP,
    ),
)

_OCCURRENCES: Final = (
    *OCCURRENCES,
    OccurrencePattern(
        r"torch\.compile cache factors: env=(?P<env>\S+) cfg=(?P<config>\S+) comp=(?P<compiler>\S+) "
        r"code=(?P<code>\S+)(?: dir=(?P<path>.*))?",
        "cache factors",
        "torch.compile cache factors: env=b0 cfg=84 comp=a9 code=1a dir=/c/6bfa2c828b/rank_0_0/backbone",
        "cache_factors",
    ),
    OccurrencePattern(
        r"Loading drafter model\.\.\.", "Loading drafter", "Loading drafter model...", "drafter_load_begins"
    ),
    OccurrencePattern(
        r"(?P<reason>.+?) during inference: (?P<name>.+?)(?: \(.*\))?\. This causes a latency spike.*",
        "during inference",
        "TileLang JIT compilation during inference: some_kernel. This causes a latency spike; consider "
        "extending warmup to cover this shape/config.",
        "kernel_compiled_late",
        KERNEL_COMPILE,
    ),
    OccurrencePattern(  # FlashInfer's, as the next one
        r"(?:\S+: )?\[Autotuner\]: Autotuning process starts.*",
        "Autotuning process",
        "[Autotuner]: Autotuning process starts ...",
        "autotune_begins",
        AUTOTUNE,
    ),
    OccurrencePattern(
        r"(?:\S+: )?\[Autotuner\]: Autotuning process ends.*",
        "Autotuning process",
        "[Autotuner]: Autotuning process ends",
        "autotune_ends",
        AUTOTUNE,
    ),
    OccurrencePattern(  # TileLang's, as the next one
        r"TileLang begins to compile kernel `(?P<name>[^`]+)(?:`.*)?",
        "to compile kernel",
        "TileLang begins to compile kernel `some_kernel` with `out_idx=None`",
        "kernel_compile_begins",
        KERNEL_COMPILE,
    ),
    OccurrencePattern(
        r"TileLang completes to compile kernel `(?P<name>[^`]+)(?:`.*)?",
        "to compile kernel",
        "TileLang completes to compile kernel `some_kernel`",
        "kernel_compile_ends",
        KERNEL_COMPILE,
    ),
)

ROWS: Final[Sequence[MessagePattern]] = (*_DURATIONS, *_OCCURRENCES, *NOTICES)
"""All that a message with a logger's stamp can match."""


@dataclass(frozen=True, slots=True)
class BarPattern(MessagePattern):
    """A progress bar of a start-up, by its description; the group `component` is what it was spent on."""

    stage: LoggedStage


BARS: Final = (
    BarPattern(
        r"(?:Multi-thread l|L)oading .*(?:shards|safetensors|checkpoint).*",
        "oading ",
        "Loading safetensors checkpoint shards",
        CHECKPOINT_SHARDS,
    ),
    BarPattern(
        r"Capturing(?: CUDA| cuda)?(?: graphs?| graph shapes)?(?: \((?P<component>.+)\))?.*",
        "Capturing",
        "Capturing CUDA graphs (PIECEWISE)",
        CAPTURE_PASS,
    ),
    BarPattern(r"Deep_?G[Ee][Mm][Mm].*[Ww]arm-?up.*", "DeepG", "DeepGEMM warmup", DEEP_GEMM_WARMUP),
    BarPattern(r"Compiling CuTeDSL kernels", "CuTeDSL", "Compiling CuTeDSL kernels", CUTEDSL_WARMUP),
    BarPattern(r".*TileLang.*", "TileLang", "TileLang warmup", TILELANG_WARMUP),
    BarPattern(r"JIT kernel warmup.*", "JIT kernel", "JIT kernel warmup (12 compile keys)", JIT_WARMUP),
    BarPattern(
        r"(?:\[Aiter Triton\] )?Pre-compiling (?P<component>.+)",
        "Pre-compiling",
        "[Aiter Triton] Pre-compiling fp8 BMM kernel",
        TRITON_WARMUP,
    ),
    BarPattern(
        r"(?:\[?Auto[Tt]un(?:er|ing)\]?:? ?)(?:Tuning )?(?P<component>.*)",
        "uto",
        "[Autotuner]: Tuning fp4_gemm",
        AUTOTUNE,
    ),
    BarPattern(  # of Hugging Face's, which looks at the heads of the files
        r"Parse safetensors files", "Parse safetensors", "Parse safetensors files", MODEL_INSPECTION
    ),
    BarPattern(
        r"(?:Fetching \d+ files|Downloading .*|\S+\.(?:safetensors|bin|pt|gguf))",
        "",
        "Fetching 12 files",
        WEIGHTS_DOWNLOAD,
    ),
)
"""By what stands before the bar; the first that matches counts."""

OTHER_BARS: Final = (
    r"(?:Rendering|Processed) (?:prompts|conversations)|Adding requests|Running batch|Beam search"
    r"|(?:Cold startup|Warm startup|Warmup|Bench|Profile) iterations"
)
"""The bars of requests and of benchmarks."""

KEYWORDS: Final[Sequence[str]] = tuple(dict.fromkeys(row.keyword for row in (*ROWS, *UNSTAMPED_NOTICES)))
"""What to search a log for, besides durations: a line without any of these matches no row."""
