"""Lets vLLM compile on a CPU as it does on a GPU: in its own mode, with its own backend, cache and monitor.

vLLM's CPU platform puts DYNAMO_TRACE_ONCE in the place of VLLM_COMPILE, in which nothing of that is used.
This vLLM plugin puts the mode back; it does nothing unless `COMPILE_ON_CPU=1`. With `FAIL_IN_FIRST_RUN=1` the
first run after a compile raises, as a kernel that fails would.
"""

import contextlib
import os


def register() -> None:
    """Patch vLLM in this process; safe to call more than once."""
    if os.environ.get("FAIL_IN_FIRST_RUN") == "1":
        _fail_in_first_run()
    if os.environ.get("COMPILE_ON_CPU") == "1":
        _compile_on_cpu()


def _compile_on_cpu() -> None:
    from vllm.compilation.passes.utility.fix_functionalization import FixFunctionalizationPass
    from vllm.config import CompilationMode
    from vllm.platforms.cpu import CpuPlatform

    if getattr(CpuPlatform, "_compiles_on_cpu", False):
        return
    replaced = CpuPlatform.check_and_update_config.__func__

    def check_and_update_config(cls, vllm_config):
        replaced(cls, vllm_config)
        vllm_config.compilation_config.mode = CompilationMode.VLLM_COMPILE

    CpuPlatform.check_and_update_config = classmethod(check_and_update_config)
    CpuPlatform._compiles_on_cpu = True
    # The pass names CUDA's custom operators, which the CPU build does not have.
    FixFunctionalizationPass.__call__ = lambda self, graph: None


def _fail_in_first_run() -> None:
    from vllm.compilation import decorators

    @contextlib.contextmanager
    def failing(*args, **kwargs):
        with original(*args, **kwargs):
            raise RuntimeError("the first run failed, as the test wants")
        yield

    original = decorators.monitor_profiling_run
    decorators.monitor_profiling_run = failing
