"""Compiles in many ways, and prints what torch itself says of it: `compilations.py [eager]`.

With `eager` only what needs no Inductor, and so no C++ compiler. The last line is JSON: torch's records of
its compiles, its counters, and what `torch._dynamo.explain` finds in the function that breaks.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
import torch._dynamo
from torch._dynamo.utils import counters, get_compilation_metrics

LIMIT = "recompile_limit" if hasattr(torch._dynamo.config, "recompile_limit") else "cache_size_limit"


def broken(inputs):
    """Break once, in the middle."""
    inputs = torch.sin(inputs)
    print("not to be compiled")
    return inputs * 2


def broken_in_loop(inputs):
    """Break where Dynamo gives the whole frame up."""
    for _ in range(2):
        inputs = inputs + 1
        torch._dynamo.graph_break()
    return inputs


def scaled(inputs, number):
    """Be compiled anew for each number, shape and dtype."""
    return inputs.relu() * number


def limited(inputs, text):
    """Reach the limit of recompiles."""
    return inputs * len(text)


def flexible(inputs):
    """Have a dynamic shape from the second size on."""
    return inputs + 1


def failing(graph, inputs):
    """Fail as a backend."""
    raise RuntimeError("this backend can't " + "and can't " * 300)


class Layer(torch.nn.Module):
    """Has a parameter, so that there is a backward."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, inputs):
        """Return something that a loss can be made of."""
        return torch.relu(self.linear(inputs))


def with_dynamo_alone():
    """Break, recompile and fail, with backends that compile nothing."""
    ones = torch.ones(4)
    torch.compile(broken, backend="eager")(ones)
    torch.compile(broken_in_loop, backend="eager")(ones)
    function = torch.compile(scaled, backend="eager", dynamic=False)
    function(ones, 2)
    function(ones, 3)
    function(torch.ones(5), 3)
    function(torch.ones(5, dtype=torch.float64), 3)
    function = torch.compile(flexible, backend="eager")
    for size in (2, 3, 4):
        function(torch.ones(size))
    with torch._dynamo.config.patch({LIMIT: 2}):
        function = torch.compile(limited, backend="eager")
        for text in ("a", "bb", "ccc"):
            function(ones, text)
    for options in ({"backend": failing}, {"backend": "eager", "fullgraph": True}):
        torch._dynamo.reset()
        try:
            torch.compile(broken, **options)(ones)
        except Exception as error:
            print(type(error).__name__)


def with_inductor():
    """Compile forward and backward, load both from the caches, and compile ahead of time."""
    import torch._inductor.config as inductor

    # The search for the processor's vector units and the precompiled headers would take a minute.
    inductor.cpp.simdlen = 1
    if hasattr(inductor, "cpp_cache_precompile_headers"):
        inductor.cpp_cache_precompile_headers = False
    for _ in range(2):
        torch._dynamo.reset()
        layer = Layer()
        torch.compile(layer.forward)(torch.ones(2, 4)).sum().backward()
    for strict in (True, False):
        exported = torch.export.export(Layer(), (torch.ones(2, 4),), strict=strict)
    with tempfile.TemporaryDirectory() as folder:
        package = str(Path(folder) / "layer.pt2")
        torch._inductor.aoti_compile_and_package(exported, package_path=package)


def main():
    """Compile, and print what torch says."""
    found = {}
    with_dynamo_alone()
    torch._dynamo.reset()
    found["breaks"] = dict(counters["graph_break"])
    found["given_up"] = dict(counters["unimplemented"])
    if sys.argv[1:] != ["eager"]:
        with_inductor()
    found["caches"] = {
        **{name: number for name, number in counters["inductor"].items() if name.startswith("fxgraph_cache")},
        **{
            name: number
            for name, number in counters["aot_autograd"].items()
            if name.startswith("autograd_cache")
        },
    }
    names = (
        "compile_id", "is_forward", "is_runtime", "co_name", "co_filename", "co_firstlineno", "guard_count",
        "recompile_reason", "fail_type", "fail_reason", "has_guarded_code", "accumulated_cache_size",
    )  # fmt: skip
    found["records"] = [
        {name: getattr(record, name) for name in names if hasattr(record, name)}
        for record in get_compilation_metrics()
    ]
    torch._dynamo.reset()
    explained = torch._dynamo.explain(broken)(torch.ones(4))
    found["explained"] = [
        [reason.reason, reason.user_stack[-1].filename, reason.user_stack[-1].lineno]
        for reason in explained.break_reasons
        if reason.graph_break
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
