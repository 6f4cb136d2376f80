"""Compiles Triton kernels for a GPU that need not be there. Usage: python triton_kernels.py WHAT …"""

import os
import sys
from types import SimpleNamespace
from typing import Any

if sys.argv[1] != "late":
    import torch  # noqa: F401
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler import compile as early

TARGET = GPUTarget("cuda", 90, 32)
LAUNCHER = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "launcher", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_launcher(void) { return PyModule_Create(&module); }
"""


@triton.jit
def add_kernel(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x + at, mask=at < n) + tl.load(y + at, mask=at < n), mask=at < n)


def compiled(block: int, by: Any = None) -> Any:
    types = {"x": "*fp32", "y": "*fp32", "out": "*fp32", "n": "i32", "BLOCK": "constexpr"}
    return (by or triton.compile)(ASTSource(add_kernel, types, {"BLOCK": block}), target=TARGET)


class Driver:
    """What a device's driver does when a kernel is loaded, but for the device."""

    def __init__(self) -> None:
        properties = {"max_shared_mem": 1 << 20}
        self.utils = SimpleNamespace(get_device_properties=lambda device: properties, load_binary=self.load)

    def get_current_device(self) -> int:
        return 0

    def get_current_target(self) -> Any:
        return TARGET

    def launcher_cls(self, source: Any, metadata: Any) -> Any:
        from triton.runtime.build import compile_module_from_src

        code = "#include <Python.h>\nPyMODINIT_FUNC PyInit_launcher(void) {{ return PyModule_Create(&m); }}"
        definition = 'static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "launcher", NULL, -1, NULL};\n'
        head, tail = code.replace("{{", "{").replace("}}", "}").split("\n")
        return compile_module_from_src(f"{head}\n{definition}{tail}\n", "launcher")

    def load(self, name: str, binary: bytes, shared: int, device: int) -> tuple[Any, ...]:
        assert binary
        return (object(), object(), 32, 0, 1024)


def twice() -> None:
    for block in (128, 128, 256):
        print(compiled(block).metadata.name)


def fails() -> None:
    try:
        compiled(100)  # a block has a power of two elements
    except triton.CompilationError:
        print("CompilationError")


def ir() -> None:
    text = compiled(128).asm["ttir"]
    path = os.path.join(os.environ["TRITON_CACHE_DIR"], "from_a_file.ttir")
    with open(path, "w") as file:
        file.write(text)
    print(triton.compile(path, target=TARGET).metadata.name)


def listened() -> None:
    """Somebody else's listener, set after ours, and taken away again."""
    heard: list[bool] = []
    triton.knobs.compilation.listener = lambda **given: heard.append(given["cache_hit"])
    compiled(128), compiled(128)
    triton.knobs.compilation.listener = None
    compiled(128)
    print(heard)


def harmed() -> None:
    """A listener that raises is its owner's own."""

    def listener(**given: Any) -> None:
        raise RuntimeError("mine")

    triton.knobs.compilation.listener = listener
    try:
        compiled(128)
    except RuntimeError as error:
        print(error)


def in_torch() -> None:
    from torch._dynamo.utils import dynamo_timed

    with dynamo_timed("compile_fx_inner"):
        compiled(128)
    compiled(128)


def loaded() -> None:
    triton.runtime.driver.set_active(Driver())
    for block in (128, 256):
        kernel = compiled(block)
        for _ in range(2):
            kernel._init_handles()
        print(kernel.n_regs)


def tuned() -> None:
    def bench(call: Any, quantiles: Any) -> list[float]:
        compiled(128)
        return [1.0, 1.0, 1.0]

    configs = [triton.Config({"BLOCK": block}, num_warps=4) for block in (128, 256)]
    kernel = triton.autotune(configs, key=["n"], do_bench=bench)(add_kernel)
    kernel.nargs = {}
    print([kernel._bench(config=config) for config in configs])


def late() -> None:
    """`compile` was imported, by its name, before torch and with it our hooks."""
    import torch  # noqa: F401

    for by in (None, early, early):
        compiled(128, by)


def in_a_worker() -> str:
    return str(compiled(64).metadata.name)


def workers() -> None:
    """A compile in the pool of processes in which Inductor compiles kernels."""
    import triton_kernels
    from torch._inductor.compile_worker.subproc_pool import SubprocPool

    pool = SubprocPool(1)
    print(pool.submit(triton_kernels.in_a_worker).result())
    pool.shutdown()


if __name__ == "__main__":
    for what in sys.argv[1:]:
        globals()[what]()
