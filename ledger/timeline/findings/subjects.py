"""Which intervals findings look at, besides the outermost ones and those that a claim or a compile names."""

from typing import Final

from ledger.timeline.compile_phases import GRAPH, JOINT_GRAPH
from ledger.vocabulary import IMPORT

CPU_WAIT_NS: Final = "cpu_wait_ns"
"""Of an interval's data: for how long its thread could have run, but waited for a processor."""

STAGES_LOOKED_AT: Final = frozenset(
    (
        "aot_load",
        "graph_capture",
        "graph_capture_probe",
        "graph_compile",
        "graph_load",
        "interpreter_start",
        "torch_compile",
        "triton_build",
        "triton_compile",
        "triton_load",
        "weights_load",
        GRAPH,
        IMPORT,
        JOINT_GRAPH,
    )
)
"""The stages that `Evidence.by_stage` has."""
