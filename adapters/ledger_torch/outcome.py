"""Decides whether an exception that leaves one of torch's spans is a failure or torch's control flow.

The rule: a span is `failed` when an exception leaves it that was not already being handled where the span
began, except if torch raised that exception for itself and goes on compiling or running the program by
design. Then it is `completed`, with the exception's class as `data.control`. What reaches the user is failed,
and so is what makes Dynamo give a frame up only because `suppress_errors` tells it to swallow an error.

Run on 2.6.0, 2.13.0 and 2.15.0, backends eager and inductor (tests/programs/outcomes.py); what leaves which
spans on 2.13:

    break that can be resumed: graph_break(), print, .item(),   SpeculationRestartAnalysis leaves
      a call to a skipped or disabled function, in a callee       bytecode_tracing, compile_attempt_N
    requires_grad_() on what is returned                        RequiresGradRestartAnalysis, likewise
    no tensor operation in the frame; SkipFrame by a backend    SkipFrame, likewise; backend_compile
    break that can't be resumed: in a loop, in a generator, in  Unsupported leaves all spans of the frame,
      try or a with of the user's own; an exception that the      Dynamo runs it eagerly: `data.fallback`
      user's code raises; the recompile limit
    the same with fullgraph=True, error_on_graph_break, export  Unsupported leaves all spans: failed
    fullgraph=True at the recompile limit; error_on_recompile   FailOnRecompileLimitHit, RecompileError
    a wrong shape; a failing backend, pass or C++ compiler      TorchRuntimeError, BackendCompilerFailed,
                                                                  InductorError leave all spans: failed
    the same with suppress_errors                               failed, though the user sees nothing
    branch on data; user code that catches its exceptions;      nothing leaves any span
      recompiles; dynamic shapes; cold and warm caches; backward
    an AOTAutograd cache entry whose FX graph is gone           FXGraphCacheMiss leaves the cache's load
    a CPU feature that the C++ compiler does not know           CppCompileError leaves compile_file

`Unsupported` alone does not decide it: the same exception may reach the user or not. The caller decides:
with fullgraph=False the frame's conversion runs inside `ConvertFrame.__call__`, which answers these errors
("soft" ones in torch's words) with eager execution unless breaks are to be errors. Both are known when the
span ends. Such a frame is `completed` because the program asked for just this, and sees nothing of it.

What inductor's autotuning on a GPU raises and catches inside its own spans was not run.
"""

import sys
from types import CodeType
from typing import Any, Final

from ledger_torch.hook_targets import (
    CONTROL_FLOW,
    CONVERT_FRAME,
    CONVERTER,
    CONVERTER_ENTRY,
    PROBE,
    SOFT_ERRORS,
    UTILS,
)

_CONTROL_FLOW: Final = frozenset(CONTROL_FLOW)
_SOFT_ERRORS: Final = frozenset(SOFT_ERRORS)


def control_flow(error: BaseException) -> dict[str, object] | None:
    """Return the stop's `data` if the `error` in flight is torch's control flow; None if it is not."""
    classes = {(ancestor.__module__, ancestor.__name__) for ancestor in type(error).__mro__}
    name = type(error).__name__
    if classes & _CONTROL_FLOW or _is_vllms(error):
        return {"control": name}
    try:
        if classes & _SOFT_ERRORS and _eager_answers(error):
            return {"control": name, "fallback": "eager"}
        if _is_probing():
            return {"control": name}
    except Exception:
        # A torch that no longer has one of these places: an exception left the span, that much is certain.
        return None
    return None


def _is_vllms(error: BaseException) -> bool:
    # How vLLM's backend leaves inductor once it has the hash of what it would compile.
    return type(error).__name__ == "StopCompiling" and type(error).__module__.startswith("vllm.")


def _eager_answers(error: BaseException) -> bool:
    module = sys.modules.get(CONVERT_FRAME)
    if module is None:
        return False
    converter = getattr(module, CONVERTER).__call__.__code__
    # The first frame of an attempt lies outside the converter's: where it comes first, there is no converter.
    entry = getattr(module, CONVERTER_ENTRY).__call__.__code__
    return _innermost_of(converter, entry) is converter and not _breaks_are_errors(error)


def _breaks_are_errors(error: BaseException) -> bool:
    """Return the setting of `torch._dynamo.error_on_graph_break` at the graph break (2.9 and newer)."""
    # Once the tracer is gone the exception carries it; until then the setting is still the break's own.
    tracer: Any = getattr(error, "_torch_dynamo_tracer_output", None)
    if tracer is not None:
        return bool(getattr(tracer, "error_on_graph_break", False))
    current = getattr(sys.modules.get(UTILS), "_get_error_on_graph_break", None)
    return bool(current()) if current is not None else False


def _is_probing() -> bool:
    module_name, owner, method = PROBE
    module = sys.modules.get(module_name)
    return module is not None and _innermost_of(getattr(getattr(module, owner), method).__code__) is not None


def _innermost_of(*codes: CodeType) -> CodeType | None:
    """Return the one of `codes` that runs innermost in this thread."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        for code in codes:
            if frame.f_code is code:
                return code
        frame = frame.f_back
    return None
