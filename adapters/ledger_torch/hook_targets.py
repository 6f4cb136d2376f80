"""The parts of torch that this adapter depends on, as data that tests check against several versions.

None of it is torch's public API. `tests/torch_compat` keeps excerpts from the oldest version that we support,
the newest one, and the one that the tests run on.
"""

from typing import Final, NamedTuple

UTILS: Final = "torch._dynamo.utils"
"""The module in which the two hooks are replaced, once it is imported."""

EVENT_HOOK: Final = "record_chromium_event_internal"
"""A stub that gets each begin and end, in the thread where it happens, as one argument, a dictionary."""

METRICS_HOOK: Final = "log_compilation_event"
"""A stub that gets each CompilationMetrics record as one argument, when its compile is over."""

EVENT_KEYS: Final = ("name", "ph", "ts", "args")
"""The keys that are read from an event: its stage, "B" or "E", the wall clock in µs, and its metadata."""

LOGGER: Final = "ChromiumEventLogger"
"""The class all of whose begins and ends go through EVENT_HOOK."""

LOGGER_GETTER: Final = "get_chromium_event_logger"
"""Returns the process's LOGGER. Its `get_stack()` has the names that are open in the calling thread: after
a begin's hook has returned, and still during an end's."""

CONVERT_FRAME: Final = "torch._dynamo.convert_frame"
CONVERTER: Final = "ConvertFrame"
"""What Dynamo calls where a frame may fall back to eager: its `__call__` catches SOFT_ERRORS."""
CONVERTER_ENTRY: Final = "CatchErrorsWrapper"
"""Whose `__call__` is the first Python frame of every attempt to compile one."""

SOFT_ERRORS: Final = (("torch._dynamo.exc", "Unsupported"), ("torch._dynamo.exc", "UserError"))
CONTROL_FLOW: Final = (
    ("torch._dynamo.exc", "RestartAnalysis"),
    ("torch._dynamo.exc", "SkipFrame"),
    ("torch._functorch._aot_autograd.autograd_cache", "BypassAOTAutogradCache"),
    ("torch._inductor.codecache", "BypassFxGraphCache"),
)
"""Classes, by module and name, that torch raises to itself; what derives from them is meant too."""

PROBE: Final = ("torch._inductor.cpu_vec_isa", "VecISA", "check_build")
"""Here inductor compiles a file to see whether the machine can: failing is an answer, not an error."""

DURATIONS_END_IN: Final = {"_us": 1_000, "_ms": 1_000_000, "_s": 1_000}
"""Suffixes of duration fields, and their resolution in ns: seconds are computed from microseconds."""

NOT_DURATIONS: Final = frozenset({"start_time_us", "end_time_us"})

TWINS: Final = {
    "entire_frame_compile_time_s": "dynamo_cumulative_compile_time_us",
    "backend_compile_time_s": "aot_autograd_cumulative_compile_time_us",
    "inductor_compile_time_s": "inductor_cumulative_compile_time_us",
    "code_gen_time_s": "inductor_code_gen_cumulative_compile_time_us",
    "remote_cache_time_saved_s": "distributed_ephemeral_timeout_us",
    "remote_fx_graph_cache_get_time_ms": "remote_fx_graph_cache_get_time_us",
    "remote_fx_graph_cache_put_time_ms": "remote_fx_graph_cache_put_time_us",
    "structured_logging_overhead_s": "structured_logging_overhead_us",
    "dynamo_time_before_restart_s": "dynamo_compile_time_before_restart_us",
}
"""Older fields, each with the newer field that torch fills with the same number."""


class Timed(NamedTuple):
    """The stages whose lengths torch adds up into a field, and the one of them that names it."""

    stage: str
    others: tuple[str, ...] = ()


TIMED: Final = {
    "dynamo_cumulative_compile_time_us": Timed("entire_frame_compile"),
    "aot_autograd_cumulative_compile_time_us": Timed("backend_compile"),
    "inductor_cumulative_compile_time_us": Timed("inductor_compile"),
    "inductor_code_gen_cumulative_compile_time_us": Timed("code_gen"),
    "backward_cumulative_compile_time_us": Timed("entire_backward_compile"),
    "pre_grad_pass_time_us": Timed("_recursive_pre_grad_passes"),
    "joint_graph_pass_time_us": Timed("_recursive_joint_graph_passes"),
    "post_grad_pass_time_us": Timed("_recursive_post_grad_passes"),
    # On a machine without Triton this is the wait for the C++ compiler.
    "triton_compile_time_us": Timed("async_compile.wait", ("async_compile.precompile",)),
    "remote_fx_graph_cache_get_time_us": Timed("remote_fx_graph_cache_get"),
    "remote_fx_graph_cache_put_time_us": Timed("remote_fx_graph_cache_put"),
    "gc_time_us": Timed("gc"),
}
"""`dynamo_timed(…, dynamo_compile_column_us=field)` adds its span to the field when it ends."""

MEANS: Final = {
    "distributed_ephemeral_timeout_us": "what compiling took once, for the cache that it now came from",
    "structured_logging_overhead_us": "what writing structured logs has taken so far under this compile id",
    "guard_latency_us": "what checking the guards once took, as each later call does",
}
"""Duration fields without a span in this compile, and what they mean instead."""

FRAME: Final = "dynamo"
"""The stage around the whole compile of a frame."""

GRAPH_BREAKS: Final = "graph_break_reasons"
"""A list to which each graph break after which Dynamo goes on is added: its `reason`, and `user_stack`, whose
last item is where. A reset clears it."""

GUARD_FAILURES: Final = "guard_failures"
"""Lists of texts by code object: at a recompile, why each of its cached versions does not fit, newest first.
Torch before 2.7 says it nowhere else."""

KERNELS: Final = ("torch._inductor.async_compile", "_triton_kernel_metrics")
"""Triton's kernels that are being compiled, by name, each with AUTOTUNE_ANSWER where it was asked for."""
AUTOTUNE_ANSWER: Final = "autotune_cache_state"
KERNELS_READY: Final = frozenset(("async_compile.wait", "async_compile.precompile"))
"""The stages at whose ends KERNELS has what they compiled."""

NOT_FACTS: Final = frozenset(
    (
        *("stack_trace", "exception_stack_trace", "graph_node_shapes", "inductor_provenance"),
        *("python_version", "pytorch_version", "cuda_version", "log_format_version", "start_time"),
    )
)
"""Fields of a record that are left out: they are long, or the same in each record of a process."""

FORWARD: Final = "entire_frame_compile"
BACKWARD: Final = "entire_backward_compile"
"""The stages that `duration_us` of a forward and of a backward record measures."""

COUNTED: Final = frozenset(
    (FORWARD, BACKWARD, *(stage for timed in TIMED.values() for stage in (timed.stage, *timed.others)))
)
"""The stages whose lengths torch adds up into a field."""

LENGTHS: Final = "compilation_time_metrics"
"""Lengths of spans in seconds, by function name: what `compile_times()` prints."""

REPORT: Final = "calculate_time_spent"
"""Returns seconds by stage, over all spans that count towards a field, and WALL_KEY besides."""

WALL_KEY: Final = "total_wall_time"
WALL: Final = (FORWARD, BACKWARD)
"""The stages whose seconds make up WALL_KEY."""

ACCUMULATED: Final = {
    "bytecode_tracing": (
        "get_fake_value", "create_proxy", "wrap_to_fake_tensor_and_record", "variable_builder_call",
    ),
}  # fmt: skip
"""Entries of LENGTHS without a span: measured inside a span of that stage, whose end has `<name>_time_s`."""
