"""The phases of a compile, by torch's names of stages, and how a compile's time divides into them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from ledger.timeline.records import Interval
from ledger.timeline.spans import Span, merged

Phase = Literal["dynamo", "aot", "inductor", "codegen", "triton"]

FRAME: Final = "dynamo"
"""Dynamo converts a frame, and compiles its graph."""
BACKWARD: Final = "entire_backward_compile"
LOAD: Final = "AOTAutogradCache.inductor_load"
"""A compiled graph is loaded."""
GRAPH: Final = "inductor_compile"
"""Inductor compiles a graph, or has it from its cache: `cache_state` says which."""
JOINT_GRAPH: Final = "backend_compile"
"""A backend compiles what Dynamo captured: `cache_state` is the answer of AOTAutograd's cache."""

_FW_COMPILER: Final = "compile_fx.<locals>.fw_compiler_base"
_BW_COMPILER: Final = "compile_fx.<locals>.bw_compiler"

BEGIN_ALWAYS: Final = frozenset((FRAME, BACKWARD))
"""Stages that begin a compile of their own, inside another one too."""

_BEGIN_OUTSIDE: Final = frozenset(
    (
        "entire_frame_compile",
        "fullgraph_capture",
        JOINT_GRAPH,
        "create_aot_dispatcher_function",
        "compile_fx_aot",
        _FW_COMPILER,
        _BW_COMPILER,
        GRAPH,
        LOAD,
    )
)
"""Stages that begin a compile where no other one is around them."""

BEGIN_ANYWHERE: Final = BEGIN_ALWAYS | _BEGIN_OUTSIDE

_STAGES: Final[dict[Phase, tuple[str, ...]]] = {
    "dynamo": (FRAME, "entire_frame_compile", "fullgraph_capture"),
    "aot": (BACKWARD, JOINT_GRAPH, "create_aot_dispatcher_function"),
    "inductor": (
        "compile_fx_aot",
        _FW_COMPILER,
        _BW_COMPILER,
        GRAPH,
        "_recursive_pre_grad_passes",
        "_recursive_joint_graph_passes",
        "_recursive_post_grad_passes",
    ),
    "codegen": (
        "code_gen",
        "GraphLowering.codegen",
        "GraphLowering.compile_to_fn",
        "AotCodeCompiler.compile",
        "PyCodeCache.load_by_key_path",
        "compile_file",
        LOAD,
    ),
    "triton": (
        "async_compile.precompile",
        "triton_compile",
        "reload_kernel_in_parent",
        "CachingAutotuner.slow_precompile_config",
        "CachingAutotuner.benchmark_all_configs",
        "CachingAutotuner.coordinate_descent_tuning",
        "CachingAutotuner.combo_sequential_autotune",
        "StaticAutotunerFuture.warm_precompile",
    ),
}
"""torch's stages by phase. Of several that are open at once, the last phase in this order counts."""

_TEMPLATES_END_IN: Final = ("_template_precompiling", "_template_autotuning")
"""Stages of Inductor's choice between Triton's templates are named after the operator."""

_WAIT: Final = "async_compile.wait"
"""The wait for kernels: Triton's where the compile has any, else the C++ compiler's."""

_PHASES: Final = tuple(_STAGES)
_LEVEL_OF: Final = {stage: level for level, stages in enumerate(_STAGES.values()) for stage in stages}
_TRITON: Final = _PHASES.index("triton")
_CODEGEN: Final = _PHASES.index("codegen")


class PhaseTimes(NamedTuple):
    """How long each phase of a compile took, in nanoseconds."""

    dynamo_ns: int
    aot_ns: int
    inductor_ns: int
    codegen_ns: int
    triton_ns: int


def begins(interval: Interval, is_inside: bool) -> bool:
    """Tell whether an interval begins a compile, `is_inside` being whether another one is around it."""
    if interval.stage not in (BEGIN_ALWAYS if is_inside else BEGIN_ANYWHERE):
        return False
    return interval.source == "torch"


@dataclass(slots=True)
class PhaseSpans:
    """The spans of a compile's intervals, by phase."""

    _spans: list[list[tuple[int, int]]] = field(default_factory=lambda: [[] for _ in _PHASES])
    _waits: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def add(self, interval: Interval) -> None:
        """Add an interval of the compile; one that has no phase, or no end, changes nothing."""
        if interval.stop_ns is None:
            return
        stage = interval.stage
        level = _LEVEL_OF.get(stage)
        span = (interval.start_ns, interval.stop_ns)
        if level is not None:
            # An engine's stages can have the names of torch's; Triton's compiles have any source.
            if level == _TRITON or interval.source == "torch":
                self._spans[level].append(span)
        elif stage == _WAIT:
            self._waits.append(span)
        elif stage.endswith(_TEMPLATES_END_IN):
            self._spans[_TRITON].append(span)

    def times(self, start_ns: int, stop_ns: int, has_triton: bool) -> PhaseTimes:
        """Return each phase's time between two moments.

        `has_triton` is whether kernels of Triton's are known otherwise. Every moment belongs to one phase, so
        that together they are what the intervals cover.
        """
        spans: list[Sequence[tuple[int, int]]] = list(self._spans)
        waited_for = _TRITON if has_triton or self._spans[_TRITON] else _CODEGEN
        spans[waited_for] = [*spans[waited_for], *self._waits]
        times: list[int] = []
        inside: list[Span] = []
        covered_ns = 0
        for level in reversed(range(len(_PHASES))):
            before_ns = covered_ns
            if spans[level]:
                cut = ((max(start, start_ns), min(stop, stop_ns)) for start, stop in spans[level])
                inside = merged([*inside, *((start, stop) for start, stop in cut if start < stop)])
                covered_ns = sum(stop - start for start, stop in inside)
            times.append(covered_ns - before_ns)
        return PhaseTimes(*reversed(times))
