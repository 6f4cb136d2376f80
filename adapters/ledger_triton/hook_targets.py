"""The functions of Triton that are hooked, as a table that tests compare with the sources of each version.

They run once for each kernel or configuration, and never for each launch.
"""

from typing import Final

from ledger_engine.hook_targets import HookTable, HookTarget

COMPILER: Final = "triton.compiler.compiler"

TABLE: Final = HookTable(
    engine="Triton",
    package="triton",
    oldest="3.2.0",
    newest="3.9.0",
    targets=(
        # The compile of a kernel, or its load from the cache on disk
        HookTarget(COMPILER, "compile", hook="triton_compile", reads=("src",)),
        HookTarget(COMPILER, "ASTSource.make_ir", hook="ir_made"),
        HookTarget(COMPILER, "IRSource.make_ir", hook="ir_made"),
        # Its launcher and its binary, before its first launch. Up to 3.4 each launch calls this.
        HookTarget(COMPILER, "CompiledKernel._init_handles", hook="triton_load", since="3.5.0"),
        # A launcher (up to 3.6) or the driver's own functions, by the C compiler
        HookTarget("triton.runtime.build", "_build", hook="triton_build", reads=("name",)),
        # One configuration of a kernel, compiled and timed
        HookTarget("triton.runtime.autotuner", "Autotuner._bench", hook="triton_autotune", reads=("config",)),
    ),
    stages={"triton_autotune": "compile", "triton_build": "compile", "triton_load": "compile"},
)

KNOBS: Final = "triton.knobs"
"""Where Triton keeps, from 3.4 on, the listener that it calls with the times of each compile."""

ALIASES: Final = ("triton.compiler", "triton")
"""Packages that have `compile` under the same name, and may have imported it before it is hooked."""

POOL: Final = ("torch", "_inductor", "compile_worker", "__main__.py")
"""The program whose forked children are Inductor's pool. They end without leaving: they are killed."""
