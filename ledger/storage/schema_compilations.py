"""Describes the tables of what torch compiled."""

from collections.abc import Mapping
from typing import Final

from ledger.storage.schema_terms import CLOCK, COMPONENT, PROCESS, ROLE, SESSION, Relation, one_of
from ledger.vocabulary import CacheAnswer, CompilationKind, IntervalOutcome

_COMPILE_ID: Final = (
    "torch's id of the compile: frame and how often it was compiled. Not unique, since backward has "
    "forward's and a reset starts over; NULL where torch gave none."
)
_ORDINAL: Final = "Tells compiles of one id in one process apart: 0, 1, … in the order of their starts."
_ANSWER: Final = (
    f"{one_of(CacheAnswer)}; of several answers the first of these; NULL where it was not asked, or where "
    "this version of torch does not say."
)
_PHASE: Final = "in nanoseconds; each moment of the duration belongs to one phase."

COMPILATIONS: Final[Mapping[str, Relation]] = {
    "compilations": Relation(
        "What torch compiled: one row for each frame, each backward graph, each graph compiled ahead of time "
        "or without Dynamo, and each compiled graph that was loaded. NULL is what torch did not say.",
        {
            "session": SESSION,
            "process": PROCESS,
            "compile_id": _COMPILE_ID,
            "ordinal": _ORDINAL,
            "kind": f"{one_of(CompilationKind)}: backward is compiled when it first runs, and load is a "
            "compiled graph that was loaded, with no compile around it.",
            "reason": "Of a recompile: why, in torch's words, against the newest version in the cache.",
            "role": ROLE,
            "function": "The function whose code it is, as torch names it.",
            "file": "The file of that function.",
            "line": "The line where it begins.",
            "outcome": f"{one_of(IntervalOutcome)}.",
            "error": "The class of the exception that left it.",
            "start_ns": f"When it began, {CLOCK}.",
            "duration_ns": "How long it took, in nanoseconds; NULL while it is open.",
            "dynamo_ns": f"Of it in Dynamo: the trace of the bytecode and the guards, {_PHASE}",
            "aot_ns": f"Of it in AOTAutograd and the backend around Inductor, {_PHASE}",
            "inductor_ns": f"Of it in Inductor: passes, lowering and scheduling, {_PHASE}",
            "codegen_ns": f"Of it in generating, compiling (C++) and loading code, {_PHASE}",
            "triton_ns": f"Of it in compiling and tuning Triton's kernels, {_PHASE}",
            "fx_graph_cache": f"What Inductor's cache of graphs answered: {_ANSWER}",
            "aot_cache": f"What AOTAutograd's cache answered: {_ANSWER}",
            "autotune_cache": f"What the cache of tuned kernels answered: {_ANSWER}",
            "remote_cache": f"What the remote caches of graphs answered: {_ANSWER}",
            "cache_bypass_reason": "Why a cache was passed by, or is off, in torch's words.",
            "graph_breaks": "How often Dynamo could not go on: the sum of the counts in graph_breaks.",
            "guards": "How many guards the compiled code has.",
            "interval": "The interval that it is, by its id.",
            "component": COMPONENT,
            "error_text": "What the exception said that left it, or with which Dynamo gave the frame up.",
            "has_code": "1 where compiled code came out of it, 0 where the frame runs eagerly.",
            "duration_s": "duration_ns in seconds.",
        },
    ),
    "graph_breaks": Relation(
        "Where Dynamo could not go on, in which compile: it goes on behind the place, or gives the frame up.",
        {
            "session": SESSION,
            "process": PROCESS,
            "compile_id": _COMPILE_ID,
            "reason": "Why, in torch's words.",
            "file": "The file of the line that it could not compile.",
            "line": "That line.",
            "count": "How often in this compile.",
            "ordinal": _ORDINAL,
        },
    ),
}
